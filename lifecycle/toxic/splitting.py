"""Making two rows of one, each on one side, and the junction between them.

The junction is a system with two resources, one for each side, and one tool that writes into
either. It is read by nothing on the register: what puts the two together stands behind it, under
a policy that lets each side hand over its own part and nobody else anything.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from authz import services as authorization
from authz.models import Role
from lifecycle.models import ToxicFinding, ToxicSplit
from lifecycle.toxic import rules
from lifecycle.toxic.errors import CannotSplit
from lifecycle.toxic.findings import members_of_place
from registry import services as register
from registry.enums import ToolEffect, Trust
from registry.models import Agent, AllowlistEntry, Person, System, Tool
from registry.reach import Reach, members_of, reach_of, reach_of_draft
from registry.selectors import agents_for_reach

FIRST, SECOND = "first", "second"
# What the two sides are like the row that they are made of.
COPIED = (
    *("kind", "purpose", "builder", "repository", "runs_at", "model", "model_provider"),
    *("pattern", "isolated_runs", "redirect_uris", "backup_owner"),
    *("rate_per_minute", "rate_per_hour"),
    *("spend_cap_minor", "spend_cap_month_minor", "currency", "lawful_basis", "data_subjects"),
    *("recipients", "retention", "data_role", "ai_act_use", "ai_act_role"),
)
LONGEST_SLUG = 60


@dataclass(frozen=True, slots=True)
class Plan:
    """Which tools go to which side."""

    first: tuple[str, ...]
    second: tuple[str, ...]


def plan_of(finding: ToxicFinding) -> Plan:
    """How the agent of a finding can be parted. `CannotSplit` where it cannot."""
    agent = agents_for_reach().get(slug=finding.agents[0])
    wanted = members_of(finding.categories, finding.effects)
    gives = gives_of(agent, reach_of(agent))
    parted = rules.sides(gives, wanted)
    # What an agent has by its sub-agents alone, no split of its own tools takes from it.
    if parted is None or not frozenset().union(*gives.values()) >= wanted:
        raise CannotSplit()
    return Plan(tuple(parted[0]), tuple(parted[1]))


def gives_of(agent: Agent, reach: Reach) -> dict[str, frozenset[str]]:
    """Tool → what it gives to a combination."""
    gives = {
        entry.tool.name: members_of((), _effect(entry.tool.effect))
        for entry in agent.allowlist.all()
    }
    for place in (*reach.reads, *reach.writes):
        for tool in place.tools:
            gives[tool] |= members_of_place(place)
    return gives


def _effect(effect: str) -> list[str]:
    return [] if effect == ToolEffect.READ else [effect]


def open_drafts(finding: ToxicFinding, plan: Plan, by: Person) -> ToxicSplit:
    """Both rows as drafts of the same owner, with the tools, the limits and the roles of theirs."""
    agent = Agent.objects.select_related("owner", "backup_owner", "model_provider").get(
        slug=finding.agents[0]
    )
    first = _draft(agent, FIRST, plan.first, by)
    second = _draft(agent, SECOND, plan.second, by)
    system = _free(f"junction-{agent.slug}", System)
    return ToxicSplit.objects.create(
        finding=finding,
        agent=agent,
        first=first,
        second=second,
        system=system,
        tool=f"{system}.hand_over",
        policy=system,
        sides={FIRST: list(plan.first), SECOND: list(plan.second)},
        by=by,
    )


def _draft(agent: Agent, side: str, tools: Iterable[str], by: Person) -> Agent:
    details: Any = {name: getattr(agent, name) for name in COPIED}
    slug = _free(f"{agent.slug[: LONGEST_SLUG - 10]}-{side}", Agent)
    made = register.draft_agent(
        slug=slug, name=f"{agent.name}, {side} side"[:120], owner=agent.owner, by=by, **details
    )
    entries = AllowlistEntry.objects.filter(agent=agent, tool__name__in=list(tools))
    for entry in entries.select_related("tool"):
        register.set_allowlist_entry(
            agent_id=made.pk,
            tool=entry.tool,
            by=by,
            narrowing=entry.narrowing,
            rate_per_minute=entry.rate_per_minute,
            rate_per_hour=entry.rate_per_hour,
            write_quota_per_hour=entry.write_quota_per_hour,
            gates=entry.gates,
        )
    roles = Role.objects.filter(agents=agent, tools__name__in=list(tools)).distinct()
    authorization.set_agent_roles(agent_id=made.pk, roles=roles, by=by)
    return made


def _free(wanted: str, model: type[Agent] | type[System]) -> str:
    """A slug that is not taken: the wanted one, else with a number."""
    wanted = wanted[: LONGEST_SLUG - 3].rstrip("-_.")
    taken = set(
        model._default_manager.filter(slug__startswith=wanted).values_list("slug", flat=True)
    )
    names = (wanted if number == 1 else f"{wanted}-{number}" for number in range(1, 1000))
    return next(name for name in names if name not in taken)


def policy_text(made: ToxicSplit) -> str:
    """The junction's own policy: a side hands over its own part, nobody else anything."""
    sides = " ||\n  ".join(
        f'(principal == Muster::Agent::"{agent.slug}" && context.parameters.side == "{side}")'
        for agent, side in ((made.first, FIRST), (made.second, SECOND))
    )
    return (
        f'forbid (principal, action == Muster::Action::"{made.tool}", resource)\n'
        f"unless {{\n  {sides}\n}};"
    )


def make_junction(made: ToxicSplit, tier: str, by: Person) -> None:
    """The system, the tool, its policy, and the tool in the rows of both sides."""
    sides = ((made.first, FIRST), (made.second, SECOND))
    register.save_system(
        slug=made.system,
        by=by,
        name=made.system,
        description=f"Where {made.first.slug} and {made.second.slug} hand over, apart.",
        tier=tier,
        trust=Trust.TRUSTED,
        resources=[_resource(agent, side) for agent, side in sides],
    )
    tool = register.save_tool(
        name=made.tool,
        by=by,
        system=System.objects.get(slug=made.system),
        title="Hand over one side",
        effect=ToolEffect.WRITE,
        resource_parameter="side",
        schema=_SCHEMA,
        accesses=None,
    ).row
    authorization.propose_policy(
        slug=made.policy,
        by=by,
        text=policy_text(made),
        description=f"Each side of the split of {made.agent.slug} hands over its own part.",
        why="The junction of a split has a policy of its own.",
    )
    for agent, side in sides:
        _let_hand_over(agent, side, tool, by)
    authorization.save_role(
        slug=made.system,
        by=by,
        description=f"Hands over to {made.system}.",
        tools=[tool],
        agents=[made.first, made.second],
    )


_SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {
        "side": {"type": "string", "enum": [FIRST, SECOND]},
        "value": {"type": "string", "maxLength": 4000},
    },
    "required": ["side", "value"],
    "additionalProperties": False,
}


def _resource(agent: Agent, side: str) -> Any:
    """What one side leaves there is as sensitive as what it reads, and of the same categories."""
    reach = _reach_of(agent)
    categories = {name for place in reach.reads for name in place.categories}
    return {"name": side, "tier": str(reach.read_tier), "categories": sorted(categories)}


def _reach_of(agent: Agent) -> Reach:
    row = agents_for_reach().get(pk=agent.pk)
    entries = [(entry.tool, entry.narrowing) for entry in row.allowlist.all()]
    return reach_of_draft(entries=entries, combinations=())


def _let_hand_over(agent: Agent, side: str, tool: Tool, by: Person) -> None:
    narrowing = {"properties": {"side": {"const": side}}, "required": ["side"]}
    register.set_allowlist_entry(agent_id=agent.pk, tool=tool, by=by, narrowing=narrowing)
