"""What an agent reaches, computed here and nowhere else.

Allowlist entries name tools, tools name systems and resources, those carry tiers, categories,
country, trust. A tool that names no resource reaches the whole system with everything listed in
it, unless its parameters are narrowed to names that are known.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence, Set
from dataclasses import dataclass, replace
from datetime import date
from typing import Any

import rfc8785

from governance.kernel import clock, tiers
from registry import ceilings
from registry.enums import AgentState, CombinedEffect, Direction, Tier, ToolEffect, Trust
from registry.models import Agent, AllowlistEntry, Resource, System, Tool
from registry.rules import months_after, months_to_renewal, months_to_review
from registry.signing import ABOUT_HEALTH, ABOUT_PEOPLE, Step, has_words, roles_of, steps_for

_OF_ROW = (
    "allowlist__tool__system__resources",
    "allowlist__tool__accesses__system__resources",
    "allowlist__tool__system__agreements",
    "allowlist__tool__accesses__system__agreements",
)
# A chain is no longer than this, so nothing reaches further through others.
MAX_DEPTH = 3
# What `reach_of` reads of an agent; a list that prefetches it asks nothing more per row.
PREFETCH = (
    *_OF_ROW,
    "model_provider__resources",
    "model_provider__agreements",
    *(
        f"{'sub_agents__sub_agent__' * depth}{path}"
        for depth in range(1, MAX_DEPTH + 1)
        for path in _OF_ROW
    ),
)

Narrowing = Mapping[str, Any]
_ENDED = frozenset({AgentState.DECOMMISSIONING, AgentState.DECOMMISSIONED})


@dataclass(frozen=True, slots=True)
class Combination:
    """Data categories, and what is done, that are dangerous together; the tier that they imply.

    One that is `only_listed` is shown and asks for an answer; it raises no tier and needs no
    signature.
    """

    slug: str
    categories: frozenset[str]
    tier: Tier
    reason: str = ""
    effects: frozenset[str] = frozenset()
    only_listed: bool = False

    @property
    def members(self) -> frozenset[str]:
        """Everything that it takes; a category and an effect never have the same name here."""
        return members_of(self.categories, self.effects)

    def is_completed_by(self, members: Set[str]) -> bool:
        """Whether all of it is among `members`."""
        return self.members <= members


def members_of(categories: Iterable[str], effects: Iterable[str]) -> frozenset[str]:
    """Categories and effects as one set; an effect is written `effect:<name>`."""
    return frozenset(categories) | {f"effect:{effect}" for effect in effects}


@dataclass(frozen=True, slots=True)
class Place:
    """One system, or one resource of it, in one direction, and by which tools."""

    system: str
    resource: str
    match: str
    direction: Direction
    tier: Tier
    categories: tuple[str, ...]
    country: str
    environment: str
    trust: str
    tools: tuple[str, ...] = ()
    # Who runs the system, where that is someone else, and what is in force with them.
    provider: str = ""
    agreements: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Reach:
    """Everything that follows from what an agent may call."""

    reads: tuple[Place, ...]
    writes: tuple[Place, ...]
    categories: tuple[str, ...]
    read_tier: Tier
    write_tier: Tier
    own_tier: Tier
    tier: Tier
    sinks: tuple[Place, ...]
    combinations: tuple[Combination, ...]
    model_provider: str
    model_country: str
    digest: str
    # Where the model runs: what is read flows there.
    home: Place | None = None
    # In words, the limits that lie above the ceilings of the installation.
    over_ceiling: tuple[str, ...] = ()
    # What the tools do, and what is read: `registry.enums.CombinedEffect`.
    effects: tuple[str, ...] = ()
    # Completed combinations that are only listed.
    listed: tuple[Combination, ...] = ()
    # The agents that it may hand over to, and those that they may, each with its own reach.
    below: tuple[tuple[str, Reach], ...] = ()

    @property
    def members(self) -> frozenset[str]:
        """What of a toxic combination it has, with all that a chain from it can reach."""
        own = members_of(self.categories, self.effects)
        return own.union(*(reach.members for _, reach in self.below))

    @property
    def review_tier(self) -> Tier:
        """The tier that decides who must sign."""
        return self.tier

    @property
    def steps(self) -> tuple[Step, ...]:
        """Whose word the row needs before it runs, in how many business days, and why."""
        return steps_for(self)

    @property
    def signers(self) -> tuple[str, ...]:
        """The roles of those steps."""
        return roles_of(self.steps)

    @property
    def review_within_days(self) -> int:
        """Business days in which they answer; 0 is the same day."""
        return max(step.days for step in self.steps)

    @property
    def is_about_people(self) -> bool:
        """Whether data of customers or other people is touched."""
        return has_words(self.categories, ABOUT_PEOPLE | ABOUT_HEALTH)

    def review_due(self, today: date) -> date:
        """When someone else than its owner looks at it again."""
        return months_after(today, months_to_review(self.tier, about_people=self.is_about_people))

    def renewal_due(self, today: date) -> date:
        """When the owner must confirm that the agent is still needed."""
        return months_after(today, months_to_renewal(self.tier))


def _no_catalogue() -> Sequence[Combination]:
    return ()


_catalogue: list[Callable[[], Sequence[Combination]]] = [_no_catalogue]


def use_catalogue(read: Callable[[], Sequence[Combination]]) -> None:
    """Have `read` give the active toxic combinations: the catalogue lies in an app above."""
    _catalogue[0] = read


def catalogue() -> Sequence[Combination]:
    """The active toxic combinations, read now."""
    return _catalogue[0]()


def reaches_of(agents: Iterable[Agent]) -> list[tuple[Agent, Reach]]:
    """Each agent with its reach; the catalogue is read once for all of them."""
    combinations = catalogue()
    return [(agent, reach_of(agent, combinations)) for agent in agents]


def reach_of(agent: Agent, combinations: Sequence[Combination] | None = None) -> Reach:
    """What `agent` reaches now; `combinations` None means the installed catalogue."""
    entries = [(entry.tool, entry.narrowing) for entry in agent.allowlist.all()]
    reach = reach_of_draft(
        entries=entries,
        model_provider=agent.model_provider,
        combinations=combinations,
        below=below_of(agent),
    )
    return replace(reach, digest=_digest(agent, reach), over_ceiling=tuple(ceilings.above(agent)))


def below_of(agent: Agent) -> tuple[tuple[str, Reach], ...]:
    """Every agent that a chain from this one can come to, once, each by its own tools alone."""
    found: dict[str, Reach] = {}
    level = [agent]
    for _ in range(MAX_DEPTH):
        named = [one.sub_agent for each in level for one in each.sub_agents.all()]
        level = [one for one in named if one.slug not in found and one.slug != agent.slug]
        level = [one for one in level if one.state not in _ENDED]
        for one in level:
            entries = [(entry.tool, entry.narrowing) for entry in one.allowlist.all()]
            found[one.slug] = reach_of_draft(entries=entries, combinations=())
    return tuple(sorted(found.items()))


def reach_of_draft(
    *,
    entries: Iterable[tuple[Tool, Narrowing]],
    model_provider: System | None = None,
    combinations: Sequence[Combination] | None = None,
    below: Sequence[tuple[str, Reach]] = (),
) -> Reach:
    """What an agent with these tools would reach; it has no digest that could be cleared.

    What is toxic is judged by the union with `below`: what comes together anywhere in a chain.
    """
    entries = list(entries)
    places = _places(entries)
    reads = tuple(place for place in places if place.direction == Direction.READS)
    writes = tuple(place for place in places if place.direction == Direction.WRITES)
    categories = tuple(sorted({name for place in places for name in place.categories}))
    effects = effects_of((tool.effect for tool, _ in entries), reads)
    members = members_of(categories, effects).union(*(each.members for _, each in below))
    active = catalogue() if combinations is None else combinations
    found = [one for one in active if one.is_completed_by(members)]
    completed = tuple(one for one in found if not one.only_listed)
    read_tier, write_tier = _highest(reads), _highest(writes)
    home = place_in(model_provider, "", Direction.WRITES) if model_provider else None
    own_tier = max(read_tier, write_tier, key=lambda tier: tier.rank)
    return Reach(
        reads=reads,
        writes=writes,
        categories=categories,
        read_tier=read_tier,
        write_tier=write_tier,
        own_tier=own_tier,
        tier=Tier(tiers.highest([own_tier, *(one.tier for one in completed)])),
        sinks=_sinks(read_tier, writes, home),
        combinations=completed,
        model_provider=model_provider.slug if model_provider else "",
        model_country=model_provider.country if model_provider else "",
        digest="",
        home=home,
        effects=effects,
        listed=tuple(one for one in found if one.only_listed),
        below=tuple(below),
    )


def effects_of(done: Iterable[str], reads: Iterable[Place]) -> tuple[str, ...]:
    """What counts in a combination beside categories: what tools do, and what is read."""
    found = {str(CombinedEffect(effect)) for effect in done if effect != ToolEffect.READ}
    for place in reads:
        if place.tier.rank >= Tier.CONFIDENTIAL.rank:
            found.add(str(CombinedEffect.PRIVATE_DATA))
        if place.trust != Trust.TRUSTED:
            found.add(str(CombinedEffect.UNTRUSTED_CONTENT))
    return tuple(sorted(found))


def place_in(system: System, name: str, direction: Direction) -> Place:
    """Where `name` lies in `system`: the longest match, else the system itself."""
    listed = [_facts(resource) for resource in system.resources.all()]
    found = tiers.most_specific(listed, name) if name else None
    place = found or {"match": "", "tier": system.tier, "categories": system.categories}
    return _place(system, direction, {**place, "name": name})


def _facts(resource: Resource) -> dict[str, Any]:
    # Not `effective_categories`: that would fetch the system again.
    return {
        "name": resource.name,
        "match": resource.match,
        "tier": resource.effective_tier,
        "categories": resource.categories,
    }


def _place(system: System, direction: Direction, facts: Mapping[str, Any]) -> Place:
    return Place(
        system=system.slug,
        resource=facts["name"],
        match=facts["match"],
        direction=direction,
        tier=Tier(facts["tier"] or Tier.RESTRICTED),
        categories=tuple(sorted(facts["categories"] or system.categories)),
        country=system.country,
        environment=system.environment,
        trust=system.trust,
        provider=system.provider,
        agreements=_in_force(system) if system.provider else (),
    )


def _in_force(system: System) -> tuple[str, ...]:
    """The kinds of agreements with whoever runs the system that hold today."""
    today = clock.now().date()
    return tuple(
        sorted(
            {
                each.kind
                for each in system.agreements.all()
                if each.signed_on <= today and (each.expires_on is None or each.expires_on >= today)
            }
        )
    )


def _places(entries: Iterable[tuple[Tool, Narrowing]]) -> list[Place]:
    """Every place once for each direction, with the tools that go there."""
    tools: dict[Place, set[str]] = {}
    for tool, narrowing in entries:
        for system, resource, direction in tool.touches():
            for place in _touched(tool, narrowing, system, resource, direction):
                tools.setdefault(place, set()).add(tool.name)
    found = [replace(place, tools=tuple(sorted(names))) for place, names in tools.items()]
    return sorted(found, key=lambda one: (one.system, one.resource, one.match, one.direction))


def _touched(
    tool: Tool, narrowing: Narrowing, system: System, resource: str, direction: Direction
) -> list[Place]:
    names = [resource] if resource else _known_names(tool, narrowing, system)
    if names:
        return [place_in(system, name, direction) for name in names]
    listed = [_place(system, direction, _facts(one)) for one in system.resources.all()]
    return [place_in(system, "", direction), *listed]


def _known_names(tool: Tool, narrowing: Narrowing, system: System) -> list[str]:
    """The only resources that a tool can be pointed at by its parameter; empty if any."""
    if not tool.resource_parameter or system.pk != tool.system_id:
        return []
    schemas = (tool.schema, narrowing)
    if not any(tool.resource_parameter in _list(each, "required") for each in schemas):
        return []
    listed = [_enumerated(each, tool.resource_parameter) for each in schemas]
    allowed = [set(names) for names in listed if names]
    return sorted(set.intersection(*allowed)) if allowed else []


def _list(schema: Narrowing, key: str) -> list[Any]:
    found = schema.get(key)
    return found if isinstance(found, list) else []


def _enumerated(schema: Narrowing, parameter: str) -> list[str]:
    """The only values that `parameter` may take, if the schema lists them as texts."""
    properties = schema.get("properties")
    rule = properties.get(parameter) if isinstance(properties, dict) else None
    if not isinstance(rule, dict):
        return []
    values = [rule["const"]] if "const" in rule else _list(rule, "enum")
    return (
        sorted(values)
        if values and all(isinstance(value, str) and value for value in values)
        else []
    )


def _highest(places: Sequence[Place]) -> Tier:
    return Tier(tiers.highest(place.tier for place in places))


def _sinks(read_tier: Tier, writes: Sequence[Place], home: Place | None) -> tuple[Place, ...]:
    """Where data would sink: writes below the tier that is read, the model's home among them."""
    homes = [home] if home else []
    return tuple(place for place in (*writes, *homes) if place.tier.rank < read_tier.rank)


def _digest(agent: Agent, reach: Reach) -> str:
    """What a clearance is given for: calls, limits, identity, and the places behind them."""
    content: dict[str, Any] = {
        "pattern": agent.pattern,
        # Absent while it is not so, as it was before there was such a thing.
        **({"isolated_runs": True} if agent.isolated_runs else {}),
        **({"redirect_uris": sorted(agent.redirect_uris)} if agent.redirect_uris else {}),
        "model_provider": reach.model_provider,
        "limits": [agent.rate_per_minute, agent.rate_per_hour, agent.spend_cap_minor],
        "currency": agent.currency,
        **({"month": agent.spend_cap_month_minor} if agent.spend_cap_month_minor else {}),
        "entries": {entry.tool.name: _entry(entry) for entry in agent.allowlist.all()},
        # What its sub-agents reach is their rows' own review; whom it hands over to is this one's.
        **({"sub_agents": below} if (below := _sub_agents(agent)) else {}),
        "places": [
            [place.direction, place.system, place.resource, place.tier, list(place.categories)]
            for place in (*reach.reads, *reach.writes)
        ],
    }
    return hashlib.sha256(rfc8785.dumps(content)).hexdigest()


def _sub_agents(agent: Agent) -> dict[str, list[Any]]:
    return {
        one.sub_agent.slug: [one.result_schema, str(one.result_tier), one.result_trusted]
        for one in agent.sub_agents.all()
    }


def _entry(entry: AllowlistEntry) -> list[Any]:
    limits = [entry.rate_per_minute, entry.rate_per_hour, entry.write_quota_per_hour]
    # Absent while there are none, as they were before there was such a thing.
    return [entry.tool.version, entry.narrowing, limits, *([entry.gates] if entry.gates else [])]
