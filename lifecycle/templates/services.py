"""Templates: written by one, in force when another agrees; and the rows that come from them."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

import rfc8785
from django.db import transaction

from authz import services as authorization
from authz.models import Role
from governance.kernel import clock
from governance.kernel.errors import Conflict, Invalid
from lifecycle import services
from lifecycle.models.templates import FromTemplate, Template, TemplateState
from lifecycle.services import Relying
from lifecycle.templates import permissions, rules, selectors
from lifecycle.templates.attesting import attest
from lifecycle.templates.content import fault_in
from lifecycle.templates.plan import Choices, Plan, cleaned
from registry import changes
from registry import permissions as register_permissions
from registry import services as register
from registry.models import Agent, Person, ProposedChange, UnregisteredCaller
from registry.rules import widened_agent
from registry.services.saving import keep, locked, record

__all__ = [
    "apply_activation",
    "attest",
    "change_from_template",
    "drop_activation",
    "leave_template",
    "propose_template",
    "register_from_template",
    "retire_template",
]

ACTIVATION_KIND = "template.activate"


# Templates


@transaction.atomic
def propose_template(
    *,
    slug: str,
    by: Person,
    name: str,
    summary: str,
    content: Mapping[str, Any],
    approved_tier: str,
    why: str = "",
) -> Template:
    """Another version of a template, which waits for a second person.

    The same as the version in force, or as the one that waits, is that version.
    """
    permissions.check_can_propose_templates(by)
    if fault := fault_in(content):
        raise Invalid(fault, fields={"content": [fault]})
    wanted = {
        "name": name,
        "summary": summary,
        "content": dict(content),
        "approved_tier": approved_tier,
    }
    versions = Template.objects.select_for_update(no_key=True).filter(slug=slug)
    for known in versions.filter(state__in=[TemplateState.ACTIVE, TemplateState.PROPOSED]):
        if all(getattr(known, field) == value for field, value in wanted.items()):
            return known
    last = versions.order_by("-version").first()
    template = Template(
        slug=slug, version=last.version + 1 if last else 1, why=why, proposed_by=by, **wanted
    )
    keep(template, by)
    _record(template, "template_proposed", by)
    _put_forward(template, by)
    return template


def _put_forward(template: Template, by: Person) -> None:
    active = selectors.in_force().filter(slug=template.slug).first()
    changes.propose(
        kind=ACTIVATION_KIND,
        target=template.slug,
        summary=f"{template.uid}: {template.why or template.summary}",
        before=_shown(active) if active else {},
        after=_shown(template),
        by=by,
        reason=template.why,
    )


def _shown(template: Template) -> dict[str, Any]:
    """What the second person sees of a version, and what the database compares."""
    return {
        "id": template.uid,
        "name": template.name,
        "summary": template.summary,
        "approved_tier": str(template.approved_tier),
        "content": template.content,
    }


def apply_activation(change: ProposedChange, by: Person) -> None:
    """Put the version into force; the one before it ends."""
    template = _of(change)
    for active in Template.objects.select_for_update(no_key=True).filter(
        slug=template.slug, state=TemplateState.ACTIVE
    ):
        _move(active, TemplateState.SUPERSEDED, by)
    template.agreed_by = by
    template.activated_at = clock.now()
    _move(template, TemplateState.ACTIVE, by)


def drop_activation(change: ProposedChange, by: Person) -> None:
    """A version that was rejected or withdrawn never comes into force."""
    _move(_of(change), TemplateState.RETIRED, by)


def _of(change: ProposedChange) -> Template:
    slug, _, version = change.after["id"].partition("@v")
    return locked(Template, "template", slug=slug, version=int(version))


@transaction.atomic
def retire_template(*, slug: str, by: Person) -> Template:
    """Nobody starts from it any more, at once. Its agents live on, reviewed by what they reach."""
    permissions.check_can_retire_templates(by)
    template = locked(Template, "template", slug=slug, state=TemplateState.ACTIVE)
    _move(template, TemplateState.RETIRED, by)
    return template


def _move(template: Template, target: TemplateState, by: Person) -> None:
    """The only place that assigns the state of a version."""
    if not rules.may_move(template.state, target):
        raise Conflict(f"{template.uid} is {template.get_state_display()}. Load it again.")
    template.state = target
    if target != TemplateState.ACTIVE:
        template.ended_at = clock.now()
    keep(template, by)
    _record(template, f"template_{target}", by)


def _record(template: Template, did: str, by: Person) -> None:
    record(
        did,
        by=by,
        resource=f"template:{template.uid}",
        tier=str(template.approved_tier),
        more={"template": template.uid, "content": _digest(template.content)},
    )


def _digest(content: Mapping[str, Any]) -> str:
    return hashlib.sha256(rfc8785.dumps(dict(content))).hexdigest()


# Rows that come from one


@transaction.atomic
def register_from_template(
    *,
    by: Person,
    slug: str,
    template: str,
    choices: Choices,
    facts: Mapping[str, Any] | None = None,
    adopt: UnregisteredCaller | None = None,
    relying: Relying | None = None,
    name: str = "",
    owner: Person | None = None,
) -> Agent:
    """Draft an agent from the version in force; `facts` are the owner's further ones.

    It is `by`'s own, unless an operator names another `owner`.

    `Invalid` names each choice that does not fit, and what to do about it.
    """
    version = selectors.one_in_force(template)
    plan = _checked(selectors.planned(version, choices, owner or by), facts or {})
    agent = services.register_agent(
        by=by,
        slug=slug,
        facts={**plan.facts, **(facts or {})},
        tools=(),
        roles=list(Role.objects.filter(slug__in=plan.roles)),
        adopt=adopt,
        relying=relying,
        name=name,
        owner=owner,
    )
    for entry in plan.entries:
        register.set_allowlist_entry(agent_id=agent.pk, tool=entry.tool, by=by, **entry.facts)
    _note_origin(agent, version, choices, by)
    agent.refresh_from_db()
    return agent


def _checked(plan: Plan, facts: Mapping[str, Any]) -> Plan:
    """The plan, if its choices hold and nobody asks for more than it gives."""
    wrong = dict(plan.wrong)
    for name in rules.GUARDED:
        if name in facts and widened_agent({name: plan.facts[name]}, {name: facts[name]}):
            wrong[name] = (f"The template gives {plan.facts[name]}. Ask for that or less.",)
    if wrong:
        raise Invalid("Some choices do not fit the template.", fields=wrong)
    return plan


def _note_origin(agent: Agent, template: Template, choices: Choices, by: Person) -> None:
    FromTemplate.objects.update_or_create(
        agent=agent,
        defaults={
            "template": template,
            "choices": cleaned(selectors.content_of(template), choices),
            "at": clock.now(),
            "by": by,
        },
    )
    record(
        "agent_from_template",
        by=by,
        agent=agent.slug,
        resource=f"agent:{agent.slug}",
        more={"template": template.uid},
    )


@transaction.atomic
def change_from_template(
    *,
    agent_id: int,
    by: Person,
    choices: Choices,
    facts: Mapping[str, Any] | None = None,
    relying: Relying | None = None,
) -> int:
    """Save other choices for a row that came from a template, by the version in force.

    Returns how many changes wait for a second person.
    """
    agent = locked(Agent, "agent", pk=agent_id)
    register_permissions.check_can_change_agent(agent, by)
    origin = selectors.origin_of(agent)
    if origin is None:
        raise Conflict(f"{agent.slug} did not come from a template. Change its fields.")
    version = selectors.one_in_force(origin.template.slug)
    plan = _checked(selectors.planned(version, choices, agent.owner), facts or {})
    proposed = _bring_in_line(agent, plan, {**plan.facts, **(facts or {})}, by)
    if relying is not None:
        register.set_dependents(
            agent_id=agent_id, people=relying.people, agents=relying.agents, by=by
        )
    _note_origin(agent, version, choices, by)
    return proposed


def _bring_in_line(agent: Agent, plan: Plan, facts: Mapping[str, Any], by: Person) -> int:
    proposed = len(register.update_agent(agent_id=agent.pk, by=by, **facts).proposed)
    wanted = {entry.tool.pk for entry in plan.entries}
    for gone in agent.allowlist.exclude(tool__in=wanted).select_related("tool"):
        register.remove_allowlist_entry(agent_id=agent.pk, tool=gone.tool, by=by)
    for entry in plan.entries:
        saved = register.set_allowlist_entry(
            agent_id=agent.pk, tool=entry.tool, by=by, **entry.facts
        )
        proposed += len(saved.proposed)
    roles = Role.objects.filter(slug__in=plan.roles)
    given = authorization.set_agent_roles(agent_id=agent.pk, roles=roles, by=by)
    return proposed + len(given.proposed)


@transaction.atomic
def leave_template(*, agent_id: int, by: Person) -> None:
    """From now on the row is something else: reviewed by what it reaches."""
    agent = locked(Agent, "agent", pk=agent_id)
    register_permissions.check_can_change_agent(agent, by)
    gone, _ = FromTemplate.objects.filter(agent=agent).delete()
    if gone:
        record("agent_left_template", by=by, agent=agent.slug, resource=f"agent:{agent.slug}")
