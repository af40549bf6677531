"""When something may be done to a policy, and what a relationship weighs. No queries, no writes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from authz.engine import names
from authz.engine.cedar_schema import PARENT
from authz.engine.cedar_text import PolicyError
from authz.engine.policies import parse
from authz.engine.types import Json
from authz.engine.world import MEMBER, TEAM_WORDS
from authz.enums import PolicyState
from governance.kernel.tiers import rank

S = PolicyState
POLICY_TRANSITIONS: dict[PolicyState, frozenset[PolicyState]] = {
    S.DRAFT: frozenset({S.PROPOSED, S.ACTIVE, S.RETIRED}),
    S.PROPOSED: frozenset({S.ACTIVE, S.RETIRED}),
    S.ACTIVE: frozenset({S.SUPERSEDED, S.RETIRED}),
    S.SUPERSEDED: frozenset(),
    S.RETIRED: frozenset(),
}

# Words that stand in the place of a policy's or a role's name in addresses.
RESERVED_NAMES = frozenset({"new", "check", "words", "toxic", "simulator", "coverage", "preview"})


def may_move(state: str, target: str) -> bool:
    """Whether a version in `state` may become `target`."""
    return PolicyState(target) in POLICY_TRANSITIONS[PolicyState(state)]


def reads_relation(texts: Iterable[str], *, of: str, relation: str, to: str) -> bool:
    """Whether one of these policies can decide otherwise for a relationship more or less.

    `of` is the type of the resource, `to` that of the subject. What stands above a thing and who
    is in a team is asked by every `in`, so such a relationship counts as read wherever one stands.
    """
    if relation == PARENT or (of in TEAM_WORDS and relation == MEMBER):
        return any(_asks_in(source) for text in texts for source in _parsed(text))
    attribute = names.relation_attribute(relation, to)
    return any(_names(source, attribute) for text in texts for source in _parsed(text))


def _parsed(text: str) -> tuple[Json, ...]:
    """The statements; one that cannot be read counts as one that reads everything."""
    try:
        return parse(text)
    except PolicyError:
        return ({"in": {}, "attr": None},)


def _names(source: Json, attribute: str) -> bool:
    """Does `.attribute` or `has attribute` stand anywhere in it?"""
    return any(node["attr"] in {attribute, None} for node in _nodes(source) if "attr" in node)


def _asks_in(source: Json) -> bool:
    """Does any `in` stand in it but that of a role or an action in its head?"""
    heads = (source.get("principal") or {}, source.get("resource") or {})
    kinds = {str((head.get("entity") or {}).get("type", "")) for head in heads if _is_in(head)}
    if kinds - {names.ROLE}:
        return True
    return any("in" in node for node in _nodes(source.get("conditions") or source))


def _is_in(head: Mapping[str, Json]) -> bool:
    return head.get("op") == "in" or "in" in head


def _nodes(source: Json) -> Iterator[Mapping[str, Json]]:
    waiting: list[Json] = [source]
    while waiting:
        item = waiting.pop()
        if isinstance(item, Mapping):
            yield item
            waiting.extend(item.values())
        elif isinstance(item, list):
            waiting.extend(item)


def toxic_widens(before: Mapping[str, Json], after: Mapping[str, Json]) -> bool:
    """Whether a combination that reads so would be found less often, or imply less.

    The database says the same once more (`authz_guard_toxic`). Fewer parts are completed sooner.
    """
    if not before["is_active"]:
        return False
    more = [set(after[name]) - set(before[name]) for name in ("categories", "effects")]
    lower = rank(str(after["implied_tier"])) < rank(str(before["implied_tier"]))
    quieter = bool(after["only_listed"]) and not before["only_listed"]
    return any(more) or lower or quieter or not after["is_active"]
