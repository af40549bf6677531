"""Finding toxic combinations: in one reach, and across a set of agents.

The set is the agents of one owner. What a chain of delegations reaches is part of the reach of the
agent that it begins with (`registry.reach.Reach.below`).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from governance.kernel import tiers
from lifecycle.models import ToxicSplit
from lifecycle.models.toxic import FindingScope
from lifecycle.toxic import rules
from registry.enums import AgentState, Direction
from registry.models import Agent, Person
from registry.reach import Combination, Place, Reach, catalogue, effects_of, reaches_of
from registry.selectors import agents_for_reach

# Nothing comes together any more in rows that ended.
ENDED = frozenset({AgentState.DECOMMISSIONING, AgentState.DECOMMISSIONED})


@dataclass(frozen=True, slots=True)
class Given:
    """Where an agent gets a part of it: the system, by which tools, and what part."""

    agent: str
    system: str
    resource: str
    tools: tuple[str, ...]
    gives: tuple[str, ...]
    tier: str = ""


@dataclass(frozen=True, slots=True)
class Found:
    """A completed combination. An agent that has no name yet is "".

    `connected` says that one of the agents can get hold of all of it.
    """

    slug: str
    scope: str
    agents: tuple[str, ...]
    categories: tuple[str, ...]
    tier: str
    reason: str
    places: tuple[Given, ...]
    connected: bool = False
    only_listed: bool = False
    effects: tuple[str, ...] = ()

    @property
    def blocks(self) -> bool:
        """Whether it asks for the review of toxic combinations before the row runs."""
        return self.connected and not self.only_listed


Reached = tuple[str, Reach]


def of_draft(owner: Person, reach: Reach, agent: Agent | None = None) -> tuple[Found, ...]:
    """What a row with `reach` completes, alone or with the other agents of `owner`.

    `agent` is the row itself where it is on the register; its stored reach is left out. Asks the
    database the same few questions however many agents there are.
    """
    name = agent.slug if agent else ""
    own = found_in(name, reach)
    others = [(each, reached) for each, reached in reaches_of_owner(owner) if each != name]
    across = found_across([*others, (name, reach)], catalogue(), junctions())
    return (*own, *(each for each in across if name in each.agents))


def reaches_of_owner(owner: Person) -> list[Reached]:
    """Every agent of the owner that has not ended, by slug."""
    rows = agents_for_reach().filter(owner=owner).exclude(state__in=ENDED).order_by("slug")
    return [(agent.slug, reach) for agent, reach in reaches_of(rows)]


def junctions() -> frozenset[str]:
    """Tools by which something is handed over under a policy of their own."""
    return ToxicSplit.objects.junction_tools()


def found_in(agent: str, reach: Reach) -> list[Found]:
    """What one reach completes, by itself or with those that it hands over to: it is connected."""
    return [
        _found(one, FindingScope.AGENT, [(agent, reach)], connected=True)
        for one in (*reach.combinations, *reach.listed)
    ]


def found_across(
    reached: Sequence[Reached], combinations: Iterable[Combination], junction: frozenset[str]
) -> list[Found]:
    """What several agents complete together and none of them alone."""
    parties = [_party(agent, reach, junction) for agent, reach in reached]
    found: list[Found] = []
    for one in combinations:
        having = rules.contributing(parties, one.members)
        if having:
            names = {party.agent for party in having}
            theirs = [each for each in reached if each[0] in names]
            # Whoever has all of it alone is a finding of its own, and connects nobody here.
            others = [party for party in parties if not party.members >= one.members]
            together = rules.is_connected(others, one.members)
            found.append(_found(one, FindingScope.OWNER, theirs, connected=together))
    return found


def _party(agent: str, reach: Reach, junction: frozenset[str]) -> rules.Party:
    return rules.Party(
        agent=agent,
        members=reach.members,
        reads=frozenset(_spots(reach.reads, junction)),
        writes=frozenset(_spots(reach.writes, junction)),
    )


def _spots(places: Iterable[Place], junction: frozenset[str]) -> Iterator[rules.Spot]:
    """Where it reads or writes by a tool that is not a junction."""
    for place in places:
        if set(place.tools) - junction:
            yield place.system, place.resource


def _found(one: Combination, scope: str, reached: Sequence[Reached], *, connected: bool) -> Found:
    return Found(
        slug=one.slug,
        scope=str(scope),
        agents=tuple(agent for agent, _ in reached),
        categories=tuple(sorted(one.categories)),
        tier=str(one.tier),
        reason=one.reason,
        places=tuple(dict.fromkeys(_places(reached, one))),
        connected=connected,
        only_listed=one.only_listed,
        effects=tuple(sorted(one.effects)),
    )


def _places(reached: Sequence[Reached], one: Combination) -> Iterator[Given]:
    for agent, reach in reached:
        for slug, each in ((agent, reach), *reach.below):
            yield from _given(slug, each, one)


def _given(agent: str, reach: Reach, one: Combination) -> Iterator[Given]:
    """The places that give a part of it. What only a tool does is shown on the agent's page."""
    seen: dict[tuple[str, str], list[Place]] = {}
    for place in (*reach.reads, *reach.writes):
        if one.members & members_of_place(place):
            seen.setdefault((place.system, place.resource), []).append(place)
    for (system, resource), places in sorted(seen.items()):
        yield Given(
            agent,
            system,
            resource,
            tools=tuple(sorted({tool for place in places for tool in place.tools})),
            gives=tuple(
                sorted({each for p in places for each in one.members & members_of_place(p)})
            ),
            tier=tiers.highest(place.tier for place in places),
        )


def members_of_place(place: Place) -> frozenset[str]:
    """What a place alone gives to a combination."""
    read = [place] if place.direction == Direction.READS else []
    effects = {f"effect:{effect}" for effect in effects_of((), read)}
    return frozenset(place.categories) | effects
