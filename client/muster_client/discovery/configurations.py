"""Agents and MCP servers that a configuration names. Commands and values are not kept."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import PurePosixPath
from typing import Any

from . import texts
from .findings import AGENT, FRAMEWORK, MCP, Finding, names, printable

# Where clients look for MCP servers, by the end of the path, and what the client is called.
CLIENTS = {
    ".mcp.json": "Claude Code",
    "claude_desktop_config.json": "Claude Desktop",
    ".claude.json": "Claude Code",
    ".cursor/mcp.json": "Cursor",
    ".vscode/mcp.json": "VS Code",
    ".gemini/settings.json": "Gemini CLI",
    ".windsurf/mcp_config.json": "Windsurf",
    "mcp.json": "an MCP client",
    "mcp_config.json": "an MCP client",
    "cline_mcp_settings.json": "Cline",
}
# VS Code has `servers`, the others `mcpServers`.
_SERVERS = ("mcpServers", "servers", "mcp_servers")


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _servers(value: Any) -> Mapping[str, Any]:
    config = _mapping(value)
    found = next((_mapping(config[name]) for name in _SERVERS if name in config), {})
    return {str(name): server for name, server in found.items() if isinstance(server, Mapping)}


def _connected(
    path: str, client: str, servers: Mapping[str, Any], *, about: str = ""
) -> Iterator[Finding]:
    """A client that is connected to servers, and the variables that it gives them."""
    if not servers:
        return
    detail = {
        "client": client,
        "servers": names(servers),
        "remote": [printable(name) for name, each in servers.items() if _is_remote(each)][:50],
        "variables": sorted({name for each in servers.values() for name in names(each.get("env"))}),
    }
    yield Finding(
        MCP, printable(f"{client} in {about or _folder(path)}"), printable(path, 500), detail
    )


def _is_remote(server: Mapping[str, Any]) -> bool:
    return any(name in server for name in ("url", "serverUrl", "httpUrl"))


def _folder(path: str) -> str:
    """The folder that a configuration is about: the one above a hidden one."""
    parts = [part for part in PurePosixPath(path).parent.parts if not part.startswith(".")]
    return "/".join(parts) or "the root"


def _mcp(path: str, raw: bytes) -> Iterator[Finding]:
    value = texts.json_of(raw)
    whole = PurePosixPath(path)
    client = next(client for end, client in CLIENTS.items() if whole.match(end))
    yield from _connected(path, client, _servers(value))
    for place, project in _mapping(_mapping(value).get("projects")).items():
        # What stands there is a folder of whoever's home this is, not one of here.
        yield from _connected(f"{path}: {place}", client, _servers(project), about=str(place))


def _claude_settings(path: str, raw: bytes) -> Iterator[Finding]:
    value = _mapping(texts.json_of(raw))
    yield from _connected(path, "Claude Code", _servers(value))
    rights = _mapping(value.get("permissions"))
    allowed = names(rights.get("allow"))
    if allowed or value.get("hooks") or value.get("enableAllProjectMcpServers"):
        detail = {
            "allow": allowed,
            "mode": printable(rights.get("defaultMode", "")),
            "hooks": names(value.get("hooks")),
            "all_servers": value.get("enableAllProjectMcpServers") is True,
        }
        yield Finding(
            AGENT, printable(f"Claude Code in {_folder(path)}"), printable(path, 500), detail
        )


def _claude_agent(path: str, raw: bytes) -> Iterator[Finding]:
    head = texts.front_matter(raw)
    name = head.get("name") or PurePosixPath(path).stem
    tools = head.get("tools", "")
    listed = tools.split(",") if isinstance(tools, str) else tools
    detail = {
        "client": "Claude Code",
        "tools": [each.strip() for each in names(listed) if each.strip()],
        "model": printable(head.get("model", "")),
    }
    yield Finding(AGENT, printable(name), printable(path, 500), detail)


def _codex(path: str, raw: bytes) -> Iterator[Finding]:
    value = texts.toml_of(raw)
    yield from _connected(path, "Codex", _servers(value))
    for name, agent in _mapping(value.get("agents")).items():
        if isinstance(agent, Mapping):
            yield Finding(AGENT, printable(name), printable(path, 500), {"client": "Codex"})
    if sandbox := value.get("sandbox_mode") or value.get("approval_policy"):
        detail = {"client": "Codex", "mode": printable(sandbox)}
        yield Finding(AGENT, printable(f"Codex in {_folder(path)}"), printable(path, 500), detail)


def _langgraph(path: str, raw: bytes) -> Iterator[Finding]:
    graphs = _mapping(_mapping(texts.json_of(raw)).get("graphs"))
    for name in names(graphs):
        yield Finding(AGENT, name, printable(path, 500), {"framework": "LangGraph"})


def _crewai(path: str, raw: bytes) -> Iterator[Finding]:
    for name, agent in _mapping(texts.yaml_of(raw)).items():
        said = _mapping(agent)
        if "role" in said and ({"goal", "backstory"} & said.keys()):
            detail = {
                "framework": "CrewAI",
                "role": printable(" ".join(str(said["role"]).split())),
                "model": printable(said.get("llm") or ""),
                "tools": names(said.get("tools")),
            }
            yield Finding(AGENT, printable(name), printable(path, 500), detail)


def _autogen(path: str, raw: bytes) -> Iterator[Finding]:
    """A team or an agent as AutoGen stores one: `provider`, `component_type`, `config`."""
    yield from _component(path, texts.json_of(raw), 0)


def _component(path: str, value: Any, depth: int) -> Iterator[Finding]:
    said = _mapping(value)
    provider = said.get("provider")
    if depth > 10 or not isinstance(provider, str) or "autogen" not in provider:
        return
    config = _mapping(said.get("config"))
    if said.get("component_type") == "agent":
        name = config.get("name") or said.get("label") or "an agent"
        yield Finding(AGENT, printable(name), printable(path, 500), {"framework": "AutoGen"})
    for part in config.get("participants") or ():
        yield from _component(path, part, depth + 1)


def _oai_config(path: str, raw: bytes) -> Iterator[Finding]:
    value = texts.json_of(raw)
    models = (
        [each.get("model") for each in value if isinstance(each, Mapping)]
        if isinstance(value, list)
        else []
    )
    if models:
        detail = {"models": names(models)}
        yield Finding(FRAMEWORK, "AutoGen", printable(path, 500), detail)


Reader = Callable[[str, bytes], Iterator[Finding]]
# By the end of the path; the first that fits reads the file.
READERS: tuple[tuple[str, Reader], ...] = (
    (".claude/agents/*.md", _claude_agent),
    (".claude/settings.json", _claude_settings),
    (".claude/settings.local.json", _claude_settings),
    (".codex/config.toml", _codex),
    *((end, _mcp) for end in CLIENTS),
    ("langgraph.json", _langgraph),
    ("config/*agents.yaml", _crewai),
    ("config/*agents.yml", _crewai),
    ("OAI_CONFIG_LIST", _oai_config),
    ("OAI_CONFIG_LIST.json", _oai_config),
    ("*autogen*.json", _autogen),
    ("*team*.json", _autogen),
)


def reader_of(path: str) -> Reader | None:
    """What reads the file at this path, if it is one that tells of agents."""
    whole = PurePosixPath(path)
    return next((reader for end, reader in READERS if whole.match(end)), None)
