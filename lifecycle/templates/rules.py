"""When a row still is what its template planned, and when a template may change. No queries."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from lifecycle.models.templates import TemplateState
from lifecycle.templates.plan import Plan
from registry import rules, signing
from registry.enums import Tier
from registry.models import Agent
from registry.reach import Reach

T = TemplateState
TRANSITIONS: dict[TemplateState, frozenset[TemplateState]] = {
    T.PROPOSED: frozenset({T.ACTIVE, T.RETIRED}),
    T.ACTIVE: frozenset({T.SUPERSEDED, T.RETIRED}),
    T.SUPERSEDED: frozenset(),
    T.RETIRED: frozenset(),
}
GUARDED = (*rules.LIMITS, "spend_cap_month_minor", "pattern", "isolated_runs")


def may_move(state: str, target: str) -> bool:
    """Whether a version in `state` may become `target`."""
    return TemplateState(target) in TRANSITIONS[TemplateState(state)]


def departures(plan: Plan, agent: Agent, roles: Sequence[str]) -> list[str]:
    """Sentences for what the row may do beyond what its template planned; what is less is none."""
    planned = {name: plan.facts[name] for name in GUARDED}
    found = rules.widened_agent(planned, {name: getattr(agent, name) for name in GUARDED})
    found += [sentence for sentences in plan.wrong.values() for sentence in sentences]
    if agent.kind != plan.facts["kind"]:
        found.append("It is another kind of thing.")
    entries = {each.tool.name: each for each in plan.entries}
    for entry in agent.allowlist.all():
        known = entries.get(entry.tool.name)
        found += rules.widened_entry(
            entry.tool.schema, known.facts if known else None, _facts(entry)
        )
    if more := sorted(set(roles) - set(plan.roles)):
        found.append(f"It holds the role {', '.join(more)} besides.")
    return found


def _facts(entry: Any) -> Mapping[str, Any]:
    return {
        "narrowing": entry.narrowing,
        "rate_per_minute": entry.rate_per_minute,
        "rate_per_hour": entry.rate_per_hour,
        "write_quota_per_hour": entry.write_quota_per_hour,
        "gates": entry.gates,
    }


def not_covered(approved_tier: str, reach: Reach) -> str:
    """Why a template approved up to `approved_tier` does not cover this reach; "" if it does."""
    if reach.combinations:
        return "What it reaches together is toxic, so it is reviewed whatever it starts from."
    if reach.tier.rank > Tier(approved_tier).rank:
        return (
            f"It reaches {reach.tier} data, and the template is approved up to {approved_tier}, "
            "so it is reviewed."
        )
    if not signing.by_tier_alone(reach):
        whys = (why for step in reach.steps for why in step.why)
        return f"{' '.join(whys)} So it is reviewed."
    return ""
