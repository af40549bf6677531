"""Any of the formats, recognised by what it holds."""

from __future__ import annotations

from typing import Any

from governance.kernel import strict_json
from lifecycle.apply.nodes import read_yaml
from lifecycle.imports import agent_cards, agent_files, mcp
from lifecycle.imports.proposed import BadImport, Proposed

MAX_BYTES = 256 * 1024
MOST_AGENTS = 100
KINDS = {
    agent_cards.KIND: "an A2A agent card",
    mcp.KIND: "an MCP client configuration",
    agent_files.KIND: "agent.yaml",
}
UNKNOWN = (
    "This is none of: an agent card (JSON with name and skills), an MCP configuration (JSON with "
    "mcpServers), agent.yaml (agents, or a name with tools)."
)


def read(raw: bytes, *, kind: str = "") -> tuple[Proposed, ...]:
    """The agents that `raw` describes; `kind` says as what to read it, "" finds out.

    Raises `BadImport` with a sentence for everything that cannot be read.
    """
    if len(raw) > MAX_BYTES:
        raise BadImport(f"The file is larger than {MAX_BYTES // 1024} KiB.", code="too_large")
    found = _proposed(_parsed(raw), kind)
    if not found:
        wanted = f"This cannot be read as {KINDS[kind]}." if kind in KINDS else UNKNOWN
        raise BadImport(wanted)
    if len(found) > MOST_AGENTS:
        raise BadImport(f"There are more than {MOST_AGENTS} agents in it. Split the file.")
    return tuple(found)


def _proposed(value: Any, kind: str) -> list[Proposed]:
    if isinstance(value, list):
        return [one for each in value for one in _proposed_of(each, kind)]
    return _proposed_of(value, kind)


def _proposed_of(value: Any, kind: str) -> list[Proposed]:
    if kind in {"", mcp.KIND} and mcp.is_mcp(value) and not agent_files.agents_of(value):
        return [mcp.read_mcp(value)]
    if kind in {"", agent_cards.KIND} and agent_cards.is_card(value):
        return [agent_cards.read_card(value)]
    if kind in {"", agent_files.KIND}:
        return [agent_files.read_agent(each) for each in agent_files.agents_of(value)]
    return []


def _parsed(raw: bytes) -> Any:
    text = raw.removeprefix(b"\xef\xbb\xbf")
    if text.lstrip()[:1] in {b"{", b"["}:
        try:
            return strict_json.loads(text, max_bytes=MAX_BYTES)
        except strict_json.BadJson as error:
            raise BadImport(error.message) from error
    node, problems = read_yaml(raw, "line")
    if problems:
        first = problems[0]
        raise BadImport(f"{first.message} (line {first.place.line})")
    if node is None:
        raise BadImport("There is nothing in it. Paste the text, or choose the file.")
    return node.plain()
