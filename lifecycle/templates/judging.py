"""What a plan comes to: the reach that it has, and the verdict on it."""

from __future__ import annotations

from datetime import date
from typing import Any

from lifecycle.models import Template
from lifecycle.templates import rules, selectors
from lifecycle.templates.plan import Plan
from lifecycle.verdict import LiveVerdict, verdict_of
from registry.models import Agent, Person, System
from registry.reach import Reach, reach_of_draft

MOST = 200


def verdict_of_plan(
    template: Template,
    plan: Plan,
    *,
    owner: Person,
    today: date,
    agent: Agent | None = None,
    model_provider: System | None = None,
) -> tuple[LiveVerdict, Reach]:
    """The verdict on a planned row, and its reach; the same for the page and for REST."""
    reach = reach_of_draft(
        entries=[(each.tool, each.narrowing) for each in plan.entries],
        model_provider=model_provider,
    )
    covered = not rules.not_covered(template.approved_tier, reach)
    said = verdict_of(
        reach,
        owner=owner,
        agent=agent,
        tools=[each.tool for each in plan.entries],
        roles=selectors.roles_named(plan.roles),
        today=today,
        template=template.name if covered else "",
    )
    return said, reach


def is_choice(value: Any) -> bool:
    """Whether this may stand as a choice: names of tools, or one text."""
    if isinstance(value, list):
        return len(value) <= MOST and all(isinstance(each, str) for each in value)
    return isinstance(value, str) and len(value) <= MOST
