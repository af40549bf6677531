"""MCP client configurations: which servers an agent is connected to."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from lifecycle.imports.proposed import Draft, Proposed, listed, mapping
from lifecycle.imports.secrets import is_secret, secrets_in

KIND = "mcp"
# What clients call the list of tools that need no question.
_TOOLS = ("allowedTools", "autoApprove", "alwaysAllow", "tools")


def servers_of(value: Any) -> Mapping[str, Any]:
    """The servers of a configuration, whatever the client calls them; empty if it is none."""
    config = mapping(value)
    if found := mapping(config.get("mcpServers")):
        return found
    servers = mapping(config.get("servers"))
    return servers if servers and all(map(_is_server, servers.values())) else {}


def _is_server(value: Any) -> bool:
    return bool({"command", "url", "serverUrl"} & mapping(value).keys())


def is_mcp(value: Any) -> bool:
    """Whether this is an MCP client configuration, be it an empty one."""
    return "mcpServers" in mapping(value) or bool(servers_of(value))


def read_mcp(config: Mapping[str, Any]) -> Proposed:
    """An agent that is connected to these servers. Commands and values are not kept."""
    draft = Draft(KIND)
    add_servers(draft, servers_of(config))
    if not draft.servers:
        draft.tell("The configuration names no server.")
    return draft.done()


def add_servers(draft: Draft, servers: Mapping[str, Any]) -> None:
    """Take the servers' names and tools, and say which secrets stand beside them."""
    for name, value in servers.items():
        server = mapping(value)
        draft.add_servers([name])
        for key in _TOOLS:
            draft.add_tools(f"{name}.{tool}" for tool in listed(server.get(key)) if tool != "*")
        if found := sorted({*_secrets(server)}):
            shown = draft.text("A name", ", ".join(found), 200) or "A value"
            draft.tell(
                f"{draft.text('A name', name, 120)}: {shown} held a secret and was left out. "
                "It belongs into the vault; change it, since it stood in a file."
            )
        if server.get("disabled") is True:
            draft.tell(f"{draft.text('A name', name, 120)} is switched off in the configuration.")


def _secrets(server: Mapping[str, Any]) -> Iterator[str]:
    yield from secrets_in(server.get("env"))
    yield from secrets_in(server.get("headers"))
    yield from _in_arguments(listed(server.get("args")))
    yield from _in_address(server.get("url") or server.get("serverUrl"))


def _in_arguments(args: list[Any]) -> Iterator[str]:
    """`--token=x`, `--token x`, and what looks like a secret wherever it stands."""
    before = ""
    for arg in filter(lambda each: isinstance(each, str), args):
        name, sign, value = arg.partition("=")
        if sign and is_secret(name, value):
            yield name.lstrip("-") or "an argument"
        elif not sign and before.startswith("-") and not arg.startswith("-"):
            if is_secret(before, arg):
                yield before.lstrip("-")
        elif not sign and is_secret("", arg):
            yield "an argument"
        before = arg


def _in_address(url: Any) -> Iterator[str]:
    if not isinstance(url, str):
        return
    try:
        parts = urlsplit(url)
        if parts.password:
            yield "the address"
        pairs = parse_qsl(parts.query, max_num_fields=100)
    except ValueError:
        return
    yield from (name for name, value in pairs if is_secret(name, value))
