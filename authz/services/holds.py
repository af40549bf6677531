"""What becomes of holds: approved, edited, rejected, cancelled, expired.

A hold leaves `open` by one UPDATE that still finds it open and in time by the database's clock;
of several at once exactly one succeeds, and one entry of the record tells of it. Everything here
takes the agent's lock first, as `authz.decide_batch` does.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db import IntegrityError, connection, transaction
from django.db.models import Q
from django.db.models.functions import Now

from audit import services as audit
from audit.enums import Kind
from authz import outcomes, permissions, timekeeper
from authz.asks import Caller
from authz.engine import codes
from authz.engine.destinations import domains_of
from authz.engine.types import Effect
from authz.enums import HoldState
from authz.errors import (
    AlreadyApproved,
    BadEdit,
    HoldDecided,
    OtherParameters,
    UnknownHold,
)
from authz.held import Held, judged_anew, open_edit, open_hold, open_holds, readable
from authz.models import Hold, HoldEdit, HoldVote, KnownDomain, Release
from authz.services import callbacks, spending
from authz.signals import hold_moved
from governance.kernel import clock
from governance.kernel.errors import GovernanceError, Invalid
from registry.errors import OwnMatter
from registry.models import Agent, Person, Tool

MAX_REASON = 500
MAX_AT_ONCE = 1000
DOMAIN = "gate.domain"
DECIDING = "to decide on a hold"
_OPEN = HoldState.OPEN

Json = Any
Facts = Mapping[str, Json]


@dataclass(frozen=True, slots=True)
class Voter:
    """Whoever says yes: a person, or an approver agent."""

    person: Person | None = None
    agent: str = ""

    @property
    def name(self) -> str:
        return self.person.pid if self.person else self.agent


@dataclass(frozen=True, slots=True)
class Batch:
    """What became of several alike holds: those that moved, and why others did not."""

    moved: tuple[Hold, ...] = ()
    left: Mapping[UUID, str] = field(default_factory=dict)


def approve_hold(
    *, hold_id: UUID, by: Person, seen: str = "", second_factor_at: datetime | None = None
) -> Hold:
    """Let the action run once, as it was asked, or as it was edited where `seen` says so.

    `seen` is the digest of what the person looked at. Where more approvals are needed than there
    are, the hold goes on waiting. Raises `NotAllowed`, `SecondFactorNeeded`, `HoldDecided`,
    `OtherParameters`, `HoldUnreadable`.
    """
    hold = _found(hold_id)
    _check_can_approve(hold, by, second_factor_at)
    digest = seen or hold.digest
    parameters = _opened(hold, digest, by.pid)
    with transaction.atomic():
        hold = _locked(hold_id)
        permissions.check_can_approve_hold(hold, by, second_factor_at, timekeeper.now())
        return _approve(hold, digest, parameters, Voter(by))


def _check_can_approve(hold: Hold, by: Person, second_factor_at: datetime | None) -> None:
    """That somebody tried to approve what they have a part in is recorded."""
    try:
        permissions.check_can_approve_hold(hold, by, second_factor_at, timekeeper.now())
    except OwnMatter:
        audit.record(
            kind=Kind.HOLD,
            actor=by.pid,
            agent=hold.agent,
            tool=hold.tool,
            parent=hold.pk,
            asked={"did": "approval_refused"},
        )
        raise


def show_to_agent(*, hold_id: UUID, caller: Caller) -> Held:
    """What an approver agent is to decide on. Raises as `approve_hold`."""
    hold = _found(hold_id)
    _check_agent(hold, caller)
    return open_hold(hold, by=caller.slug, reason=DECIDING)


def approve_as_agent(*, hold_id: UUID, caller: Caller) -> Hold:
    """An approver agent's yes, where the gate allows it. Raises as `approve_hold`."""
    hold = _found(hold_id)
    _check_agent(hold, caller)
    parameters = _opened(hold, hold.digest, caller.slug)
    with transaction.atomic():
        hold = _locked(hold_id)
        permissions.check_agent_can_approve_hold(hold, caller.slug)
        return _approve(hold, hold.digest, parameters, Voter(agent=caller.slug))


def _check_agent(hold: Hold, caller: Caller) -> None:
    outcomes.check_token(caller)
    if caller.is_gateway or caller.is_for_another:
        # What stands for somebody is good for calls in their name, and for nothing else.
        raise UnknownHold()
    permissions.check_agent_can_approve_hold(hold, caller.slug)


def edit_hold(
    *, hold_id: UUID, by: Person, parameters: Facts, second_factor_at: datetime | None = None
) -> Hold:
    """Approve the action with other parameters, which must be such as the agent could have sent.

    The edit and its difference are recorded; the agent reads the edited parameters with its
    approval. Earlier approvals were of something else and do not count for it.
    """
    hold = _found(hold_id)
    _check_can_approve(hold, by, second_factor_at)
    before = _opened(hold, hold.digest, by.pid)
    digest = _checked(hold, parameters)
    with transaction.atomic():
        hold = _locked(hold_id)
        permissions.check_can_approve_hold(hold, by, second_factor_at, timekeeper.now())
        if digest != hold.digest:
            _keep_edit(hold, digest, before, parameters, by)
        return _approve(hold, digest, parameters, Voter(by))


@transaction.atomic
def reject_hold(*, hold_id: UUID, by: Person, reason: str) -> Hold:
    """Refuse the action, with the reason that its agent reads."""
    hold = _locked(hold_id)
    permissions.check_can_reject_hold(hold, by)
    return _move(hold, HoldState.REJECTED, by=by, reason=_reason(reason))


@transaction.atomic
def cancel_hold(*, hold_id: UUID, caller: Caller, reason: str = "") -> Hold:
    """Take the question back: whoever asked it for this agent."""
    hold = _locked(hold_id)
    return _move(hold, HoldState.CANCELLED, actor=caller.slug, reason=reason[:MAX_REASON])


@transaction.atomic
def expire_hold(*, hold_id: UUID) -> bool:
    """Say that nobody answered in time; whether it was so. Doing it twice does it once."""
    hold = _locked(hold_id)
    over = Hold.objects.filter(pk=hold.pk, state=HoldState.OPEN, expires_at__lte=Now()).exists()
    if over:
        _move(hold, HoldState.EXPIRED, actor="system:holds")
    return over


# An agent that has ended


@dataclass(frozen=True, slots=True)
class Closed:
    """What was closed for an agent that ended: holds that waited, releases that had not run."""

    holds: int
    releases: int


@transaction.atomic
def close_of_agent(*, agent: str, actor: str, reason: str) -> Closed:
    """Refuse what waits for an agent that has ended, and free what is reserved for its releases.

    A release that did not run stays as it is: every check of an ended agent refuses it. Done
    twice, it is done once.
    """
    lock_holds([agent])
    return _close(Q(agent=agent), Q(agent=agent), actor, reason)


@transaction.atomic
def close_for_user(*, agents: Sequence[str], user: str, actor: str, reason: str) -> Closed:
    """The same for what waits of these agents in the name of one user, who lets them no more."""
    lock_holds(agents)
    theirs = Q(agent__in=list(agents), user=user)
    return _close(theirs, Q(agent__in=list(agents), hold__user=user), actor, reason)


def lock_holds(agents: Sequence[str]) -> None:
    """One matter of these agents' holds after the other; taken before anything else of them."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT authz.lock_holds(%s)", [list(agents)])


def _close(waiting: Q, unused: Q, actor: str, reason: str) -> Closed:
    rows = Hold.objects.select_for_update(of=("self",), no_key=True)
    refused = [_refuse(hold, actor, reason) for hold in rows.filter(waiting, state=_OPEN)]
    releases = Release.objects.filter(unused, used_by__isnull=True, until__gt=Now())
    ended = list(releases.values_list("hold", flat=True))
    for hold_id in ended:
        spending.free_reservation(decision=hold_id)
    return Closed(len(refused), len(ended))


def _refuse(hold: Hold, actor: str, reason: str) -> Hold:
    try:
        return _move(hold, HoldState.REJECTED, actor=actor, reason=reason[:MAX_REASON])
    except HoldDecided:
        # Its time was over, and nobody had said so yet.
        return _move(hold, HoldState.EXPIRED, actor=actor)


# Several at once


def approve_holds(
    *, hold_ids: Sequence[UUID], by: Person, second_factor_at: datetime | None = None
) -> Batch:
    """Approve alike holds, all that can be, in one transaction and with one recorded reading."""
    holds = _alike(hold_ids)
    now = timekeeper.now()
    left = {hold.id: permissions.may_approve(hold, by, second_factor_at, now) for hold in holds}
    wanted = [hold for hold in holds if hold.is_open and not left[hold.id]]
    opened = open_holds(wanted, by=by.pid, reason=DECIDING)
    moved: list[Hold] = []
    with transaction.atomic():
        for held in opened:
            try:
                with transaction.atomic():
                    hold = _locked(held.hold.id)
                    permissions.check_can_approve_hold(hold, by, second_factor_at, now)
                    parameters = readable(held).parameters
                    moved.append(_approve(hold, hold.digest, parameters, Voter(by)))
            except GovernanceError as error:
                left[held.hold.id] = error.message
    return _batch(holds, moved, left)


@transaction.atomic
def reject_holds(*, hold_ids: Sequence[UUID], by: Person, reason: str) -> Batch:
    """Refuse alike holds, all that still wait, for one reason."""
    said, moved, left = _reason(reason), [], {}
    holds = _alike(hold_ids)
    for each in holds:
        try:
            with transaction.atomic():
                hold = _locked(each.id)
                permissions.check_can_reject_hold(hold, by)
                moved.append(_move(hold, HoldState.REJECTED, by=by, reason=said))
        except GovernanceError as error:
            left[each.id] = error.message
    return _batch(holds, moved, left)


def _alike(hold_ids: Sequence[UUID]) -> list[Hold]:
    """These holds, in order of their making; of one agent and one shape."""
    if len(hold_ids) > MAX_AT_ONCE:
        raise Invalid(f"At most {MAX_AT_ONCE} holds are decided at once.")
    holds = list(Hold.objects.filter(pk__in=hold_ids))
    if not holds:
        raise UnknownHold()
    if len({(hold.agent, hold.shape) for hold in holds}) > 1:
        raise Invalid("Only alike holds are decided at once: of one agent, one tool, one shape.")
    return holds


def _batch(holds: Sequence[Hold], moved: Sequence[Hold], left: Mapping[UUID, str]) -> Batch:
    done = {hold.id for hold in moved}
    why = {
        hold.id: left.get(hold.id) or str(HoldDecided.__doc__)
        for hold in holds
        if hold.id not in done
    }
    return Batch(tuple(moved), why)


# Finding and opening


def _found(hold_id: UUID) -> Hold:
    hold = Hold.objects.filter(pk=hold_id).first()
    if hold is None:
        raise UnknownHold()
    if not hold.is_open:
        raise HoldDecided()
    return hold


def _locked(hold_id: UUID) -> Hold:
    """The hold, under its agent's lock and its own. Raises `HoldDecided` where it is over."""
    agent = Hold.objects.filter(pk=hold_id).values_list("agent", flat=True).first()
    if agent is None:
        raise UnknownHold()
    lock_holds([agent])
    hold = Hold.objects.select_for_update(of=("self",), no_key=True).get(pk=hold_id)
    if not hold.is_open:
        raise HoldDecided()
    return hold


def _opened(hold: Hold, digest: str, by: str) -> Facts:
    """The parameters that this digest stands for, read and compared. Not in a transaction."""
    if digest != hold.digest:
        edit = HoldEdit.objects.select_related("hold").filter(hold=hold, digest=digest).first()
        if edit is None:
            raise OtherParameters()
        return open_edit(edit, by=by, reason=DECIDING)
    return open_hold(hold, by=by, reason=DECIDING).parameters


def _reason(reason: str) -> str:
    said = reason.strip()
    if not 0 < len(said) <= MAX_REASON or "\0" in said:
        sentence = f"Say why, in at most {MAX_REASON} characters: the agent reads it."
        raise Invalid(sentence, fields={"reason": [sentence]})
    return said


# Editing


def _checked(hold: Hold, parameters: Facts) -> str:
    """The digest of the edited call, which the agent could have made. Raises `BadEdit`."""
    if hold.sealed:
        raise BadEdit(
            "This call carries secret parameters, which only its agent knows. "
            "Approve or reject it as it is."
        )
    if Tool.objects.filter(name=hold.tool).values_list("version", flat=True).first() != (
        hold.tool_version
    ):
        raise BadEdit("The tool has changed since this was asked. Reject it, to be asked again.")
    decision, digest = judged_anew(hold, parameters)
    if decision.effect is Effect.DENY:
        told = codes.message(decision.code, decision.detail)
        raise BadEdit(
            f"Changed like this, the call would be refused. {told}", fields={"parameters": [told]}
        )
    return digest


def _keep_edit(hold: Hold, digest: str, before: Facts, after: Facts, by: Person) -> None:
    known = HoldEdit.objects.filter(hold=hold, digest=digest).exists()
    if known:
        return
    changed = differences(before, after)
    record = _record(
        hold,
        "hold_edited",
        actor=by.pid,
        told={"digest": digest, "changed": sorted({each["name"] for each in changed})},
        sealed={"parameters": dict(after), "differences": changed},
    )
    HoldEdit.objects.create(hold=hold, digest=digest, record=record, by=by, at=Now())


def differences(before: Facts, after: Facts) -> list[dict[str, Json]]:
    """What an edit changed: for each parameter its value before and after, where it has one."""
    return [
        {
            "name": name,
            **({"before": before[name]} if name in before else {}),
            **({"after": after[name]} if name in after else {}),
        }
        for name in sorted({*before, *after})
        if name not in before or name not in after or before[name] != after[name]
    ]


# Moving


def _approve(hold: Hold, digest: str, parameters: Facts, voter: Voter) -> Hold:
    """Count a yes; with the last one that is needed the hold is approved and released."""
    if HoldVote.objects.filter(
        hold=hold, digest=digest, person=voter.person, agent=voter.agent
    ).exists():
        raise AlreadyApproved()
    try:
        with transaction.atomic():
            HoldVote.objects.create(
                hold=hold, digest=digest, person=voter.person, agent=voter.agent, at=Now()
            )
    except IntegrityError as error:
        # The database refuses what was checked before: it has changed since.
        raise HoldDecided() from error
    votes = HoldVote.objects.filter(hold=hold, digest=digest).count()
    if votes < hold.approvals:
        told = {"digest": digest, "votes": votes, "needed": hold.approvals}
        _record(hold, "hold_vote", actor=voter.name, told=told)
        hold_moved.send(sender=Hold, hold=hold, by=voter.person or voter.agent)
        return hold
    return _release(hold, digest, parameters, voter)


def _release(hold: Hold, digest: str, parameters: Facts, voter: Voter) -> Hold:
    release = Release(
        id=clock.uuid7(timekeeper.now()),
        hold=hold,
        agent=hold.agent,
        digest=digest,
    )
    told = {"release": str(release.id), "digest": digest, "edited": digest != hold.digest}
    moved = _move(hold, HoldState.APPROVED, by=voter.person, actor=voter.agent, told=told)
    lasts = timedelta(minutes=settings.MUSTER_RELEASE_MINUTES)
    release.hold, release.made_at = moved, moved.decided_at or timekeeper.now()
    release.until = release.made_at + lasts
    release.save(force_insert=True)
    _learn_domains(moved, parameters)
    return moved


def _learn_domains(hold: Hold, parameters: Facts) -> None:
    """A domain that a person approved once is known for this agent from then on."""
    if DOMAIN not in hold.codes:
        return
    tool = Tool.objects.filter(name=hold.tool).values_list("recipient_parameter", flat=True)
    for domain in sorted(domains_of({"recipient": tool.first() or ""}, parameters) or ()):
        KnownDomain.objects.get_or_create(
            agent=hold.agent, domain=domain, defaults={"hold": hold, "at": Now()}
        )


def _move(
    hold: Hold,
    state: HoldState,
    *,
    by: Person | None = None,
    actor: str = "",
    reason: str = "",
    told: Facts | None = None,
) -> Hold:
    """Compare and swap: the one UPDATE that still finds it open decides, and is recorded."""
    still = Hold.objects.filter(pk=hold.pk, state=HoldState.OPEN)
    if state != HoldState.EXPIRED:
        still = still.filter(expires_at__gt=Now())
    is_agent = by is None and Agent.objects.filter(slug=actor).exists()
    won = still.update(
        state=state,
        decided_at=Now(),
        decided_by=by,
        decided_by_agent=actor if is_agent else "",
        reason=reason,
    )
    if not won:
        raise HoldDecided()
    hold.refresh_from_db()
    _record(
        hold,
        f"hold_{state}",
        actor=by.pid if by else actor,
        told=told or {},
        sealed={"reason": reason} if reason else {},
    )
    callbacks.note_end(hold)
    hold_moved.send(sender=Hold, hold=hold, by=by or actor)
    return hold


def _record(
    hold: Hold, did: str, *, actor: str, told: Facts | None = None, sealed: Facts | None = None
) -> UUID:
    return audit.record(
        kind=Kind.HOLD,
        actor=actor,
        agent=hold.agent,
        user=hold.user,
        gateway=hold.gateway,
        tool=hold.tool,
        tier=hold.tier,
        session=hold.session,
        parent=hold.id,
        code=did.replace("_", ".", 1),
        asked={"did": did, "hold": str(hold.id), **(told or {})},
        payload=sealed or {},
    )
