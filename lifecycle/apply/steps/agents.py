"""Agents: their row, who relies on them, and how far they get on the way to being live."""

from __future__ import annotations

import datetime
from typing import Any

from lifecycle.apply.current import PLAIN_OF_AGENTS
from lifecycle.apply.plan import Entry, Step, Verb
from lifecycle.apply.steps.run import Run, set_difference, wait
from lifecycle.models.probes import ProbeCause
from lifecycle.probes.services import probe_agent
from lifecycle.templates import services as templates
from lifecycle.templates.selectors import covering
from registry import permissions, services
from registry.enums import AgentState
from registry.errors import ChangeOpen, WrongState
from registry.models import Agent

S = AgentState


def save_agent(run: Run, step: Step) -> None:
    """The row itself; a new one is a draft."""
    fields = _fields(run, step)
    if step.differs("template") or step.differs("choices"):
        _save_by_template(run, step, fields)
    elif step.verb == Verb.CREATE:
        owner = run.person(step.item.fields["owner"])
        services.draft_agent(slug=step.item.label, owner=owner, by=run.by, **fields)
    elif fields:
        agent = run.agent(step.item.label)
        saved = services.update_agent(agent_id=agent.pk, by=run.by, alone=run.alone, **fields)
        wait(step, saved.proposed)


def _save_by_template(run: Run, step: Step, fields: dict[str, Any]) -> None:
    """A row from a template, as the form makes it; or other choices for one that came from it."""
    wanted, choices = step.item.fields.get("template"), step.item.fields.get("choices")
    origin = step.current.get("template")
    if step.verb == Verb.CREATE:
        templates.register_from_template(
            by=run.by,
            slug=step.item.label,
            template=wanted or "",
            choices=choices or {},
            name=fields.pop("name"),
            owner=run.person(step.item.fields["owner"]),
            facts=fields,
        )
        return
    agent = run.agent(step.item.label)
    if "template" in step.item.fields and wanted is None:
        templates.leave_template(agent_id=agent.pk, by=run.by)
        return
    if wanted and wanted != origin:
        raise WrongState(
            f"It came from {origin or 'no template'}. Only what is new starts from one."
        )
    given = step.current["choices"] if choices is None else choices
    many = templates.change_from_template(agent_id=agent.pk, by=run.by, choices=given, facts=fields)
    if many:
        step.waits.append(f"a second person must agree to {many} change(s) of its template's row")


def _fields(run: Run, step: Step) -> dict[str, Any]:
    fields: dict[str, Any] = step.changed(PLAIN_OF_AGENTS)
    if step.differs("backup_owner"):
        fields["backup_owner"] = run.maybe_person(step.item.fields["backup_owner"])
    if step.differs("model_provider"):
        fields["model_provider"] = run.maybe_system(step.item.fields["model_provider"])
    return fields


def finish_agent(run: Run, step: Step) -> None:
    """What needs the row, or another agent, to be there: owner, tools, credentials, dependents."""
    agent = run.agent(step.item.label)
    if step.current and step.differs("owner"):
        to = run.person(step.item.fields["owner"])
        moved = services.transfer_agent(agent_id=agent.pk, to=to, by=run.by, alone=run.alone)
        wait(step, moved.proposed)
    for entry, _ in step.entries("allowlist"):
        _save_entry(run, step, agent, entry)
    for entry, _ in step.entries("sub_agents"):
        _save_sub_agent(run, step, agent, entry)
    for entry, _ in step.entries("credentials"):
        _save_credential(run, agent, entry)
    if step.differs("dependents"):
        names = step.item.fields["dependents"]
        services.set_dependents(
            agent_id=agent.pk,
            people=[run.person(name) for name in names if "@" in name],
            agents=[run.agent(name) for name in names if "@" not in name],
            by=run.by,
        )


def _save_entry(run: Run, step: Step, agent: Agent, entry: Entry) -> None:
    tool = run.tool(entry["tool"])
    if entry.get("absent"):
        services.remove_allowlist_entry(agent_id=agent.pk, tool=tool, by=run.by)
        return
    limits = {name: value for name, value in entry.items() if name != "tool"}
    try:
        saved = services.set_allowlist_entry(
            agent_id=agent.pk, tool=tool, by=run.by, alone=run.alone, **limits
        )
        wait(step, saved.proposed)
    except ChangeOpen as error:
        step.waits.append(f"allowlist {tool.name}: {error.message}")


def _save_sub_agent(run: Run, step: Step, agent: Agent, entry: Entry) -> None:
    sub_agent = run.agent(entry["agent"])
    if entry.get("absent"):
        services.remove_sub_agent(agent_id=agent.pk, sub_agent=sub_agent, by=run.by)
        return
    takes_in = {name: value for name, value in entry.items() if name != "agent"}
    try:
        saved = services.set_sub_agent(
            agent_id=agent.pk, sub_agent=sub_agent, by=run.by, alone=run.alone, **takes_in
        )
        wait(step, saved.proposed)
    except ChangeOpen as error:
        step.waits.append(f"sub-agent {sub_agent.slug}: {error.message}")


def _save_credential(run: Run, agent: Agent, entry: Entry) -> None:
    reference = entry["reference"]
    if entry.get("absent"):
        services.remove_credential_reference(agent_id=agent.pk, reference=reference, by=run.by)
        return
    rotated = entry["rotated_on"]
    services.add_credential_reference(
        agent_id=agent.pk,
        reference=reference,
        by=run.by,
        system=run.maybe_system(entry["system"]),
        scope=entry["scope"],
        rotated_on=datetime.date.fromisoformat(rotated) if rotated else None,
    )


def bring_to_state(run: Run, step: Step) -> None:
    """Take the agent towards the state that is wanted, as far as one person may.

    A new agent goes for live unless its item says otherwise; one that is known stays where it is
    unless its item names a state, or its owner attests it.
    """
    agent = run.agent(step.item.label)
    target = _target(step, agent)
    if target and target != agent.state:
        _move(run, step, agent, target)
        agent.refresh_from_db()
    set_difference(step, "state", step.current.get("state"), agent.state)


def _target(step: Step, agent: Agent) -> str:
    if "state" in step.item.fields:
        return str(step.item.fields["state"])
    unfinished = agent.state in {S.DRAFT, S.IN_REVIEW}
    attested = bool(step.item.orders.get("attest")) and unfinished
    return S.ACTIVE if attested or not step.current else ""


def _move(run: Run, step: Step, agent: Agent, target: str) -> None:
    if (agent.state, target) == (S.DRAFT, S.IN_REVIEW):
        services.submit_for_review(agent_id=agent.pk, by=run.by)
    elif (agent.state, target) == (S.IN_REVIEW, S.DRAFT):
        services.withdraw_from_review(agent_id=agent.pk, by=run.by)
    elif agent.state in {S.DRAFT, S.IN_REVIEW} and target in {S.ACTIVE, S.SUSPENDED}:
        _go_live(run, step, agent)
        _suspend(run, agent, target)
    elif (agent.state, target) == (S.ACTIVE, S.SUSPENDED):
        _suspend(run, agent, target)
    elif (agent.state, target) == (S.SUSPENDED, S.ACTIVE):
        services.resume_agent(agent_id=agent.pk, by=run.by)
    else:
        raise WrongState(
            f"It is {_word(agent.state)}, and no inventory makes it {_word(target)}. "
            "Its page says what can be done."
        )


def _word(state: str) -> str:
    return str(S(state).label).lower()


def _suspend(run: Run, agent: Agent, target: str) -> None:
    agent.refresh_from_db()
    if agent.state == S.ACTIVE and target == S.SUSPENDED:
        services.suspend_agent(
            agent_id=agent.pk, by=run.by, reason="The inventory says that it is suspended."
        )


def _go_live(run: Run, step: Step, agent: Agent) -> None:
    """Live where one person may decide that; else it waits in review, and the step says for whom.

    Before the first policy that is anyone who applies with --bootstrap, afterwards the owner, for
    what is public or internal, by `attest: true`.
    """
    if run.alone:
        services.activate_alone(agent_id=agent.pk, by=run.by)
        return
    refusal = _why_not_attest(run, agent)
    if step.item.orders.get("attest") and not refusal:
        templates.attest(agent_id=agent.pk, by=run.by)
        return
    if agent.state == S.DRAFT:
        services.submit_for_review(agent_id=agent.pk, by=run.by)
    step.waits.append(f"in review: {refusal or 'its owner attests it by `attest: true`'}")


def _why_not_attest(run: Run, agent: Agent) -> str:
    """Why the owner's step is not enough; "" where it is, or where a template's approval covers."""
    reach = services.fresh_reach(agent)
    if covering(agent, reach):
        return permissions.can(permissions.check_can_use_template, agent, run.by)
    return permissions.can(permissions.check_can_attest_agent, agent, reach, run.by)


def probe_loaded(run: Run, step: Step) -> None:
    """Test a row that was loaded as live, with the policies that were loaded after it.

    Nobody is kept from loading a fresh installation: what was found is said, and stands on the
    agent's page.
    """
    agent = run.agent(step.item.label)
    if not run.alone or agent.state != S.ACTIVE or not agent.allowlist.exists():
        return
    found = probe_agent(agent_id=agent.pk, by=run.by, cause=ProbeCause.LOADED)
    if found.blocking:
        many = len(found.blocking)
        attacks = "an attack" if many == 1 else f"{many} attacks"
        step.notes.append(f"{attacks} would execute: {', '.join(found.blocking)}")
