"""The three answers to a finding: split, have it reviewed, or let what comes out count as more.

The choice and its reason are recorded with it. The first two open something that others decide:
two drafts with a junction, or a review.
"""

from __future__ import annotations

from typing import Any

from django.db import transaction

from authz.services import toxic as outputs
from governance.kernel import clock
from governance.kernel.errors import Conflict, Invalid, NotFound
from lifecycle.models import ToxicFinding, ToxicSplit
from lifecycle.models.toxic import FindingAnswer, FindingScope, FindingState
from lifecycle.toxic import permissions, splitting
from lifecycle.toxic.errors import AlreadyAnswered, CannotSplit
from lifecycle.toxic.recording import record_finding
from registry import changes
from registry import services as register
from registry.enums import AgentState, ChangeState
from registry.models import Agent, Person, ProposedChange
from registry.permissions import Actor, Automatic

ELEVATE_KIND = "toxic.elevate"
JUNCTION_KIND = "toxic.junction"


def _locked(finding_id: int, by: Person) -> ToxicFinding:
    rows = ToxicFinding.objects.visible_to(by).values("pk")
    row = (
        ToxicFinding.objects.select_for_update(of=("self",), no_key=True)
        .select_related("agent__owner", "agent__backup_owner", "owner")
        .filter(pk=finding_id, pk__in=rows)
        .first()
    )
    if row is None:
        raise NotFound("There is no such finding, or you may not see it.")
    permissions.check_can_answer(row, by)
    return row


def _open(finding_id: int, by: Person, reason: str) -> ToxicFinding:
    row = _locked(finding_id, by)
    if row.state != FindingState.OPEN:
        raise AlreadyAnswered()
    if not reason.strip():
        raise Invalid("Say why.", fields={"reason": ["Say why."]})
    return row


def _answer(row: ToxicFinding, answer: FindingAnswer, by: Person, reason: str, **told: Any) -> None:
    row.state, row.answer, row.answer_reason = FindingState.ANSWERED, answer, reason.strip()[:500]
    row.answered_by, row.answered_at = by, clock.now()
    _save(row)
    record_finding("toxic_answered", row, by.pid, answer=str(answer), **told)


def _reopen(row: ToxicFinding, by: Actor, did: str) -> None:
    if row.state == FindingState.ANSWERED:
        row.state = FindingState.OPEN
    row.answer, row.answer_reason, row.answered_by, row.answered_at = "", "", None, None
    _save(row)
    record_finding(did, row, by.pid)


def _save(row: ToxicFinding) -> None:
    row.save(
        update_fields=["state", "answer", "answer_reason", "answered_by", "answered_at"],
    )


# Aggregate


@transaction.atomic
def aggregate(*, finding_id: int, by: Person, reason: str) -> ToxicFinding:
    """From now on what these agents put out counts as the implied tier, however little they read.

    It is refused wherever that would sink, so nobody else needs to agree. Taking it back does.
    """
    row = _open(finding_id, by, reason)
    parts = {"categories": row.categories, "effects": row.effects}
    for agent in Agent.objects.filter(slug__in=row.agents).order_by("pk"):
        outputs.raise_output(
            agent=agent, combination=row.combination, parts=parts, tier=row.tier, by=by
        )
    _answer(row, FindingAnswer.AGGREGATE, by, reason)
    return row


@transaction.atomic
def ask_to_lower(*, finding_id: int, by: Person, reason: str) -> list[ProposedChange]:
    """Ask that what these agents put out no longer counts as more: security agrees to it.

    Until then it counts. Then the finding is open again.
    """
    row = _locked(finding_id, by)
    if row.answer != FindingAnswer.AGGREGATE:
        raise Conflict("This finding was not answered so.")
    if not reason.strip():
        raise Invalid("Say why.", fields={"reason": ["Say why."]})
    agents = Agent.objects.filter(
        slug__in=row.agents, output_tiers__combination=row.combination
    ).order_by("pk")
    return [
        outputs.propose_lower_output(
            agent=agent, combination=row.combination, by=by, reason=reason.strip()[:500]
        )
        for agent in agents
    ]


# Elevate


@transaction.atomic
def elevate(*, finding_id: int, by: Person, reason: str) -> ToxicFinding:
    """Have it reviewed: a draft is sent for review, what is live is signed as it is.

    Of several agents together security says whether they may go on.
    """
    row = _open(finding_id, by, reason)
    if row.agent is None:
        _propose_elevation(row, by, reason)
    elif row.agent.state == AgentState.DRAFT:
        register.submit_for_review(agent_id=row.agent.pk, by=by)
    elif row.agent.state != AgentState.IN_REVIEW:
        _propose_staying(row, row.agent, by, reason)
    _answer(row, FindingAnswer.ELEVATE, by, reason)
    return row


def _propose_staying(row: ToxicFinding, agent: Agent, by: Person, reason: str) -> None:
    register.propose_staying(
        agent_id=agent.pk,
        by=by,
        because=f"{row.combination} comes together",
        about={"finding": row.pk, **_about(row)},
        reason=reason.strip()[:500],
    )


def _propose_elevation(row: ToxicFinding, by: Person, reason: str) -> None:
    changes.propose(
        kind=ELEVATE_KIND,
        target=str(row.pk),
        summary=f"{', '.join(row.agents)}: go on although {row.combination} comes together"[:300],
        before={},
        after=_about(row),
        by=by,
        reason=reason.strip()[:500],
    )


def _about(row: ToxicFinding) -> dict[str, Any]:
    return {
        "combination": row.combination,
        "counts as": row.tier,
        "agents": list(row.agents),
        "digest": row.digest,
    }


def staying_decided(change: ProposedChange, by: Actor) -> None:
    """What became of the question whether a live agent may stay as it is."""
    row = _finding(change.after.get("finding", 0))
    if row is None:
        return
    if change.state == ChangeState.AGREED:
        record_finding("toxic_reviewed", row, by.pid, proposed_by=change.proposed_by.pid)
    elif row.answer == FindingAnswer.ELEVATE:
        _reopen(row, by, "toxic_review_refused")


def apply_elevation(change: ProposedChange, by: Person) -> None:
    """Security's word that it may go on so: it is for exactly what was found then."""
    row = _of_change(change)
    if row is not None and row.digest == change.after["digest"]:
        record_finding("toxic_reviewed", row, by.pid, proposed_by=change.proposed_by.pid)


def drop_elevation(change: ProposedChange, by: Person) -> None:
    """It may not go on so: it waits for another answer."""
    row = _of_change(change)
    if row is not None and row.answer == FindingAnswer.ELEVATE:
        _reopen(row, by, "toxic_review_refused")


def interested_in_elevation(change: ProposedChange) -> set[str]:
    """Whoever answers for the agents."""
    return _answering(change.after["agents"])


def _answering(slugs: list[str]) -> set[str]:
    pids = Agent.objects.filter(slug__in=slugs).values_list("owner__pid", "backup_owner__pid")
    return {pid for pair in pids for pid in pair if pid}


def _of_change(change: ProposedChange) -> ToxicFinding | None:
    return _finding(int(change.target))


def _finding(pk: int) -> ToxicFinding | None:
    rows = ToxicFinding.objects.select_for_update(of=("self",), no_key=True).select_related(
        "agent", "owner"
    )
    return rows.filter(pk=pk).first()


# Split


@transaction.atomic
def split(*, finding_id: int, by: Person, reason: str) -> ToxicSplit:
    """Open two drafts, each on one side, and propose the junction by which both hand over.

    The row that is split stays as it is: its owner ends it when the two are live.
    """
    row = _open(finding_id, by, reason)
    if row.scope != FindingScope.AGENT or row.agent is None:
        raise CannotSplit("These are several agents already: have one stop reading or writing.")
    plan = splitting.plan_of(row)
    made = splitting.open_drafts(row, plan, by)
    changes.propose(
        kind=JUNCTION_KIND,
        target=str(made.pk),
        agent=made.agent.slug,
        summary=f"{made.agent.slug}: a junction between {made.first.slug} and {made.second.slug}",
        before={},
        after={
            "system": made.system,
            "tool": made.tool,
            "tier": row.tier,
            "policy": splitting.policy_text(made),
            "agents": [made.first.slug, made.second.slug],
        },
        by=by,
        reason=reason.strip()[:500],
    )
    sides = {"first": made.first.slug, "second": made.second.slug}
    _answer(row, FindingAnswer.SPLIT, by, reason, **sides)
    return made


def apply_junction(change: ProposedChange, by: Person) -> None:
    """Make what both sides hand over by: its system, its tool, its role, its own policy."""
    made = _split(int(change.target))
    if made is not None and made.undone_at is None:
        splitting.make_junction(made, change.after["tier"], by)


def interested_in_junction(change: ProposedChange) -> set[str]:
    """Whoever answers for the row that was split."""
    return _answering([change.agent])


def _split(pk: int) -> ToxicSplit | None:
    rows = ToxicSplit.objects.select_for_update(of=("self",), no_key=True).select_related(
        "finding__agent__owner", "finding__owner", "agent", "first", "second"
    )
    return rows.filter(pk=pk).first()


@transaction.atomic
def undo_split(*, finding_id: int, by: Person) -> ToxicFinding:
    """Take a split back while nothing of it runs: the two drafts end, the finding asks again."""
    row = _locked(finding_id, by)
    found = row.splits.filter(undone_at__isnull=True).first()
    made = _split(found.pk) if found else None
    if made is None:
        raise Conflict("This finding was not split, or it was taken back already.")
    permissions.check_can_undo_split(made, by)
    for side in (made.first, made.second):
        if side.state not in {AgentState.DRAFT, AgentState.IN_REVIEW, AgentState.DECOMMISSIONED}:
            raise Conflict(f"{side.slug} is {side.state_word}: end it on its own page first.")
    _end_drafts(made, by)
    made.undone_by, made.undone_at = by, clock.now()
    made.save(update_fields=["undone_by", "undone_at"])
    _reopen(row, by, "toxic_split_undone")
    return row


def _end_drafts(made: ToxicSplit, by: Person) -> None:
    """Rows are never deleted: they end before they began."""
    why = f"The split of {made.agent.slug} was taken back."
    for side in (made.first, made.second):
        if side.state != AgentState.DECOMMISSIONED:
            register.begin_decommissioning(agent_id=side.pk, by=by, reason=why)
            register.finish_decommissioning(agent_id=side.pk, by=Automatic("toxic"))
