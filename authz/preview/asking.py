"""A change as it is asked about: read strictly, checked against the register, made ready.

What comes out is kept in this form and read again when the preview runs, so a change that fits
no longer is refused then as well.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from django.core.exceptions import ValidationError
from django.db.models import Q

from authz import slices
from authz.engine.editing import validate_policies
from authz.engine.world import compile_world
from authz.enums import PolicyState
from authz.errors import BadPolicy
from authz.models import Policy, Role
from authz.preview.changes import (
    Change,
    EntryPut,
    EntryRemoved,
    Members,
    PolicyPut,
    PolicyRetired,
    ResourcePut,
    ResourceRemoved,
    RoleChanged,
    SystemPut,
)
from governance.kernel import json_schema
from governance.kernel.errors import Invalid, NotFound
from registry import reach, rules, selectors, validators
from registry.enums import ResourceMatch, Tier
from registry.models import Agent, Person, System, Tool

MAX_TEXT = 64 * 1024
MAX_NAMES = 500
MAX_NAME = 255

Json = Any
Asked = Mapping[str, Json]


@dataclass(frozen=True, slots=True)
class Prepared:
    """A change, ready to be compared with.

    `asked` is how it is kept, `summary` says it in words. `agent` is the only agent whose
    decisions it can touch, "" for all; `policy` the id of a policy that it brings into force.
    """

    change: Change
    asked: Asked
    summary: str
    agent: str = ""
    policy: str = ""


def prepare(asked: Json) -> Prepared:
    """The change that is asked about. Raises `Invalid` (the fields told), `NotFound`."""
    if not isinstance(asked, Mapping):
        raise _wrong("kind", "The change must be an object.")
    kind = asked.get("kind")
    read = _KINDS.get(kind) if isinstance(kind, str) else None
    if read is None:
        raise _wrong("kind", f"kind must be one of {', '.join(_KINDS)}.")
    return read(asked)


# Kinds


def _policy(asked: Asked) -> Prepared:
    slug, version = _text(asked, "slug", 60), asked.get("version")
    if _flag(asked, "retire"):
        return _retired(slug)
    if version is not None:
        return _version(slug, version)
    text, log_only = _text(asked, "text", MAX_TEXT), _flag(asked, "log_only")
    _check_slug(slug)
    _check_policy(text)
    latest = Policy.objects.filter(slug=slug).order_by("-version").first()
    change = PolicyPut(slug, latest.version + 1 if latest else 1, text, log_only)
    kept = {"kind": "policy", "slug": slug, "text": text, "log_only": log_only}
    return _put(change, kept, "with this text")


def _retired(slug: str) -> Prepared:
    if not Policy.objects.filter(slug=slug, state=PolicyState.ACTIVE).exists():
        raise NotFound("No version of this policy is in force, so it cannot be retired.")
    kept = {"kind": "policy", "slug": slug, "retire": True}
    return Prepared(PolicyRetired(slug), kept, f"Policy {slug} out of force")


def _version(slug: str, version: Json) -> Prepared:
    number = _whole(version, "version", 1, 2**31 - 1)
    policy = Policy.objects.filter(slug=slug, version=number).first()
    if policy is None:
        raise NotFound(f"There is no version {number} of this policy.")
    _check_policy(policy.text)
    change = PolicyPut(slug, number, policy.text, policy.log_only)
    return _put(change, {"kind": "policy", "slug": slug, "version": number}, f"as version {number}")


def _put(change: PolicyPut, kept: Asked, how: str) -> Prepared:
    mode = ", only logged" if change.log_only else ""
    summary = f"Policy {change.slug} in force {how}{mode}"
    return Prepared(change, kept, summary, policy=change.uid)


def _check_policy(text: str) -> None:
    (read,) = slices.read([slices.WORLD])
    problems = validate_policies(compile_world(read.document or {}), text)
    if problems:
        told = [f"Line {each.line}, column {each.column}: {each.message}" for each in problems]
        raise BadPolicy(told[0], fields={"text": told})


def _role(asked: Asked) -> Prepared:
    slug = _text(asked, "slug", 60)
    if not Role.objects.filter(slug=slug).exists():
        raise _wrong("slug", f"There is no role {slug}.")
    added, removed = _members(asked, "add"), _members(asked, "remove")
    if not added and not removed:
        raise _wrong("add", "Name a tool, an agent or a person to add or to remove.")
    kept = {"kind": "role", "slug": slug, "add": _plain(added), "remove": _plain(removed)}
    told = [
        f"{word} {', '.join(_counted(members))}"
        for word, members in (("with", added), ("without", removed))
        if members
    ]
    return Prepared(RoleChanged(slug, added, removed), kept, f"Role {slug} {' and '.join(told)}")


def _members(asked: Asked, name: str) -> Members:
    given = asked.get(name, {})
    if not isinstance(given, Mapping) or given.keys() - {"tools", "agents", "people"}:
        raise _wrong(name, f"{name} must be an object of tools, agents and people.")
    return Members(
        tools=_existing(given, name, "tools", _tool_names),
        agents=_existing(given, name, "agents", _agent_names),
        people=_existing(given, name, "people", _pids),
    )


def _existing(
    given: Asked, parent: str, name: str, find: Callable[[list[str]], Mapping[str, str]]
) -> frozenset[str]:
    wanted = _names(given.get(name, []), f"{parent}.{name}")
    found = find(wanted)
    unknown = [each for each in wanted if each not in found]
    if unknown:
        place = f"{parent}.{name}"
        raise _wrong(place, f"Not on the register: {', '.join(_short(one) for one in unknown)}.")
    return frozenset(found[each] for each in wanted)


def _tool_names(names: list[str]) -> Mapping[str, str]:
    return {
        name: name for name in Tool.objects.filter(name__in=names).values_list("name", flat=True)
    }


def _agent_names(names: list[str]) -> Mapping[str, str]:
    rows = Agent.objects.filter(slug__in=names).values_list("slug", flat=True)
    return {slug: slug for slug in rows}


def _pids(names: list[str]) -> Mapping[str, str]:
    """People by pseudonymous id or e-mail."""
    emails = [name.lower() for name in names]
    rows = Person.objects.filter(Q(pid__in=names) | Q(email__in=emails)).values_list("pid", "email")
    known = {key: pid for pid, email in rows for key in (pid, email)}
    return {
        name: known.get(name) or known[name.lower()]
        for name in names
        if name in known or name.lower() in known
    }


def _plain(members: Members) -> dict[str, list[str]]:
    every = {"tools": members.tools, "agents": members.agents, "people": members.people}
    return {name: sorted(names) for name, names in every.items() if names}


def _counted(members: Members) -> Iterable[str]:
    yield from sorted(members.tools)
    yield from sorted(members.agents)
    if members.people:
        yield f"{len(members.people)} {'person' if len(members.people) == 1 else 'people'}"


def _allowlist(asked: Asked) -> Prepared:
    slug, name = _text(asked, "agent", 60), _text(asked, "tool", 120)
    agent = selectors.agents_for_reach().filter(slug=slug).first()
    if agent is None:
        raise _wrong("agent", f"There is no agent {slug}.")
    tool = selectors.tools_for_reach([name]).first()
    if tool is None:
        raise _wrong("tool", f"There is no tool {name}.")
    if _flag(asked, "remove"):
        return _entry_removed(agent, tool)
    return _entry_put(agent, tool, asked.get("narrowing", {}))


def _entry_removed(agent: Agent, tool: Tool) -> Prepared:
    left = {entry.tool: entry.narrowing for entry in agent.allowlist.all()}
    if tool not in left:
        raise _wrong("tool", f"{tool.name} is not in the row of {agent.slug}.")
    del left[tool]
    change = EntryRemoved(agent.slug, tool.name, _tier_then(agent, left, widens=False))
    kept = {"kind": "allowlist", "agent": agent.slug, "tool": tool.name, "remove": True}
    return Prepared(change, kept, f"{agent.slug} without {tool.name}", agent=agent.slug)


def _entry_put(agent: Agent, tool: Tool, narrowing: Json) -> Prepared:
    _check_narrowing(tool, narrowing)
    had = {entry.tool: entry.narrowing for entry in agent.allowlist.all()}
    widens = tool not in had or bool(
        rules.widened_entry(tool.schema, _limits(had[tool]), _limits(narrowing))
    )
    tier = _tier_then(agent, {**had, tool: narrowing}, widens=widens)
    kept = {"kind": "allowlist", "agent": agent.slug, "tool": tool.name, "narrowing": narrowing}
    how = "narrowed as said" if narrowing else "as wide as its schema"
    return Prepared(
        EntryPut(agent.slug, tool.name, narrowing, tier),
        kept,
        f"{agent.slug} with {tool.name}, {how}",
        agent=agent.slug,
    )


def _limits(narrowing: Asked) -> Any:
    rates = dict.fromkeys(("rate_per_minute", "rate_per_hour", "write_quota_per_hour"))
    return {**rates, "narrowing": narrowing}


def _tier_then(agent: Agent, entries: Mapping[Tool, Asked], *, widens: bool) -> str:
    """The tier that a live row is cleared for once it reaches this; "" where that stays."""
    if agent.state not in rules.LIVE:
        return ""
    if not widens and not selectors.current_clearance(agent, reach.reach_of(agent).digest):
        return ""
    then = reach.reach_of_draft(entries=entries.items(), model_provider=agent.model_provider)
    return str(then.tier)


def _check_narrowing(tool: Tool, narrowing: Json) -> None:
    if not isinstance(narrowing, Mapping):
        raise _wrong("narrowing", "narrowing must be an object: a JSON Schema.")
    try:
        json_schema.compile_schema(narrowing)
    except json_schema.SchemaError as error:
        raise _wrong("narrowing", error.message) from error
    if not json_schema.satisfiable(tool.schema, narrowing):
        raise _wrong("narrowing", f"No call of {tool.name} could meet this and its schema at once.")


def _system(asked: Asked) -> Prepared:
    system = _system_named(asked, "slug")
    tier = _tier(asked, system.tier)
    categories = _categories(asked, system.categories)
    inheriting = frozenset(
        (each.name, each.match) for each in system.resources.all() if not each.categories
    )
    kept = {"kind": "system", "slug": system.slug, "tier": tier, "categories": categories}
    change = SystemPut(system.slug, tier, tuple(categories), inheriting)
    return Prepared(change, kept, f"System {system.slug} as {_place(tier, categories)}")


def _resource(asked: Asked) -> Prepared:
    system, name = _system_named(asked, "system"), _text(asked, "name", MAX_NAME)
    match = asked.get("match", ResourceMatch.EXACT)
    if match not in ResourceMatch.values:
        raise _wrong("match", f"match must be one of {', '.join(ResourceMatch.values)}.")
    listed = system.resources.filter(name=name, match=match).first()
    kept: dict[str, Json] = {
        "kind": "resource",
        "system": system.slug,
        "name": name,
        "match": str(match),
    }
    said = f"{system.slug}/{name}{'*' if match == ResourceMatch.PREFIX else ''}"
    if _flag(asked, "remove"):
        if listed is None:
            raise _wrong("name", f"{said} is not listed.")
        gone = ResourceRemoved(system.slug, name, match)
        return Prepared(gone, {**kept, "remove": True}, f"Resource {said} not listed")
    tier = _tier(asked, listed.tier if listed else "")
    categories = _categories(asked, listed.categories if listed else [])
    kept |= {"tier": tier, "categories": categories}
    change = ResourcePut(system.slug, name, match, tier, tuple(categories))
    return Prepared(change, kept, f"Resource {said} as {_place(tier, categories)}")


def _place(tier: str, categories: list[str]) -> str:
    with_ = f" with {', '.join(categories)}" if categories else ""
    return f"{tier or Tier.RESTRICTED}{with_}"


def _system_named(asked: Asked, field: str) -> System:
    slug = _text(asked, field, 60)
    system = System.objects.filter(slug=slug).first()
    if system is None:
        raise _wrong(field, f"There is no system {slug}.")
    return system


def _tier(asked: Asked, otherwise: str) -> str:
    tier = asked.get("tier", otherwise)
    if tier not in ["", *Tier.values]:
        raise _wrong("tier", f"tier must be one of {', '.join(Tier.values)}.")
    return str(tier)


def _categories(asked: Asked, otherwise: list[str]) -> list[str]:
    if "categories" not in asked:
        return list(otherwise)
    names = _names(asked["categories"], "categories")
    for name in names:
        _check_slug(name, "categories")
    return list(dict.fromkeys(names))


_KINDS: Mapping[str, Callable[[Asked], Prepared]] = {
    "policy": _policy,
    "role": _role,
    "allowlist": _allowlist,
    "system": _system,
    "resource": _resource,
}
KINDS = tuple(_KINDS)


# Values


def _wrong(field: str, sentence: str) -> Invalid:
    return Invalid(sentence, fields={field: [sentence]})


def _short(name: str) -> str:
    return name if len(name) <= 80 else f"{name[:80]}…"


def _text(asked: Asked, field: str, longest: int) -> str:
    value = asked.get(field)
    if not isinstance(value, str) or not value:
        raise _wrong(field, f"{field} must be a text.")
    if len(value) > longest or "\0" in value:
        raise _wrong(field, f"{field} must be at most {longest:,} characters and hold no NUL.")
    return value


def _flag(asked: Asked, field: str) -> bool:
    value = asked.get(field, False)
    if not isinstance(value, bool):
        raise _wrong(field, f"{field} must be true or false.")
    return value


def _whole(value: Json, field: str, least: int, most: int) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
        raise _wrong(field, f"{field} must be a whole number from {least:,} to {most:,}.")
    return value


def _names(value: Json, field: str) -> list[str]:
    if not isinstance(value, list) or len(value) > MAX_NAMES:
        raise _wrong(field, f"{field} must be an array of at most {MAX_NAMES} names.")
    for name in value:
        if not isinstance(name, str) or not 0 < len(name) <= MAX_NAME or "\0" in name:
            raise _wrong(field, f"Each of {field} must be a name of at most {MAX_NAME} characters.")
    return list(value)


def _check_slug(value: str, field: str = "slug") -> None:
    try:
        validators.slug(value)
    except ValidationError as error:
        raise _wrong(field, str(error.messages[0])) from error
