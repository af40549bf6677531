"""Whom and what a search looks at, in an order that stays.

Only what certainly is refused is left out here, by the row's state, the allowlist and the roles;
a row in observe mode is told to go on whatever they say, so nothing is left out for it.
"""

from __future__ import annotations

import heapq
from collections.abc import Collection, Iterable
from dataclasses import dataclass

from django.db.models import Q, QuerySet

from authz.engine.names import PERSON_WORDS
from authz.engine.types import Document, SubjectKind
from authz.resolve import OWN_SOURCE
from authz.search.facts import Known
from authz.search.questions import Searched
from authz.wire import AGENT, TOOL
from registry.enums import AgentState, Employment, ResourceMatch
from registry.models import Agent, ExternalIdentity, Person


@dataclass(frozen=True, slots=True)
class Candidate:
    """Someone or something that may be a result; `key` is the slice of a subject."""

    name: str
    key: str = ""


def after(known: Known, place: str, most: int) -> list[Candidate]:
    """The next candidates in order, at most `most`; none for what is not on the register."""
    if not _asks_about_known_things(known):
        return []
    searched = known.question.searched
    if searched is Searched.SUBJECT:
        find = _agents if known.ask.subject_type == AGENT else _people
        return find(known, place, most)
    names = _resources(known) if searched is Searched.RESOURCE else _actions(known)
    return [Candidate(name) for name in heapq.nsmallest(most, (n for n in names if n > place))]


def _asks_about_known_things(known: Known) -> bool:
    searched, tool = known.question.searched, known.ask.tool
    tool_known = known.question.searches_tools or tool in known.world.tools
    resource_known = searched is Searched.RESOURCE or _is_known_resource(known)
    return known.ask.subject_type in (AGENT, *PERSON_WORDS) and tool_known and resource_known


def _is_known_resource(known: Known) -> bool:
    """Can it be there? Of a type whose things are loaded there are no others."""
    kind, name, world = known.ask.resource_type, known.ask.resource_id, known.world
    if kind in world.types and kind not in world.systems:
        loaded = world.entities.get(kind)
        return not loaded or name in loaded
    return not kind or kind in world.systems or known.question.names_tool


# Subjects


def _agents(known: Known, place: str, most: int) -> list[Candidate]:
    listed = Q(
        pk__in=Agent.objects.filter(
            allowlist__tool__name=known.ask.tool, roles__slug__in=_granting(known)
        )
    )
    agents = Agent.objects.filter(listed | Q(observe_until__gt=known.now), slug__gt=place)
    slugs = agents.filter(state=AgentState.ACTIVE).order_by("slug").values_list("slug", flat=True)
    return [Candidate(slug, f"agent:{slug}") for slug in slugs[:most]]


def _people(known: Known, place: str, most: int) -> list[Candidate]:
    """People who act alone, or those for whom the agent that the question names may act."""
    if known.ask.kind is SubjectKind.AGENT and known.agent is None:
        return []
    people = Person.objects.exclude(employment=Employment.LEFT)
    if not _may_observe(known.agent):
        holding = Person.objects.filter(roles__slug__in=_granting(known))
        people = people.filter(pk__in=holding)
    if known.source == OWN_SOURCE:
        pids = people.filter(pid__gt=place).order_by("pid").values_list("pid", flat=True)
        return [Candidate(pid, f"user:{pid}") for pid in pids[:most]]
    return [Candidate(name, f"user:{pid}") for name, pid in _named(people, known, place)[:most]]


def _named(
    people: QuerySet[Person], known: Known, place: str
) -> QuerySet[ExternalIdentity, tuple[str, str]]:
    identities = ExternalIdentity.objects.filter(
        source=known.source, external_id__gt=place, person__in=people
    )
    return identities.order_by("external_id").values_list("external_id", "person__pid")


def _granting(known: Known) -> Collection[str]:
    return known.world.grants.get(known.ask.tool, frozenset())


# Resources and actions


def _resources(known: Known) -> Iterable[str]:
    """Loaded things of the type, and what is registered by its exact name in the system."""
    kind, world = known.question.type, known.world
    names = set(world.entities.get(kind) or ())
    system = world.systems.get(kind) or {}
    names |= {one["name"] for one in system.get("resources", ()) if one["match"] == _EXACT}
    tools = _tools_of_subject(known)
    if known.question.searches_tools:
        return tools
    if known.ask.tool not in tools:
        return ()
    return names | {known.ask.tool} if kind == TOOL else names


def _actions(known: Known) -> Iterable[str]:
    tools = _tools_of_subject(known)
    return tools & {known.ask.resource_id} if known.question.names_tool else tools


def _tools_of_subject(known: Known) -> frozenset[str]:
    """The tools that the subject could be allowed at all."""
    every = frozenset(known.world.tools)
    if _may_observe(known.agent):
        return every
    holder = known.agent if known.ask.kind is SubjectKind.AGENT else known.person
    if holder is None:
        return frozenset()
    roles = frozenset(holder["roles"])
    granted = {tool for tool, granting in known.world.grants.items() if granting & roles}
    return every & granted & frozenset(holder.get("allowlist", granted))


def _may_observe(agent: Document | None) -> bool:
    """Is an end of observing set? Whether it has passed is for the walk to say."""
    return bool(agent and agent.get("observe_until"))


_EXACT = str(ResourceMatch.EXACT)
