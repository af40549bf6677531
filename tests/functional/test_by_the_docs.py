"""What stands before an agent, set up by nothing but the documentation, on a running demo.

The client is installed alone, into an environment of its own: a Python agent, an MCP client through
the gateway and Claude Code's hook (its documented JSON) each get an allow, a deny and a hold.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.functional.installation import PROJECT, Installation, environment

pytestmark = pytest.mark.clone

AGENT = "invoice-approver"
# What it may do, what is not in its row, and what waits for a human: more than runs alone.
LARGE = {"invoice": "INV-300001", "amount": 160_000, "currency": "EUR"}
CALLS: dict[str, tuple[str, dict[str, Any]]] = {
    "allow": ("invoice.read", {"invoice": "INV-300001"}),
    "deny": ("web.fetch", {"url": "https://example.com/"}),
    "hold": ("invoice.approve", LARGE),
}

# One function for each tool: its parameters are those of the tool's schema.
PYTHON_AGENT = """
import json
from muster_client import Denied, Held, governed

ran = []

@governed("invoice.read", resource=lambda asked: ("erp", asked["invoice"]))
def read(invoice: str) -> str:
    ran.append("invoice.read")
    return "1,600.00 EUR for glass."

@governed("web.fetch", resource=lambda asked: ("page", asked["url"]))
def fetch(url: str) -> str:
    ran.append("web.fetch")
    return ""

@governed("invoice.approve", resource=lambda asked: ("erp", asked["invoice"]))
def approve(invoice: str, amount: int, currency: str) -> None:
    ran.append("invoice.approve")

def told(call, **arguments):
    try:
        call(**arguments)
        return "allow"
    except Held as held:
        assert held.link.startswith("http"), held.link
        return "hold"
    except Denied as denied:
        return f"deny {denied.decision.code}"

calls = json.load(open("calls.json"))
functions = {"invoice.read": read, "web.fetch": fetch, "invoice.approve": approve}
answers = {name: told(functions[tool], **asked) for name, (tool, asked) in calls.items()}
print(json.dumps({"answers": answers, "ran": ran}))
"""

MCP_SERVER = """
from pathlib import Path
from mcp.server.mcpserver import MCPServer

server = MCPServer("house")

def ran(tool: str) -> str:
    with Path("ran.txt").open("a") as file:
        file.write(tool + "\\n")
    return "Done."

@server.tool()
def read(invoice: str) -> str:
    return ran("invoice.read")

@server.tool()
def fetch(url: str) -> str:
    return ran("web.fetch")

@server.tool()
def approve(invoice: str, amount: int, currency: str) -> str:
    return ran("invoice.approve")

server.run()
"""
GATEWAY = """
muster: {{url: {base}}}
upstreams:
  house:
    command: [{python}, server.py]
    tools: {{read: invoice.read, fetch: web.fetch, approve: invoice.approve}}
"""
MCP_CLIENT = """
import asyncio, json, os, sys
from pathlib import Path
from mcp import Client, MCPError, StdioServerParameters

NAMES = {"invoice.read": "read", "web.fetch": "fetch", "invoice.approve": "approve"}

async def main():
    gateway = StdioServerParameters(
        command=sys.argv[1],
        args=["gateway", "--config", "gateway.yaml", "--stdio"],
        env=dict(os.environ),
    )
    answers = {}
    async with Client(gateway) as client:
        listed = sorted(tool.name for tool in (await client.list_tools()).tools)
        for name, (tool, asked) in json.load(open("calls.json")).items():
            try:
                result = await client.call_tool(NAMES[tool], asked)
                answers[name] = "error" if result.is_error else "allow"
            except MCPError as error:
                data = error.error.data or {}
                answers[name] = "hold" if data.get("access_request") else "deny"
                assert error.error.code == -32001, error
    ran = Path("ran.txt").read_text().split()
    print(json.dumps({"answers": answers, "ran": ran, "listed": listed}))

asyncio.run(main())
"""


@dataclass
class Client:
    """The client package in an environment of its own, with the secret of one agent."""

    folder: Path
    variables: Mapping[str, str]

    @property
    def python(self) -> str:
        return str(self.folder / "venv" / "bin" / "python")

    @property
    def muster(self) -> str:
        return str(self.folder / "venv" / "bin" / "muster")

    def run(self, *words: str, given: str = "") -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            words,
            cwd=self.folder,
            env=environment(**self.variables),
            input=given,
            capture_output=True,
            text=True,
            check=False,
        )

    def says(self, *words: str) -> Any:
        """What a script printed, as JSON."""
        done = self.run(*words)
        assert done.returncode == 0, done.stdout + done.stderr
        return json.loads(done.stdout)


@pytest.fixture(scope="module")
def client(demo: Installation, tmp_path_factory: pytest.TempPathFactory) -> Client:
    folder = tmp_path_factory.mktemp("client")
    # Building leaves folders beside its source.
    source = shutil.copytree(PROJECT / "client", folder / "source")
    uv = (sys.executable, "-m", "uv")
    python = str(folder / "venv" / "bin" / "python")
    for command in (
        (*uv, "venv", "--quiet", "--python", sys.executable, str(folder / "venv")),
        (*uv, "pip", "install", "--quiet", "--python", python, f"{source}[gateway]"),
    ):
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
    agent = next(each for each in demo.demo["agents"] if each["id"] == AGENT)
    (folder / "calls.json").write_text(json.dumps(CALLS))
    variables = {
        "MUSTER_URL": demo.base_url,
        "MUSTER_CLIENT_ID": agent["client_id"],
        "MUSTER_CLIENT_SECRET": agent["client_secret"],
    }
    return Client(folder, variables)


def timed(say: Callable[[str, object], None], name: str, act: Callable[[], Any]) -> Any:
    """What `act` came to; how many seconds that took goes into the report."""
    began = time.monotonic()
    told = act()
    say(name, seconds := round(time.monotonic() - began, 2))
    print(f"{name}: {seconds} s")
    return told


def test_a_python_agent(client: Client, record_property: Any) -> None:
    (client.folder / "agent.py").write_text(PYTHON_AGENT)

    told = timed(record_property, "python", lambda: client.says(client.python, "agent.py"))

    answers = {"allow": "allow", "deny": "deny allowlist.not_listed", "hold": "hold"}
    assert told == {"answers": answers, "ran": ["invoice.read"]}


def test_an_mcp_client_through_the_gateway(client: Client, record_property: Any) -> None:
    (client.folder / "server.py").write_text(MCP_SERVER)
    (client.folder / "client.py").write_text(MCP_CLIENT)
    config = GATEWAY.format(base=client.variables["MUSTER_URL"], python=client.python)
    (client.folder / "gateway.yaml").write_text(config)

    ask = (client.python, "client.py", client.muster)
    told = timed(record_property, "gateway", lambda: client.says(*ask))

    assert told["answers"] == {name: name for name in CALLS}
    assert told["ran"] == ["invoice.read"]
    assert "read" in told["listed"]
    assert "fetch" not in told["listed"]


def test_claude_codes_hook(client: Client, record_property: Any) -> None:
    """By its documented events: https://code.claude.com/docs/en/hooks"""

    def asked(tool: str, parameters: dict[str, Any]) -> dict[str, Any]:
        system, _, name = tool.partition(".")
        event = {
            "session_id": "by-the-docs",
            "transcript_path": "/tmp/transcript.jsonl",
            "cwd": str(client.folder),
            "permission_mode": "default",
            "hook_event_name": "PreToolUse",
            "tool_name": f"mcp__{system}__{name}",
            "tool_input": parameters,
            "tool_use_id": f"use-{tool}",
        }
        done = client.run(client.muster, "hook", "claude-code", given=json.dumps(event))
        assert done.returncode == 0, done.stderr
        return dict(json.loads(done.stdout)["hookSpecificOutput"])

    told = timed(
        record_property,
        "hook",
        lambda: {name: asked(tool, parameters) for name, (tool, parameters) in CALLS.items()},
    )

    said = {name: each["permissionDecision"] for name, each in told.items()}
    assert said == {"allow": "allow", "deny": "deny", "hold": "deny"}
    assert client.variables["MUSTER_URL"] in told["hold"]["permissionDecisionReason"]
    assert "not in its row" in told["deny"]["permissionDecisionReason"]
