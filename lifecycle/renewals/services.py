"""Every write of a renewal: what an owner answers, and the one time that it is put off."""

from __future__ import annotations

from collections.abc import Collection
from datetime import date

from django.db import IntegrityError, transaction

from audit import services as audit
from audit.enums import Kind
from governance.kernel import clock
from governance.kernel.errors import Conflict, Invalid
from lifecycle.cases import services as cases
from lifecycle.cases.errors import CaseClosed
from lifecycle.decommissioning import reading
from lifecycle.decommissioning.answers import end_by_answer
from lifecycle.models import Attestation, AttestationAnswer, CaseKind
from lifecycle.renewals import rules, selectors
from lifecycle.renewals.errors import (
    ExtendedAlready,
    NotAsked,
    NotExtended,
    SeenOtherwise,
    WidensNothing,
)
from lifecycle.renewals.selectors import EXTENSION_KIND, Asked
from registry import changes, permissions, vault
from registry import rules as register_rules
from registry import services as register
from registry.errors import ChangeOutdated
from registry.models import Agent, Person, ProposedChange, Tool
from registry.selectors import agents_for_reach
from registry.services.agents import today_of
from registry.services.saving import locked

REASON = 500
RENEWED, ENDED, EXTENDED = "renewed", "not_needed", "extended"


@transaction.atomic
def renew(
    *,
    agent_id: int,
    by: Person,
    seen: str,
    drop: Collection[str] = (),
    revoke: Collection[str] = (),
    reason: str = "",
) -> Attestation:
    """An agent is still needed: with these tools less, and without these credentials.

    `seen` names the agent as it was read; another one by now raises `SeenOtherwise`. Of two
    answers at once one counts. Nothing widens here.
    """
    agent, asked = _asked(agent_id, by, seen)
    permissions.check_can_renew_agent(agent, by)
    _check_held(asked, drop, revoke)
    _narrow(agent, by, drop, revoke)
    fresh = agents_for_reach().get(pk=agent.pk)
    reach = register.fresh_reach(fresh)
    due = selectors.next_due(fresh, reach, asked.now)
    told = _attest(
        asked,
        by,
        AttestationAnswer.RENEWED,
        tier=str(reach.tier),
        reason=reason,
        due=due,
        drop=drop,
        revoke=revoke,
    )
    register.renew_agent(
        agent_id=agent.pk, by=by, due=due, because=f"Attested by {by.pid} for {told.due_on}."
    )
    _close_case(agent, by, RENEWED, reason)
    return told


@transaction.atomic
def end(*, agent_id: int, by: Person, seen: str, reason: str) -> Attestation:
    """An agent is not needed any more: it ends now, or once those who rely on it know."""
    agent, asked = _asked(agent_id, by, seen)
    permissions.check_can_decommission_agent(agent, by)
    said = reason.strip()[:REASON] or "Not needed any more."
    tier = str(register.fresh_reach(agents_for_reach().get(pk=agent.pk)).tier)
    told = _attest(asked, by, AttestationAnswer.ENDED, tier=tier, reason=said)
    why = f"Not renewed: {said}"
    end_by_answer(agent=agent, kind=CaseKind.RENEWAL, by=by, reason=why, outcome=ENDED)
    return told


def _asked(agent_id: int, by: Person, seen: str) -> tuple[Agent, Asked]:
    """The agent, locked, exactly as it was read, at a time at which it is asked about."""
    permissions.check_may_act(by)
    agent = locked(Agent, "agent", pk=agent_id)
    now = clock.now()
    if agent.state not in register_rules.LIVE:
        raise NotAsked(f"{agent.slug} is {agent.state_word}: it is not renewed any more.")
    if not rules.is_asked(agent.renewal_due, today_of(agent.owner, now)):
        raise NotAsked(_when_asked(agent))
    _check_not_ordered(agent)
    if seen != selectors.seen_now(agent):
        raise SeenOtherwise()
    return agent, selectors.asked_about(agent, now)


def _check_not_ordered(agent: Agent) -> None:
    """What somebody has ended is neither renewed nor put off before they take that back."""
    if reading.open_order(agent) is not None:
        raise NotAsked(f"The end of {agent.slug} is ordered. To renew it, take that back first.")


def _when_asked(agent: Agent) -> str:
    if agent.renewal_due is None:
        return f"{agent.slug} has no renewal before it is live."
    opens = rules.opens_on(agent.renewal_due)
    return (
        f"{agent.slug} is due on {agent.renewal_due:%Y-%m-%d} and asked about from "
        f"{opens:%Y-%m-%d} on."
    )


def _check_held(asked: Asked, drop: Collection[str], revoke: Collection[str]) -> None:
    held = {each.name for each in asked.tools}
    known = {each.name for each in asked.credentials}
    if unknown := (set(drop) - held) | (set(revoke) - known):
        raise WidensNothing(f"{min(unknown)[:100]} is nothing that it holds. Look again.")


def _narrow(agent: Agent, by: Person, drop: Collection[str], revoke: Collection[str]) -> None:
    for tool in Tool.objects.filter(name__in=drop).order_by("name"):
        register.remove_allowlist_entry(agent_id=agent.pk, tool=tool, by=by)
    for reference in sorted(revoke):
        vault.revoke_within(reference, by=by, reason="Not required any more, said at its renewal.")


def _attest(
    asked: Asked,
    by: Person,
    answer: AttestationAnswer,
    *,
    tier: str,
    reason: str,
    due: date | None = None,
    drop: Collection[str] = (),
    revoke: Collection[str] = (),
) -> Attestation:
    agent, due_on = asked.agent, asked.agent.renewal_due
    if due_on is None:
        raise NotAsked()
    kept = [each.name for each in asked.tools if each.drop and each.name not in drop]
    required = [each.name for each in asked.credentials if each.name not in revoke]
    told = Attestation(
        agent=agent,
        by=by,
        at=asked.now,
        due_on=due_on,
        next_due=due,
        answer=answer,
        tier=tier,
        row_version=agent.version,
        days=asked.days,
        held=len(asked.tools),
        used=asked.used,
        dropped=sorted(set(drop)),
        kept_unused=kept,
        revoked=sorted(set(revoke)),
        still_required=required,
        reason=reason.strip()[:REASON],
    )
    try:
        with transaction.atomic():
            told.save()
    except IntegrityError as error:
        raise CaseClosed("This renewal was answered already.") from error
    _record(told)
    return told


def _record(told: Attestation) -> None:
    audit.record(
        kind=Kind.REGISTRY,
        actor=told.by.pid,
        agent=told.agent.slug,
        resource=f"agent:{told.agent.slug}",
        tier=told.tier,
        asked={
            "did": "renewal_attested",
            "answer": str(told.answer),
            "due_on": told.due_on.isoformat(),
            "next_due": told.next_due.isoformat() if told.next_due else "",
            "version": told.row_version,
            "days": told.days,
            "held": told.held,
            "used": told.used,
            "dropped": told.dropped,
            "kept_unused": told.kept_unused,
            "credentials_revoked": told.revoked,
            "credentials_required": told.still_required,
        },
        payload={"reason": told.reason} if told.reason else {},
    )


def _close_case(agent: Agent, by: Person, outcome: str, reason: str = "") -> None:
    """Its case, where one is open: the sweep may not have come to it yet."""
    if case := selectors.case_of(agent):
        cases.close_case(case_id=case.pk, outcome=outcome, by=by, reason=reason)


# Putting it off, once


@transaction.atomic
def ask_for_extension(*, agent_id: int, by: Person, until: date, reason: str) -> ProposedChange:
    """Ask security for more time to answer; it holds when they agree."""
    agent = locked(Agent, "agent", pk=agent_id)
    permissions.check_can_renew_agent(agent, by)
    if not reason.strip():
        sentence = "Say why it cannot be answered in time."
        raise Invalid(sentence, fields={"reason": [sentence]})
    due = _extendable(agent)
    if not rules.may_extend_to(due, until):
        raise NotExtended(fields={"until": [NotExtended.__doc__ or ""]})
    return changes.propose(
        kind=EXTENSION_KIND,
        target=agent.slug,
        agent=agent.slug,
        summary=f"{agent.slug} is to be renewed by {until:%Y-%m-%d} instead of {due:%Y-%m-%d}.",
        before={"due": due.isoformat()},
        after={"due": until.isoformat()},
        by=by,
        reason=reason.strip()[:REASON],
    )


def _extendable(agent: Agent) -> date:
    """The day of a renewal that is asked about and was not put off before."""
    today = today_of(agent.owner)
    if agent.state not in register_rules.LIVE or agent.renewal_due is None:
        raise NotAsked(f"{agent.slug} is {agent.state_word}: there is nothing to extend.")
    if not rules.is_asked(agent.renewal_due, today):
        raise NotAsked(_when_asked(agent))
    _check_not_ordered(agent)
    found = selectors.extension_of(agent)
    if found is not None and found.state == "agreed":
        raise ExtendedAlready()
    return agent.renewal_due


def apply_extension(change: ProposedChange, by: Person) -> None:
    """Put the renewal off, now that security agrees."""
    agent = locked(Agent, "agent", slug=change.target)
    if agent.renewal_due is None or agent.renewal_due.isoformat() != change.before["due"]:
        raise ChangeOutdated()
    until = date.fromisoformat(change.after["due"])
    if agent.state not in register_rules.LIVE or not rules.may_extend_to(agent.renewal_due, until):
        raise ChangeOutdated()
    if until < today_of(agent.owner):
        raise Conflict("The day that was asked for has passed. Reject this and have it asked anew.")
    register.renew_agent(
        agent_id=agent.pk, by=by, due=until, because=f"Extended as {change.proposed_by.pid} asked."
    )
    _close_case(agent, by, EXTENDED)


def interested_in_extension(change: ProposedChange) -> set[str]:
    """Who answers for the agent does not agree to it."""
    agent = Agent.objects.select_related("owner", "backup_owner").get(slug=change.target)
    return {each.pid for each in (agent.owner, agent.backup_owner) if each}
