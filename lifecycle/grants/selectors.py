"""Reads of grants: a person's own with what was done on each, and security's list of all."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from django.db.models import Count, Q, QuerySet

from audit import in_name
from audit.errors import SearchTooSlow
from audit.in_name import Span, Used
from authz import rights
from authz.enums import HoldState
from authz.errors import NoSuchGrant
from authz.models import Delegation, Grant, Hold
from authz.narrowings import in_words
from lifecycle.grants import rules, words
from registry.models import Agent, Person, Tool


@dataclass(frozen=True, slots=True)
class May:
    """A tool of a grant: what it does in words, what it is held to, and how it was used.

    `lost` says why it is refused by now although the grant names it, "" where it is not.
    """

    name: str
    said: str
    system: str
    effect: str
    limits: tuple[str, ...]
    lost: str
    calls: int
    refused: int
    last: datetime | None


@dataclass(frozen=True, slots=True)
class Handed:
    """An agent to which some of a grant was handed on: for what, and until when at the latest."""

    agent: str
    tools: tuple[str, ...]
    until: datetime


@dataclass(frozen=True, slots=True)
class Held:
    """A grant as its person sees it.

    `counted` is False where counting took too long, `young` where it was given these two weeks.
    """

    grant: Grant
    live: bool
    near: bool
    young: bool
    left: str
    why: str
    may: tuple[May, ...]
    handed: tuple[Handed, ...]
    others: tuple[Used, ...]
    counted: bool

    @property
    def calls(self) -> int:
        """How many calls in the person's name went on."""
        return sum(each.calls for each in self.may) + sum(each.went_on for each in self.others)

    @property
    def refused(self) -> int:
        """How many were refused or held."""
        return sum(each.refused for each in self.may) + sum(each.refused for each in self.others)

    @property
    def last(self) -> datetime | None:
        """When the newest call went on."""
        found = [each.last for each in self.may] + [each.last for each in self.others]
        return max((at for at in found if at), default=None)

    @property
    def never_used(self) -> tuple[May, ...]:
        """What it was let do and never did."""
        return tuple(each for each in self.may if not each.calls)


# One's own


def own(person: Person) -> QuerySet[Grant]:
    """Every grant that a person ever gave, newest first."""
    rows = Grant.objects.filter(person=person)
    return rows.select_related("agent__owner", "person", "ended_by")


def live_of(person: Person, now: datetime) -> QuerySet[Grant]:
    """Those on which an agent may act now, the next to end first."""
    return own(person).filter(ended_at__isnull=True, until__gt=now).order_by("until", "pk")


def over_of(person: Person, now: datetime) -> QuerySet[Grant]:
    """Those that are over."""
    return own(person).filter(Q(ended_at__isnull=False) | Q(until__lte=now))


def own_grant(person: Person, grant_id: UUID) -> Grant:
    """One of a person's own. Raises `NoSuchGrant`."""
    found = own(person).filter(pk=grant_id).first()
    if found is None:
        raise NoSuchGrant()
    return found


def held(grants: Sequence[Grant], now: datetime) -> list[Held]:
    """What is told of grants of one person: a fixed number of queries for any number of them."""
    if not grants:
        return []
    used = _used(grants)
    handed = _handed(grants, now)
    names = {name for grant in grants for name in grant.tools}
    rows = Tool.objects.filter(name__in=names).select_related("system")
    tools = {tool.name: tool for tool in rows}
    reach = _reach(grants[0].person, [grant.agent for grant in grants])
    return [
        Held(
            grant=grant,
            live=rules.is_live(grant, now),
            near=rules.is_near(grant, now),
            young=now - grant.given_at < rules.YOUNG,
            left=words.left(grant.until, now) if rules.is_live(grant, now) else "",
            why="" if rules.is_live(grant, now) else words.why_ended(grant, whose="You", now=now),
            may=tuple(_may(grant, tools, reach, used)),
            handed=handed.get(grant.pk, ()),
            others=tuple(
                each for each in (used or {}).get(grant.pk, ()) if each.tool not in grant.tools
            ),
            counted=used is not None,
        )
        for grant in grants
    ]


@dataclass(frozen=True, slots=True)
class _Reach:
    """What a person may do by their roles, and what agents' rows name."""

    person: frozenset[str]
    agents: Mapping[int, frozenset[str]]

    def lost(self, agent: Agent, tool: str) -> str:
        """Why a call of it is refused whatever the grant says."""
        if tool not in self.person:
            return "you may not do it yourself any more"
        if tool not in self.agents.get(agent.pk, ()):
            return f"the row of {agent.slug} names it no more"
        return ""


def _reach(person: Person, agents: Sequence[Agent]) -> _Reach:
    rows: dict[int, set[str]] = defaultdict(set)
    pairs = Tool.objects.filter(allowlisted__agent__in=agents).values_list(
        "allowlisted__agent", "name"
    )
    for agent, name in pairs:
        rows[agent].add(name)
    theirs = rights.tools_of(person).values_list("name", flat=True)
    return _Reach(frozenset(theirs), {agent: frozenset(names) for agent, names in rows.items()})


def _may(
    grant: Grant,
    tools: Mapping[str, Tool],
    reach: _Reach,
    used: Mapping[UUID, Sequence[Used]] | None,
) -> Iterable[May]:
    counts = {each.tool: each for each in (used or {}).get(grant.pk, ())}
    for name, narrowing in sorted(grant.tools.items()):
        tool, count = tools.get(name), counts.get(name)
        yield May(
            name=name,
            said=words.said(tool, name),
            system=tool.system.name if tool else "",
            effect=tool.effect if tool else "",
            limits=tuple(in_words(narrowing)),
            lost=reach.lost(grant.agent, name),
            calls=count.went_on if count else 0,
            refused=count.refused if count else 0,
            last=count.last if count else None,
        )


def span_of(grant: Grant) -> Span:
    """From when until when the agent could act on it."""
    return Span(
        str(grant.pk), grant.person.pid, grant.agent.slug, grant.given_at, rules.ends_at(grant)
    )


def _used(grants: Sequence[Grant]) -> dict[UUID, list[Used]] | None:
    """What was called on each; None where counting took too long."""
    found: dict[UUID, list[Used]] = defaultdict(list)
    with suppress(SearchTooSlow):
        for each in in_name.uses_of([span_of(grant) for grant in grants]):
            found[UUID(each.key)].append(each)
        return found
    return None


def _handed(grants: Sequence[Grant], now: datetime) -> dict[UUID, tuple[Handed, ...]]:
    links = live_links(grants, now).select_related("receiver")
    found: dict[UUID, dict[str, list[Delegation]]] = defaultdict(lambda: defaultdict(list))
    for link in links:
        found[link.grant_id][link.receiver.slug].append(link)  # type: ignore[index]
    return {
        grant: tuple(
            Handed(
                agent,
                tuple(sorted({name for each in every for name in each.tools})),
                max(each.until for each in every),
            )
            for agent, every in sorted(by_agent.items())
        )
        for grant, by_agent in found.items()
    }


def live_links(grants: Sequence[Grant], now: datetime) -> QuerySet[Delegation]:
    """What is handed on of these grants, and counts now."""
    return Delegation.objects.filter(grant__in=grants, ended_at__isnull=True, until__gt=now)


def waiting_in_name(grants: Sequence[Grant], now: datetime) -> int:
    """How many actions wait for a human that would be refused if these grants ended."""
    agents = {grant.agent.slug for grant in grants}
    agents |= set(live_links(grants, now).values_list("receiver__slug", flat=True))
    people = {grant.person.pid for grant in grants}
    return Hold.objects.filter(agent__in=agents, user__in=people, state=HoldState.OPEN).count()


# Asked again


@dataclass(frozen=True, slots=True)
class Again:
    """What can be given of a grant once more, as things are now.

    `may` are the tools that both still have, with how each was used; `lost` those that one of them
    has lost; `withheld` what the person may do and the agent never gets.
    """

    held: Held
    may: tuple[May, ...]
    lost: tuple[May, ...]
    withheld: tuple[Tool, ...]


def again(grant: Grant, now: datetime) -> Again:
    """Evaluate a grant anew."""
    offer = rights.offer_of(grant.person, grant.agent)
    (found,) = held([grant], now)
    return Again(
        held=found,
        may=tuple(each for each in found.may if each.name in offer.names),
        lost=tuple(each for each in found.may if each.name not in offer.names),
        withheld=offer.withheld,
    )


# Everybody's


def visible(person: Person) -> QuerySet[Grant]:
    """The grants that somebody may see: everyone's for readers of the register, else their own."""
    rows = Grant.objects.select_related("agent__owner", "person", "ended_by")
    if not person.may_act:
        return rows.none()
    return rows if person.reads_everything else rows.filter(person=person)


def narrowed(
    rows: QuerySet[Grant], now: datetime, *, agent: str = "", person: str = "", state: str = ""
) -> QuerySet[Grant]:
    """Of these grants, those that fit. `person` is a part of a name or address, or the whole id."""
    live = Q(ended_at__isnull=True, until__gt=now)
    if agent:
        rows = rows.filter(agent__slug__icontains=agent)
    if person:
        rows = rows.filter(
            Q(person__name__icontains=person)
            | Q(person__email__icontains=person)
            | Q(person__pid=person)
        )
    if state:
        rows = rows.filter(live) if state == "live" else rows.exclude(live)
    return rows


@dataclass(frozen=True, slots=True)
class OfAgent:
    """How many people let an agent act for them now, and how many did in all."""

    live: int
    ever: int
    near: datetime | None


def of_agent(agent: Agent, now: datetime) -> OfAgent:
    """Counts alone: who they are is told to nobody but readers of the register."""
    rows = Grant.objects.filter(agent=agent)
    live = rows.filter(ended_at__isnull=True, until__gt=now)
    counted = rows.aggregate(ever=Count("person", distinct=True))
    first = live.order_by("until").values_list("until", flat=True).first()
    return OfAgent(live.count(), counted["ever"], first)
