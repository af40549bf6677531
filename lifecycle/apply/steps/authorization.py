"""Roles, who holds them, relationships, policies."""

from __future__ import annotations

from typing import Any

from authz import services, slices
from authz.engine.editing import validate_policies
from authz.engine.world import compile_world
from authz.enums import PolicyState
from authz.services import PolicyDraft
from governance.kernel.errors import Invalid
from lifecycle.apply.kinds import PERSON_WORDS
from lifecycle.apply.plan import Step, Verb
from lifecycle.apply.steps.run import Run, set_difference, wait

_TOXIC = (
    *("categories", "effects", "implied_tier", "reason", "reference"),
    *("only_listed", "is_active"),
)


def save_role(run: Run, step: Step) -> None:
    """The role, the tools that it grants and the people who hold it."""
    fields: dict[str, Any] = step.changed(("description",))
    if step.differs("tools"):
        fields["tools"] = [run.tool(name) for name in step.item.fields["tools"]]
    if step.differs("people"):
        fields["people"] = [run.person(email) for email in step.item.fields["people"]]
    saved = services.save_role(slug=step.item.label, by=run.by, alone=run.alone, **fields)
    wait(step, saved.proposed)


def set_roles(run: Run, step: Step) -> None:
    """The roles that an agent holds."""
    if not step.differs("roles"):
        return
    agent = run.agent(step.item.label)
    roles = [run.role(slug) for slug in step.item.fields["roles"]]
    saved = services.set_agent_roles(agent_id=agent.pk, roles=roles, by=run.by, alone=run.alone)
    wait(step, saved.proposed)


def save_relationship(run: Run, step: Step) -> None:
    """One relationship, there or not."""
    fields = dict(step.item.fields)
    if fields["subject_type"] in PERSON_WORDS:
        fields["subject_id"] = run.person(fields["subject_id"]).pid
    change = (
        services.remove_relationship if step.verb == Verb.REMOVE else services.save_relationship
    )
    wait(step, change(by=run.by, alone=run.alone, **fields).proposed)


def save_signature(run: Run, step: Step) -> None:
    """A denied signature; one in force changes and goes when a second person agrees."""
    slug = step.item.label
    if step.verb == Verb.REMOVE:
        saved = services.remove_signature(slug=slug, by=run.by, alone=run.alone)
    else:
        fields: Any = step.changed(("pattern", "reason", "effects", "tools", "is_active"))
        saved = services.save_signature(slug=slug, by=run.by, alone=run.alone, **fields)
    wait(step, saved.proposed)


def save_toxic(run: Run, step: Step) -> None:
    """A toxic combination; what would guard less comes when a second person agrees."""
    slug = step.item.label
    if step.verb == Verb.REMOVE:
        saved = services.remove_toxic(slug=slug, by=run.by, alone=run.alone)
    else:
        fields: Any = step.changed(_TOXIC)
        saved = services.save_toxic(slug=slug, by=run.by, alone=run.alone, **fields)
    wait(step, saved.proposed)


def save_policy(run: Run, step: Step) -> None:
    """A new version, which is active where that narrows; a removed one is retired.

    No version comes into force, or waits for it, while one of its cases fails. Whoever acts
    alone brings policies in together, see `activate_policies`.
    """
    if step.verb == Verb.REMOVE:
        retired = services.retire_policy(slug=step.item.label, by=run.by, alone=run.alone)
        _wait_unless(step, retired.state == PolicyState.RETIRED)
        return
    if step.current and not any(step.differs(name) for name in ("text", "log_only", "cases")):
        # A version is what its text is: words about it come with the next one.
        set_difference(step, "description", None, None)
        return
    draft = _draft(step)
    if run.alone:
        _check(run, draft)
        run.drafts.append((step, draft))
        return
    policy = services.propose_policy(
        slug=draft.slug,
        text=draft.text,
        description=draft.description,
        log_only=draft.log_only,
        cases=draft.cases,
        by=run.by,
    )
    _wait_unless(step, policy.state == PolicyState.ACTIVE)


def _draft(step: Step) -> PolicyDraft:
    """The policy as it would be: what the item does not say stays as it is."""
    said = {"description": "", "log_only": False, **step.current, **step.item.fields}
    return PolicyDraft(
        slug=step.item.label,
        text=said["text"],
        description=said["description"],
        log_only=said["log_only"],
        cases=said.get("cases"),
    )


def _check(run: Run, draft: PolicyDraft) -> None:
    """Say of each policy what is wrong with it, before they are brought in together."""
    if run.world is None:
        (read,) = slices.read([slices.WORLD])
        run.world = compile_world(read.document or {})
    if problems := validate_policies(run.world, draft.text):
        told = [f"Line {one.line}, column {one.column}: {one.message}" for one in problems]
        raise Invalid(told[0], fields={"text": told})


def _wait_unless(step: Step, done: bool) -> None:
    if not done:
        step.waits.append("a second person must agree to this policy")


def activate_policies(run: Run) -> None:
    """The first policies of an installation, all at once: after the first, nobody acts alone."""
    if run.drafts:
        services.bootstrap_policies(policies=[draft for _, draft in run.drafts], by=run.by)
