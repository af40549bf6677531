"""Reads of templates, of what fits into them, and of the rows that came from them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from django.db.models import Count, QuerySet

from authz.models import Role
from governance.kernel.errors import NotFound
from lifecycle.models.templates import FromTemplate, Template, TemplateState
from lifecycle.templates import rules
from lifecycle.templates.content import ASKED, OWNER, Content, Slot, read_content
from lifecycle.templates.plan import (
    Choices,
    Granting,
    Plan,
    cleaned,
    narrowing_of,
    plan_of,
)
from lifecycle.toxic.findings import of_draft
from registry.models import Agent, Person, Tool
from registry.reach import Reach, reach_of_draft
from registry.selectors import agents_for_reach, tools_for_reach

# What Muster does itself, such as reading a credential, is no choice of a template's owner.
OWN_SYSTEM = "muster"


@dataclass(frozen=True, slots=True)
class Fitting:
    """A tool that may be chosen, the tier that it reaches, and why not if it may not."""

    tool: Tool
    tier: str
    refusal: str = ""


def in_force() -> QuerySet[Template]:
    """The versions that agents may start from."""
    return Template.objects.filter(state=TemplateState.ACTIVE).order_by("pk")


def for_list() -> QuerySet[Template]:
    """Every version, with how many agents came from it."""
    return (
        Template.objects.select_related("proposed_by", "agreed_by")
        .annotate(agents=Count("uses"))
        .order_by("slug", "-version")
    )


def one_in_force(slug: str) -> Template:
    """The version of `slug` that is in force; `NotFound` says what to do."""
    found = in_force().filter(slug=slug[:60]).first()
    if found is None:
        raise NotFound("No template of this name is in force. Choose one from the list.")
    return found


def content_of(template: Template) -> Content:
    """A version's content, read."""
    return read_content(template.content)


def granting() -> Granting:
    """Every role with the tools that it grants."""
    roles = Role.objects.prefetch_related("tools")
    return {role.slug: frozenset(tool.name for tool in role.tools.all()) for role in roles}


def roles_named(slugs: Sequence[str]) -> list[Role]:
    """The roles of these names."""
    return list(Role.objects.filter(slug__in=slugs))


def fitting(slot: Slot, owner: Person, tools: Sequence[Tool], roles: Granting) -> list[Fitting]:
    """The tools that may stand in a slot, those first that need the least asking."""
    granted = frozenset[str]().union(*roles.values())
    found = [
        Fitting(
            tool,
            str(reach_of_draft(entries=[(tool, {})], combinations=()).tier),
            _why_not(tool, granted),
        )
        for tool in tools
        if tool.effect in slot.effects
        and tool.system.slug != OWN_SYSTEM
        and _can_be_held(slot, tool, owner)
    ]
    return sorted(found, key=_usual_first)


def _can_be_held(slot: Slot, tool: Tool, owner: Person) -> bool:
    if slot.to == OWNER:
        return narrowing_of(slot, tool, "", owner) is not None
    return slot.to != ASKED or bool(tool.recipient_parameter)


def _why_not(tool: Tool, granted: frozenset[str]) -> str:
    return "" if tool.name in granted else "No role grants it: ask security for one."


def _usual_first(each: Fitting) -> tuple[bool, bool, str, str]:
    late = each.tier in {"confidential", "restricted"}
    return (bool(each.refusal), late, each.tool.system.slug, each.tool.name)


def planned(template: Template, choices: Choices, owner: Person) -> Plan:
    """The row of a template with these choices, on the register as it is now."""
    content = content_of(template)
    chosen = cleaned(content, choices)
    names = {name for slot in content.slots for name in chosen[slot.name]}
    tools = {tool.name: tool for tool in tools_for_reach(names)}
    return plan_of(content, chosen, tools=tools, granting=granting(), owner=owner)


def origin_of(agent: Agent) -> FromTemplate | None:
    """The version that a row came from, if it came from one."""
    return (
        FromTemplate.objects.select_related("template", "agent__owner")
        .filter(agent_id=agent.pk)
        .first()
    )


def departures_of(origin: FromTemplate) -> list[str]:
    """Why a row is no longer what its template planned; empty while it is."""
    if origin.template.state != TemplateState.ACTIVE:
        return [f"{origin.template.uid} is not in force any more."]
    agent = agents_for_reach().get(pk=origin.agent_id)
    plan = planned(origin.template, origin.choices, agent.owner)
    held = list(Role.objects.filter(agents=agent).values_list("slug", flat=True))
    return rules.departures(plan, agent, held)


def covering(agent: Agent, reach: Reach) -> Template | None:
    """The template whose approval covers the row as it is now: it needs no review."""
    origin = origin_of(agent)
    if origin is None or rules.not_covered(origin.template.approved_tier, reach):
        return None
    if departures_of(origin) or _toxic_with_others(agent, reach):
        return None
    return origin.template


def _toxic_with_others(agent: Agent, reach: Reach) -> bool:
    return any(found.blocks for found in of_draft(agent.owner, reach, agent))


def page_of(agent: Agent, reach: Reach) -> dict[str, Any]:
    """What the agent's page says of its template; `covering` is the name of one that covers it."""
    origin = origin_of(agent)
    if origin is None:
        return {"origin": None, "departures": [], "covering": ""}
    departures = departures_of(origin)
    covers = not departures and not rules.not_covered(origin.template.approved_tier, reach)
    name = origin.template.name if covers else ""
    return {"origin": origin, "departures": departures, "covering": name}
