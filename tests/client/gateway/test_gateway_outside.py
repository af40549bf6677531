"""The gateway under the official conformance scenarios and the official inspector, from npm."""

from __future__ import annotations

import json
import os
import re
import shutil
import socket
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
import uvicorn
from mcp.server.lowlevel import Server
from mcp_types import (
    AudioContent,
    CallToolRequestParams,
    CallToolResult,
    EmbeddedResource,
    ImageContent,
    ListToolsResult,
    TextContent,
    TextResourceContents,
    Tool,
)

from client.muster_client.gateway.config import read
from client.muster_client.gateway.serving import http_app
from tests.client.gateway.reference import Answering
from tests.client.muster_double import BASE, a_token, streamed

pytestmark = [pytest.mark.outside, pytest.mark.filterwarnings("default")]

CACHE = Path(tempfile.gettempdir()) / "muster-mcp-peers"
PACKAGES = ["node@22", "@modelcontextprotocol/conformance@0.1.16"]
INSPECTOR = "@modelcontextprotocol/inspector@0.15.0"
# What concerns tools: a gateway passes on nothing else.
SCENARIOS = [
    "server-initialize",
    "ping",
    "tools-list",
    "tools-call-simple-text",
    "tools-call-image",
    "tools-call-audio",
    "tools-call-embedded-resource",
    "tools-call-mixed-content",
    "tools-call-error",
    "tools-call-with-progress",
    "dns-rebinding-protection",
]
TEXT = TextContent(type="text", text="This is a simple text response for testing.")
PICTURE = ImageContent(
    type="image",
    mime_type="image/png",
    data="iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==",
)
SOUND = AudioContent(type="audio", mime_type="audio/wav", data="UklGRiQAAABXQVZFZm10IBAAAAABAAEA")
INSIDE = EmbeddedResource(
    type="resource",
    resource=TextResourceContents(
        uri="test://embedded-resource", mime_type="text/plain", text="This is embedded."
    ),
)
ANSWERS = {
    "test_simple_text": CallToolResult(content=[TEXT]),
    "test_image_content": CallToolResult(content=[PICTURE]),
    "test_audio_content": CallToolResult(content=[SOUND]),
    "test_embedded_resource": CallToolResult(content=[INSIDE]),
    "test_multiple_content_types": CallToolResult(content=[TEXT, PICTURE, INSIDE]),
    "test_error_handling": CallToolResult(
        content=[TextContent(type="text", text="This tool intentionally returns an error.")],
        is_error=True,
    ),
    "test_tool_with_progress": CallToolResult(content=[TEXT]),
}


async def listed(context: Any, params: Any) -> ListToolsResult:
    schema = {"type": "object", "properties": {}}
    told = [Tool(name=name, description=name, input_schema=schema) for name in ANSWERS]
    return ListToolsResult(tools=told)


async def called(context: Any, params: CallToolRequestParams) -> CallToolResult:
    if params.name == "test_tool_with_progress":
        for progress in (0, 50, 100):
            await context.session.report_progress(progress, 100)
    return ANSWERS[params.name]


@contextmanager
def serving(app: Any) -> Iterator[str]:
    """An application on a port of this machine; its address."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port = found.getsockname()[1]
    server = uvicorn.Server(uvicorn.Config(app, port=port, log_level="error"))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        assert thread.is_alive()
        time.sleep(0.05)
    try:
        yield f"http://127.0.0.1:{port}/mcp"
    finally:
        server.should_exit = True
        thread.join(10)


class Signed:
    """Sends the token along, as the scenarios know of none."""

    def __init__(self, app: Any) -> None:
        self.app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http":
            token = (b"authorization", f"Bearer {a_token()}".encode())
            scope = {**scope, "headers": [*scope["headers"], token]}
        await self.app(scope, receive, send)


@pytest.fixture(scope="module")
def addresses(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, str]]:
    """The reference server's address, and a gateway's before it."""
    reference = Server("reference", on_list_tools=listed, on_call_tool=called)
    with serving(reference.streamable_http_app()) as direct:
        told = {"muster": {"url": BASE}, "upstreams": {"reference": {"url": direct}}}
        config = read(told, tmp_path_factory.mktemp("gateway"))
        way = httpx.MockTransport(streamed(Answering(listed=list(ANSWERS))))
        with serving(Signed(http_app(config, way))) as through:
            yield direct, through


def installed(*packages: str) -> Path:
    """A folder with these; skips, and says why, where there can be none."""
    if shutil.which("npm") is None:
        pytest.skip("npm is not installed, so the official tools cannot be had")
    CACHE.mkdir(exist_ok=True)
    modules = CACHE / "node_modules"
    names = [re.sub(r"(?<=.)@.*", "", each) for each in packages]
    if all((modules / name).is_dir() for name in names):
        return modules
    command = ["npm", "install", "--silent", "--no-audit", "--no-fund", "--prefix", str(CACHE)]
    done = subprocess.run([*command, *packages], check=False, capture_output=True, text=True)
    if done.returncode:
        pytest.skip(f"npm could not install {packages}: {done.stderr[-200:]}")
    return modules


def ran(modules: Path, *command: str) -> subprocess.CompletedProcess[str]:
    path = f"{modules / 'node' / 'bin'}{os.pathsep}{os.environ['PATH']}"
    return subprocess.run(
        [str(modules / ".bin" / command[0]), *command[1:]],
        check=False,
        capture_output=True,
        text=True,
        timeout=120,
        env={**os.environ, "PATH": path},
        cwd=modules.parent,
    )


def verdict(modules: Path, address: str, scenario: str) -> tuple[int, list[str]]:
    """How a scenario ends: its code, and what it counts."""
    done = ran(modules, "conformance", "server", "--url", address, "--scenario", scenario)
    counted = re.findall(r"(?:Passed|Failed)[^\n]*", done.stdout + done.stderr)
    assert counted, done.stdout + done.stderr
    return done.returncode, counted


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_a_scenario_ends_as_it_does_without_the_gateway(
    addresses: tuple[str, str], scenario: str
) -> None:
    modules = installed(*PACKAGES)

    direct, through = (verdict(modules, address, scenario) for address in addresses)

    assert direct[0] == 0
    assert through == direct


def test_the_inspector_sees_what_it_sees_without_the_gateway(addresses: tuple[str, str]) -> None:
    modules = installed(*PACKAGES, INSPECTOR)

    def seen(address: str, *method: str) -> Any:
        cli = ("mcp-inspector", "--cli", address, "--transport", "http", "--method", *method)
        done = ran(modules, *cli)
        assert done.returncode == 0, done.stderr
        told = json.loads(done.stdout)
        told.pop("_meta", None)
        return told

    call = ("tools/call", "--tool-name", "test_simple_text")
    direct, through = ([seen(at, "tools/list"), seen(at, *call)] for at in addresses)

    assert through == direct
    assert through[1]["content"] == [{"type": "text", "text": TEXT.text}]
