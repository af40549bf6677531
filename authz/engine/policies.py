"""Policies: read once, filed so that a call meets only those that can concern it."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Any

import cedarpy

from authz.engine import names, obligations
from authz.engine.cedar_text import PolicyError, measure
from authz.engine.reads import Reads, reads_of
from authz.engine.types import Json

MAX_SLICES = 4096

# Stands in for the permit of a tool that no policy governs, so that anything but an allow
# without errors is a refusal for governed and ungoverned tools alike.
UNGOVERNED = "muster:ungoverned"
_UNGOVERNED_TEXT = "permit(principal, action, resource);"
# `context.parameters`, in the engine's JSON.
_PARAMETERS = {".": {"left": {"Var": "context"}, "attr": "parameters"}}
# What depends on which resource it is.
_RESOURCE: tuple[Json, ...] = (
    {"Var": "resource"},
    {".": {"left": {"Var": "context"}, "attr": "resource"}},
    {".": {"left": {"Var": "context"}, "attr": "tier"}},
)

Roles = frozenset[str]


@dataclass(frozen=True, slots=True)
class Statement:
    """One permit or forbid. `uid` is its name in the engine, `policy` the row that it came from.

    `actions` None means any action; `kind` and `role` "" mean any principal. `asks` are the
    obligations of a call that this permit lets go on.
    """

    uid: str
    policy: str
    effect: str
    log_only: bool
    source: Json
    actions: frozenset[str] | None
    kind: str
    role: str
    asks: tuple[obligations.Obligation, ...]

    def concerns(self, actions: frozenset[str], kind: str, roles: Roles) -> bool:
        """Whether the scope lets this statement match such a call at all."""
        if self.actions is not None and self.actions.isdisjoint(actions):
            return False
        if self.kind and self.kind != kind:
            return False
        return not self.role or self.role in roles


@dataclass(frozen=True, slots=True)
class PolicySlice:
    """The policies that can concern one tool and one kind of principal with given roles.

    `enforced` is None where nothing has to be asked. `watched` are the log-only ones, permits and
    forbids in a set each, so that those which apply are named whatever the others say.
    `owners` maps each statement to its policy, `reads` is what all of them read of the context,
    `asks` maps those with obligations to these.
    """

    governed: bool
    enforced: Any
    watched: tuple[Any, ...]
    owners: Mapping[str, str]
    reads: Reads
    asks: Mapping[str, tuple[obligations.Obligation, ...]]


@dataclass(frozen=True, slots=True)
class PolicyIndex:
    """All active policies.

    `broken` names enforced ones that cannot be read any more, `permitted` the actions and groups
    that an enforced permit names.
    """

    statements: tuple[Statement, ...]
    broken: tuple[str, ...]
    governed: frozenset[str]
    permitted: frozenset[str]
    _slices: dict[tuple[frozenset[str], str, Roles, bool], PolicySlice] = field(
        default_factory=dict
    )
    _sets: dict[tuple[str, ...], Any] = field(default_factory=dict)
    _open: dict[tuple[frozenset[str], tuple[str, ...], bool, bool], Any] = field(
        default_factory=dict
    )

    def governs(self, tool: str, actions: frozenset[str]) -> bool:
        """Whether the tool is governed: for good once it was, or by a permit that names it now."""
        return tool in self.governed or not self.permitted.isdisjoint(actions)

    def slice_for(self, tool: str, actions: frozenset[str], kind: str, roles: Roles) -> PolicySlice:
        """The policies that can concern a call of `tool` by such a principal."""
        key = (actions, kind, roles, self.governs(tool, actions))
        found = self._slices.get(key)
        if found is None:
            if len(self._slices) >= MAX_SLICES:
                self._slices.clear()
            found = self._slices[key] = self._cut(*key)
        return found

    def _cut(self, actions: frozenset[str], kind: str, roles: Roles, governed: bool) -> PolicySlice:
        concerned = [one for one in self.statements if one.concerns(actions, kind, roles)]
        enforced = [one for one in concerned if not one.log_only]
        watched = [
            self._set([one for one in concerned if one.log_only and one.effect == effect])
            for effect in ("permit", "forbid")
        ]
        return PolicySlice(
            governed=governed,
            enforced=self._set(enforced, ungoverned=not governed),
            watched=tuple(one for one in watched if one is not None),
            owners={one.uid: one.policy for one in concerned},
            reads=reads_of(one.source for one in concerned),
            asks={one.uid: one.asks for one in concerned if one.asks},
        )

    def _set(self, statements: Sequence[Statement], *, ungoverned: bool = False) -> Any:
        """One parsed set for each combination, None for no statements."""
        if not statements:
            return None
        sources = _sources(statements, ungoverned=ungoverned)
        key = tuple(sorted(sources))
        if key not in self._sets:
            self._sets[key] = policy_set(sources)
        return self._sets[key]

    def open_set(self, part: PolicySlice, lacking: frozenset[str], *, any_resource: bool) -> Any:
        """The enforced policies of `part`, to whom parameters that the call lacks will be there.

        So `has` is answered, and whoever reads one fails for want of it. With `any_resource` the
        resource is not known either.
        """
        key = (lacking, tuple(part.owners), part.governed, any_resource)
        if key not in self._open:
            if len(self._open) >= MAX_SLICES:
                self._open.clear()
            enforced = [
                replace(one, source=_given(one.source, lacking))
                for one in self.statements
                if one.uid in part.owners and not one.log_only
            ]
            if any_resource:
                enforced = [found for one in enforced if (found := _of_any_resource(one))]
            self._open[key] = policy_set(_sources(enforced, ungoverned=not part.governed))
        return self._open[key]


def _sources(statements: Iterable[Statement], *, ungoverned: bool) -> dict[str, Json]:
    stand_in = {UNGOVERNED: parse(_UNGOVERNED_TEXT)[0]} if ungoverned else {}
    return {one.uid: one.source for one in statements} | stand_in


def _given(source: Json, lacking: frozenset[str]) -> Json:
    """A statement's source in which every question whether one of `lacking` is there says yes."""
    if isinstance(source, list):
        return [_given(one, lacking) for one in source]
    if not isinstance(source, Mapping):
        return source
    asked = source.get("has")
    if asked and asked.get("left") == _PARAMETERS and asked.get("attr") in lacking:
        return {"Value": True}
    return {name: _given(member, lacking) for name, member in source.items()}


def _of_any_resource(one: Statement) -> Statement | None:
    """A permit without what it asks of the resource; None for a forbid that asks anything of it."""
    source = one.source
    conditions = [each for each in source["conditions"] if not _asks_for_resource(each)]
    if source["resource"]["op"] == "All" and conditions == source["conditions"]:
        return one
    if one.effect == "forbid":
        return None
    return replace(one, source={**source, "resource": {"op": "All"}, "conditions": conditions})


def _asks_for_resource(source: Json) -> bool:
    if source in _RESOURCE:
        return True
    members = source.values() if isinstance(source, Mapping) else source
    return isinstance(source, Mapping | list) and any(map(_asks_for_resource, members))


def policy_set(sources: Mapping[str, Json]) -> Any:
    """A Cedar policy set in which every statement goes by its own id."""
    document = {"staticPolicies": dict(sources), "templates": {}, "templateLinks": []}
    return cedarpy.PolicySet.from_json_str(json.dumps(document))


@lru_cache(maxsize=4096)
def parse(text: str) -> tuple[Json, ...]:
    """The statements of a Cedar text in its JSON form; raises `PolicyError` with what is wrong."""
    measure(text)
    try:
        document = json.loads(cedarpy.policies_to_json_str(text))
        policy_set(document["staticPolicies"])
    except (ValueError, RecursionError) as error:
        raise PolicyError(f"The policy cannot be read: {error}.") from error
    if document["templates"]:
        raise PolicyError("Templates (?principal, ?resource) are not used here. Name the role.")
    statements = document["staticPolicies"]
    if not statements:
        raise PolicyError("There is no permit and no forbid in this policy.")
    return tuple(statements[name] for name in sorted(statements, key=_position))


def _position(name: str) -> int:
    return int(name.removeprefix("policy"))


def index(documents: Iterable[Mapping[str, Json]], governed: Iterable[str]) -> PolicyIndex:
    """The index of the world's policies."""
    statements: list[Statement] = []
    broken: list[str] = []
    for document in documents:
        try:
            statements.extend(_statements(document))
        except PolicyError:
            if not document.get("log_only"):
                broken.append(str(document["id"]))
    permits = (one for one in statements if one.effect == "permit" and not one.log_only)
    return PolicyIndex(
        statements=tuple(statements),
        broken=tuple(broken),
        governed=frozenset(governed),
        permitted=frozenset(name for one in permits for name in one.actions or ()),
    )


def _statements(document: Mapping[str, Json]) -> list[Statement]:
    sources = parse(str(document["text"]))
    return [
        _statement(document, source, f"#{number}" if len(sources) > 1 else "")
        for number, source in enumerate(sources, 1)
    ]


def _statement(document: Mapping[str, Json], source: Json, suffix: str) -> Statement:
    kind, role = _principal(source["principal"])
    return Statement(
        uid=f"{document['id']}{suffix}",
        policy=str(document["id"]),
        effect=source["effect"],
        log_only=bool(document.get("log_only")),
        source=source,
        actions=_actions(source["action"]),
        kind=kind,
        role=role,
        asks=_asks(source),
    )


def _asks(source: Json) -> tuple[obligations.Obligation, ...]:
    """Unknown annotations ask for nothing; one that is known and not right is a broken policy."""
    try:
        return obligations.of_annotations(source.get("annotations") or {})
    except ValueError as error:
        raise PolicyError(str(error)) from error


def _actions(scope: Mapping[str, Json]) -> frozenset[str] | None:
    """The actions and groups that a scope names, None where it names none."""
    if scope["op"] == "All":
        return None
    entities = scope.get("entities") or [scope["entity"]]
    return frozenset(one["id"] for one in entities if one["type"] == names.ACTION)


def _principal(scope: Mapping[str, Json]) -> tuple[str, str]:
    """The kind of principal and the role that a scope asks for, "" where it does not."""
    kind = str(scope.get("entity_type", ""))
    if scope["op"] == "==":
        return str(scope["entity"]["type"]), ""
    container = scope["entity"] if scope["op"] == "in" else scope.get("in", {}).get("entity")
    if container and container["type"] == names.ROLE:
        return kind, str(container["id"])
    return kind, ""


def governs(text: str, tools: Mapping[str, Mapping[str, Json]] | None = None) -> frozenset[str]:
    """The tools that a permit of `text` names, also through a group of `tools` (world slice)."""
    named: set[str] = set()
    for source in parse(text):
        if source["effect"] == "permit":
            named |= _actions(source["action"]) or set()
    members = {
        name for name, tool in (tools or {}).items() if not named.isdisjoint(groups_of(tool))
    }
    return frozenset(name for name in named if "=" not in name) | members


def groups_of(tool: Mapping[str, Json]) -> frozenset[str]:
    """The action groups that a tool is in."""
    return frozenset(
        [names.system_group(str(tool["system"])), names.effect_group(str(tool["effect"]))]
    )
