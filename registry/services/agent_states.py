"""The states of a row: who moves it, when, and on whose word."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

from django.db import transaction

from governance.kernel import clock, tiers
from governance.kernel.errors import GovernanceError, Invalid, NotAllowed
from registry import changes, clearing, permissions, rules, selectors, signing
from registry.enums import AgentState, CredentialHolder
from registry.errors import ChangeOutdated, Incomplete, NotCleared, ReachChanged, WrongState
from registry.models import Agent, Clearance, Person, ProposedChange, System
from registry.models.credentials import OVER
from registry.permissions import Actor
from registry.reach import Reach
from registry.row import row_digest
from registry.services.agents import (
    check_may_sign,
    check_signed_nothing,
    fresh_reach,
    require_signed,
    today_of,
    words_for,
    write_clearance,
)
from registry.services.saving import Changes, Saved, check_alone, keep, locked, record
from registry.signals import agent_state_changed, agent_transferred

TRANSFER_KIND = "agent.transfer"
CLEARABLE = frozenset({AgentState.IN_REVIEW, AgentState.ACTIVE, AgentState.SUSPENDED})


def _locked(agent_id: int) -> Agent:
    return locked(Agent, "agent", pk=agent_id)


def _check_may_move(agent: Agent, target: AgentState) -> None:
    if not rules.may_move(agent.state, target):
        raise WrongState(
            f"{agent.slug} is {agent.state_word}, so it cannot become {target.label.lower()}."
        )


def _move(agent: Agent, target: AgentState, by: Actor, reason: str = "") -> None:
    """The only place that assigns a state."""
    _check_may_move(agent, target)
    before = AgentState(agent.state)
    agent.state = target
    agent.state_reason = reason[:500]
    agent.state_changed_at = clock.now()
    agent.state_changed_by = by if isinstance(by, Person) else None
    keep(agent, by)
    entry = record(
        f"agent_{target}",
        by=by,
        agent=agent.slug,
        resource=f"agent:{agent.slug}",
        changes={"state": (before, target), "reason": ("", reason)},
    )
    agent_state_changed.send(
        sender=Agent, agent=agent, before=before, by=by, reason=reason, record=entry
    )


@transaction.atomic
def submit_for_review(*, agent_id: int, by: Person) -> Agent:
    """Ask for the row to be cleared. `Incomplete` names what is missing."""
    agent = _locked(agent_id)
    permissions.check_can_submit_agent(agent, by)
    _check_may_move(agent, AgentState.IN_REVIEW)
    _check_complete(agent)
    _move(agent, AgentState.IN_REVIEW, by)
    return agent


def _check_complete(agent: Agent) -> None:
    if missing := rules.missing_for_review(agent) | _foreign_credentials(agent):
        sentence = next(iter(missing.values()))[0]
        raise Incomplete(sentence, fields=missing)


def _foreign_credentials(agent: Agent) -> dict[str, list[str]]:
    """Credentials of the row that are somebody's own, or that others use as well."""
    foreign = agent.credentials.exclude(holder=CredentialHolder.OWN).exclude(state__in=OVER)
    found = [f"{each.reference}: {rules.not_its_own(each.holder)}" for each in foreign]
    return {"credentials": found} if found else {}


@transaction.atomic
def withdraw_from_review(*, agent_id: int, by: Person) -> Agent:
    """Take the row back to the drawing board."""
    agent = _locked(agent_id)
    permissions.check_can_submit_agent(agent, by)
    _move(agent, AgentState.DRAFT, by)
    return agent


@transaction.atomic
def send_back_agent(*, agent_id: int, by: Person, reason: str) -> Agent:
    """The no of anyone who must sign, with what must change: it is its owner's draft again."""
    agent = _locked(agent_id)
    _check_may_answer(agent, fresh_reach(agent), by)
    if not reason.strip():
        raise Invalid("Say what must change.", fields={"reason": ["Say what must change."]})
    _check_may_move(agent, AgentState.DRAFT)
    _move(agent, AgentState.DRAFT, by, reason)
    return agent


def _check_may_answer(agent: Agent, reach: Reach, by: Person) -> None:
    """Security, and whoever has a signature to give."""
    bases: list[tuple[Clearance.Basis, System | None]] = [(Clearance.Basis.SECURITY, None)]
    for step in reach.steps:
        if step.role == signing.DPO:
            bases.append((Clearance.Basis.DPO, None))
        sources = System.objects.filter(slug__in=step.systems).select_related("owner")
        bases.extend((Clearance.Basis.SOURCE_OWNER, system) for system in sources)
    check = permissions.check_can_clear_agent
    refusals = [permissions.can(check, agent, basis, reach, by, of) for basis, of in bases]
    if all(refusals):
        raise NotAllowed(refusals[0])


@transaction.atomic
def clear_agent(
    *,
    agent_id: int,
    by: Person,
    basis: Clearance.Basis,
    reach_digest: str = "",
    system: System | None = None,
    reason: str = "",
) -> Clearance:
    """Give one's word that the agent may run with what it reaches now.

    `reach_digest` is of the reach that was read; another one by now raises `ReachChanged`.
    """
    agent = _locked(agent_id)
    if basis in {Clearance.Basis.BOOTSTRAP, Clearance.Basis.TEMPLATE}:
        raise NotAllowed("Nobody gives their word on this basis: it is for loading and templates.")
    reach = fresh_reach(agent)
    if basis == Clearance.Basis.ATTESTATION:
        permissions.check_can_attest_agent(agent, reach, by)
    else:
        check_may_sign(agent, basis, by, _words(agent, reach), system=system)
    if agent.state not in CLEARABLE:
        raise WrongState(f"{agent.slug} is {agent.state_word}: submit it for review.")
    _check_seen(reach, reach_digest)
    return write_clearance(agent, reach, basis, by, system=system, reason=reason)


def _check_seen(reach: Reach, digest: str) -> None:
    if digest and digest != reach.digest:
        raise ReachChanged()


def _words(agent: Agent, reach: Reach) -> list[Clearance]:
    """The words that count: before an agent is live, only those for the row as it is."""
    words = words_for(agent, reach)
    if agent.state in rules.LIVE:
        return words
    digest = row_digest(agent, reach)
    return [word for word in words if word.row_digest == digest]


@transaction.atomic
def void_clearances(*, agent_id: int, by: Actor, because: str, ids: Sequence[int] = ()) -> int:
    """Have words count no more: all of a row that is not live yet, else those of `ids`.

    What a live row runs on stays as it is. Returns how many there were.
    """
    agent = _locked(agent_id)
    words = agent.clearances.filter(voided="")
    if agent.state in rules.LIVE:
        words = words.filter(pk__in=ids).exclude(reach_digest=fresh_reach(agent).digest)
    count = words.update(voided=because[:300])
    if count:
        record(
            "clearances_voided",
            by=by,
            agent=agent.slug,
            resource=f"agent:{agent.slug}",
            changes={"reason": ("", because)},
            more={"words": count},
        )
    return count


def still_unsigned(agent: Agent) -> tuple[signing.Step, ...]:
    """Whose words an agent lacks before it may run with what it reaches now."""
    reach = fresh_reach(agent)
    return clearing.missing(agent, reach, _words(agent, reach))


@transaction.atomic
def activate_agent(*, agent_id: int, by: Person) -> Agent:
    """Let a cleared agent run. The clearance must be for exactly what it reaches now."""
    agent = _locked(agent_id)
    reach = fresh_reach(agent)
    permissions.check_can_activate_agent(agent, reach, by)
    _activate(agent, reach, by)
    return agent


def _activate(agent: Agent, reach: Reach, by: Person) -> None:
    _check_may_move(agent, AgentState.ACTIVE)
    _check_complete(agent)
    require_signed(agent, reach, _words(agent, reach))
    agent.activated_at = agent.activated_at or clock.now()
    today = today_of(agent.owner)
    agent.review_due = reach.review_due(today)
    agent.renewal_due = reach.renewal_due(today)
    _move(agent, AgentState.ACTIVE, by)


@transaction.atomic
def attest_agent(*, agent_id: int, by: Person, reach_digest: str = "") -> Agent:
    """The owner's one step for public and internal: submit, attest, activate."""
    agent = _locked(agent_id)
    reach = fresh_reach(agent)
    permissions.check_can_attest_agent(agent, reach, by)
    _check_seen(reach, reach_digest)
    if agent.state == AgentState.DRAFT:
        agent = submit_for_review(agent_id=agent_id, by=by)
    _check_may_move(agent, AgentState.ACTIVE)
    write_clearance(agent, reach, Clearance.Basis.ATTESTATION, by)
    _activate(agent, reach, by)
    return agent


@transaction.atomic
def clear_by_template(
    *, agent_id: int, by: Person, approved_tier: str, template: str, reach_digest: str = ""
) -> Agent:
    """Submit, clear and activate a row made from a template, up to the tier it is approved for.

    What asks for more than its tier does (a toxic combination, limits above the ceilings, a
    provider without an agreement) needs its review. `template` is its slug and version.
    """
    agent = _locked(agent_id)
    reach = fresh_reach(agent)
    permissions.check_can_use_template(agent, by)
    _check_seen(reach, reach_digest)
    if tiers.rank(reach.tier) > tiers.rank(approved_tier) or not signing.by_tier_alone(reach):
        raise NotCleared(
            f"{template} is approved up to {approved_tier} and for nothing toxic. "
            f"{agent.slug} needs the word of {signing.whom(reach.steps)}."
        )
    if agent.state == AgentState.DRAFT:
        agent = submit_for_review(agent_id=agent_id, by=by)
    _check_may_move(agent, AgentState.ACTIVE)
    basis = Clearance.Basis.TEMPLATE
    write_clearance(agent, reach, basis, by, reason=template, tier=approved_tier)
    _activate(agent, reach, by)
    return agent


@transaction.atomic
def approve_agent(*, agent_id: int, by: Person, reach_digest: str = "", reason: str = "") -> Agent:
    """Security's word for an agent that is not theirs; it is live if nobody else must sign."""
    agent = _locked(agent_id)
    _check_may_move(agent, AgentState.ACTIVE)
    clear_agent(
        agent_id=agent_id,
        by=by,
        basis=Clearance.Basis.SECURITY,
        reach_digest=reach_digest,
        reason=reason,
    )
    if still_unsigned(agent):
        return agent
    return activate_agent(agent_id=agent_id, by=by)


@transaction.atomic
def activate_alone(*, agent_id: int, by: Person) -> Agent:
    """Load an agent as active, in an installation that never had an active policy."""
    check_alone(True)
    agent = _locked(agent_id)
    permissions.check_can_change_people(by)
    if agent.state == AgentState.DRAFT:
        agent = submit_for_review(agent_id=agent_id, by=by)
    reach = fresh_reach(agent)
    _check_may_move(agent, AgentState.ACTIVE)
    write_clearance(agent, reach, Clearance.Basis.BOOTSTRAP, by)
    _activate(agent, reach, by)
    return agent


@transaction.atomic
def renew_within(*, agent_id: int, months: int, by: Actor) -> Agent:
    """Have an agent renewed at the latest so many months from today; never later than it was."""
    agent = _locked(agent_id)
    due = rules.months_after(today_of(agent.owner), months)
    if agent.renewal_due is None or due < agent.renewal_due:
        before, agent.renewal_due = agent.renewal_due, due
        keep(agent, by, ["renewal_due"])
        record(
            "agent_renewal_set",
            by=by,
            agent=agent.slug,
            resource=f"agent:{agent.slug}",
            changes={"renewal_due": (before, due)},
        )
    return agent


@transaction.atomic
def renew_agent(*, agent_id: int, by: Actor, due: date, because: str) -> Agent:
    """Set the day by which an agent must be renewed next.

    How far away it may lie is for the caller: an attestation, an extension that security agreed to.
    """
    agent = _locked(agent_id)
    permissions.check_can_set_dates(agent, by)
    _check_live(agent)
    before, agent.renewal_due = agent.renewal_due, due
    return _dated(agent, by, "agent_renewed", {"renewal_due": (before, due)}, because)


@transaction.atomic
def set_review_due(*, agent_id: int, by: Actor, due: date, because: str) -> Agent:
    """Set the day by which others must have looked at an agent again."""
    agent = _locked(agent_id)
    permissions.check_can_set_dates(agent, by)
    _check_live(agent)
    before, agent.review_due = agent.review_due, due
    return _dated(agent, by, "agent_review_set", {"review_due": (before, due)}, because)


def _check_live(agent: Agent) -> None:
    if agent.state not in rules.LIVE:
        raise WrongState(f"{agent.slug} is {agent.state_word}: its clocks do not run.")


def _dated(agent: Agent, by: Actor, did: str, changed: Changes, because: str) -> Agent:
    keep(agent, by, list(changed))
    record(
        did,
        by=by,
        agent=agent.slug,
        resource=f"agent:{agent.slug}",
        changes=changed | {"because": ("", because)},
    )
    return agent


@transaction.atomic
def suspend_agent(*, agent_id: int, by: Actor, reason: str) -> Agent:
    """Stop an agent: from the commit on it gets nothing. Done twice, it is done once."""
    agent = _locked(agent_id)
    permissions.check_can_suspend_agent(agent, by)
    if agent.state != AgentState.SUSPENDED:
        _move(agent, AgentState.SUSPENDED, by, reason)
    return agent


@transaction.atomic
def resume_agent(*, agent_id: int, by: Person) -> Agent:
    """Let a suspended agent run again, if it is still cleared for what it reaches."""
    agent = _locked(agent_id)
    if agent.state != AgentState.SUSPENDED:
        raise WrongState(f"{agent.slug} is {agent.state_word}, not suspended.")
    reach = fresh_reach(agent)
    permissions.check_can_resume_agent(agent, reach, by)
    _check_complete(agent)
    require_signed(agent, reach)
    _move(agent, AgentState.ACTIVE, by)
    return agent


@transaction.atomic
def begin_decommissioning(*, agent_id: int, by: Actor, reason: str) -> Agent:
    """Begin to end an agent: from the commit on it gets nothing, and never again."""
    agent = _locked(agent_id)
    permissions.check_can_decommission_agent(agent, by)
    _move(agent, AgentState.DECOMMISSIONING, by, reason)
    return agent


@transaction.atomic
def finish_decommissioning(*, agent_id: int, by: Actor) -> Agent:
    """Close the row for good. It stays on the register."""
    agent = _locked(agent_id)
    permissions.check_can_decommission_agent(agent, by)
    _move(agent, AgentState.DECOMMISSIONED, by)
    return agent


@transaction.atomic
def transfer_agent(
    *, agent_id: int, to: Person, by: Person, reason: str = "", alone: bool = False
) -> Saved[Agent]:
    """Offer an agent to another owner. It is theirs when they accept, never silently."""
    check_alone(alone)
    agent = _locked(agent_id)
    permissions.check_can_transfer_agent(agent, by)
    _check_may_own(agent, to)
    if agent.owner_id == to.pk:
        return Saved(agent)
    if alone:
        _transfer(agent, to, by)
        return Saved(agent, changed=("owner",))
    change = changes.propose(
        kind=TRANSFER_KIND,
        target=agent.slug,
        agent=agent.slug,
        summary=f"{agent.slug} goes from {agent.owner} to {to}.",
        before={"owner": agent.owner.pid},
        after={"owner": to.pid},
        by=by,
        reason=reason,
    )
    return Saved(agent, proposed=(change,))


def _check_may_own(agent: Agent, to: Person) -> None:
    if agent.state not in rules.EDITABLE:
        raise WrongState(f"{agent.slug} is {agent.state_word}: it keeps its owner.")
    if sentence := rules.cannot_answer(to):
        raise Invalid(sentence, fields={"owner": [sentence]})
    check_signed_nothing(agent, to, "own it")


def _transfer(agent: Agent, to: Person, by: Person, offered_by: Actor | None = None) -> None:
    before = agent.owner
    agent.owner = to
    if agent.backup_owner_id == to.pk:
        agent.backup_owner = None
    agent.version += 1
    keep(agent, by)
    record(
        "agent_transferred",
        by=by,
        agent=agent.slug,
        resource=f"agent:{agent.slug}",
        changes={"owner": (before, to)},
        more={"offered_by": offered_by.pid} if offered_by else None,
    )
    agent_transferred.send(sender=Agent, agent=agent, before=before, by=by)


def apply_transfer(change: ProposedChange, by: Person) -> None:
    """Hand the agent over, now that the new owner accepts."""
    # People before agents: whoever leaves meanwhile is waited for, and never waits for this.
    to = locked(Person, "person", pid=change.after["owner"])
    agent = locked(Agent, "agent", slug=change.target)
    if agent.owner.pid != change.before["owner"]:
        raise ChangeOutdated()
    _check_may_own(agent, to)
    _transfer(agent, to, by)


@transaction.atomic
def take_over_agent(*, agent_id: int, from_pid: str, by: Person, offered_by: Actor) -> Agent:
    """Take an agent that was offered to `by`; whether it was, the caller has seen.

    Nobody takes what they offered themself. Where it is another's by now: `ChangeOutdated`.
    """
    to = locked(Person, "person", pk=by.pk)
    agent = _locked(agent_id)
    permissions.check_may_act(to)
    if isinstance(offered_by, Person) and offered_by.pk == to.pk:
        raise NotAllowed("You named yourself, so someone else must name you, or another person.")
    if agent.owner.pid != from_pid:
        raise ChangeOutdated(f"{agent.slug} belongs to {agent.owner} by now.")
    _check_may_own(agent, to)
    _transfer(agent, to, to, offered_by)
    return agent


def why_cannot_own(agent: Agent, person: Person) -> str:
    """The sentence for which this person cannot be its owner; empty if they can."""
    try:
        _check_may_own(agent, person)
    except GovernanceError as refusal:
        return refusal.message
    return ""


def check_who_accepts(change: ProposedChange, by: Person) -> None:
    """Only the new owner accepts."""
    if by.pid != change.after["owner"]:
        to = selectors.pids_to_people([change.after["owner"]]).get(change.after["owner"])
        raise NotAllowed(f"Only {to}, who would own {change.target}, may accept it.")
