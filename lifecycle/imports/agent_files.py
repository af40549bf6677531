"""agent.yaml: an inventory's agents, or the common keys of a repository's own description."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from lifecycle.imports.mcp import add_servers
from lifecycle.imports.proposed import LENGTHS, Draft, Proposed, listed, mapping
from registry.enums import AgentKind, IdentityPattern

KIND = "agent_yaml"
# Our field to what others call it, ours first.
_CALLED: dict[str, tuple[str, ...]] = {
    "purpose": ("purpose", "description", "summary"),
    "builder": ("builder", "team", "vendor", "author"),
    "repository": ("repository", "repo", "source"),
    "runs_at": ("runs_at", "runtime", "deployment", "environment"),
    "model": ("model",),
    "code_reference": ("code_reference", "version", "commit"),
}
_COUNTS = ("rate_per_minute", "rate_per_hour", "spend_cap_minor", "spend_cap_month_minor")
_MARKS = frozenset({"tools", "allowlist", "mcpServers", "mcp_servers", "model", "purpose", "owner"})


def agents_of(value: Any) -> list[Mapping[str, Any]]:
    """The agents that a file describes; empty if it describes none."""
    document = mapping(value)
    if isinstance(document.get("agents"), list):
        return [mapping(each) for each in document["agents"]]
    if isinstance(document.get("agents"), Mapping):
        return [{"slug": name, **mapping(each)} for name, each in document["agents"].items()]
    if isinstance(document.get("agent"), Mapping):
        return [document["agent"]]
    named = isinstance(document.get("slug") or document.get("name"), str)
    return [document] if named and not _MARKS.isdisjoint(document) else []


def read_agent(agent: Mapping[str, Any]) -> Proposed:
    """One agent of a file."""
    draft = Draft(KIND)
    draft.call(agent.get("slug") or agent.get("id") or agent.get("name"))
    for fact, names in _CALLED.items():
        for name in names:
            draft.say(fact, _text_of(agent.get(name)))
    for fact in LENGTHS.keys() - _CALLED.keys():
        draft.say(fact, agent.get(fact))
    for fact in _COUNTS:
        draft.count(fact, agent.get(fact))
    draft.choose("kind", agent.get("kind"), AgentKind.values)
    draft.choose("pattern", agent.get("pattern"), IdentityPattern.values)
    _add_reach(draft, agent)
    _set_owner(draft, agent.get("owner"))
    return draft.done()


def _text_of(value: Any) -> Any:
    """`{name: gpt}` and `{url: git…}` stand for their text."""
    if isinstance(value, Mapping):
        return value.get("name") or value.get("url") or value.get("id")
    return value


def _add_reach(draft: Draft, agent: Mapping[str, Any]) -> None:
    entries = [*listed(agent.get("allowlist")), *listed(agent.get("tools"))]
    draft.add_tools(_names(entries))
    if any(mapping(each).keys() - {"tool", "name", "id", "description"} for each in entries):
        draft.tell("What narrows a tool was not taken over. Narrow it on the agent's page.")
    for key in ("mcpServers", "mcp_servers"):
        if isinstance(agent.get(key), Mapping):
            add_servers(draft, agent[key])
        else:
            draft.add_servers(_names(listed(agent.get(key))))
    draft.add_servers(_names(listed(agent.get("systems"))))


def _names(entries: Iterable[Any]) -> list[Any]:
    keys = ("tool", "name", "id")
    return [
        next((each[key] for key in keys if each.get(key)), None)
        if isinstance(each, Mapping)
        else each
        for each in entries
    ]


def _set_owner(draft: Draft, owner: Any) -> None:
    text = draft.text("Its owner", _text_of(owner), 254)
    if "@" in text:
        draft.owner = text.lower()
