"""Every write about cases.

Whoever changes a case holds its agent first, then the case: so answers, the clock and whatever
happens to the agent come one after the other, and a closed case is closed once.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from django.db import transaction

from audit import services as audit
from audit.enums import Kind as RecordKind
from governance.kernel import clock
from governance.kernel.errors import NotFound
from lifecycle.cases import kinds
from lifecycle.cases.errors import CaseClosed
from lifecycle.cases.rules import Due, due_again
from lifecycle.models.cases import Case, CaseEvent, CaseKind, CaseState
from lifecycle.models.decommissioning import OrderState
from registry import services as register
from registry.models import Agent, Person
from registry.permissions import Actor, Automatic
from registry.services.saving import locked

DECOMMISSIONED, END_ORDERED = "decommissioned", "end_ordered"


@transaction.atomic
def open_case(
    *,
    agent: Agent,
    kind: CaseKind,
    by: Actor,
    due: Due,
    about: Mapping[str, Any] | None = None,
    proposed_owner: Person | None = None,
    now: datetime | None = None,
) -> Case | None:
    """Ask about an agent until `due`. Where such a case is open already it is returned as it is.

    None where the end of the agent is ordered: until that begins or is taken back nothing is
    asked about it.
    """
    agent = locked(Agent, "agent", pk=agent.pk)
    if found := Case.objects.filter(agent=agent, kind=kind, state=CaseState.OPEN).first():
        return found
    if agent.end_orders.filter(state=OrderState.WAITING).exists():
        return None
    now = now or clock.now()
    case = Case.objects.create(
        agent=agent,
        kind=kind,
        opened_at=now,
        opened_by=by if isinstance(by, Person) else None,
        counts_from=due.counts_from,
        due_on=due.on,
        due_at=due.at,
        zone=due.zone,
        calendar=due.calendar,
        about=dict(about or {}),
        proposed_owner=proposed_owner,
    )
    note(case, "opened", by=by, now=now)
    kinds.of(case).tell(case, "opened", now)
    return case


@transaction.atomic
def close_case(
    *,
    case_id: int,
    outcome: str,
    by: Actor,
    reason: str = "",
    state: CaseState = CaseState.ANSWERED,
) -> Case:
    """Close a case with what came of it. Whoever comes second gets `CaseClosed`."""
    case = locked_case(case_id)
    if not case.is_open:
        raise CaseClosed()
    now = clock.now()
    case.state, case.outcome, case.reason = state, outcome, reason.strip()[:500]
    case.closed_at, case.closed_by = now, by if isinstance(by, Person) else None
    case.save(update_fields=["state", "outcome", "reason", "closed_at", "closed_by"])
    note(case, state, by=by, now=now, text=case.reason, outcome=outcome)
    kinds.of(case).tell(case, state, now)
    return case


def locked_case(case_id: int) -> Case:
    """The case, held until the transaction ends, and its agent before it."""
    agent_id = Case.objects.filter(pk=case_id).values_list("agent", flat=True).first()
    if agent_id is None:
        raise NotFound("There is no such case.")
    agent = locked(Agent, "agent", pk=agent_id)
    case = locked(Case, "case", pk=case_id)
    case.agent = agent
    return case


def note(
    case: Case, what: str, *, by: Actor, now: datetime, text: str = "", **more: Any
) -> CaseEvent:
    """Record one thing that happened in a case, and keep it with the case. Once for each word."""
    record = audit.record(
        kind=RecordKind.REGISTRY,
        actor=by.pid,
        agent=case.agent.slug,
        user=str(case.about.get("person", "")),
        resource=f"case:{case.pk}",
        asked={
            "did": f"case_{what.split(':', maxsplit=1)[0]}",
            "case": case.pk,
            "kind": str(case.kind),
            "what": what,
            "due": case.due_at.isoformat(),
            "due_on": case.due_on.isoformat(),
            **more,
        },
        payload={"reason": text} if text else {},
    )
    return CaseEvent.objects.create(
        case=case,
        what=what,
        at=now,
        by=by if isinstance(by, Person) else None,
        text=text[:500],
        record=record,
    )


def end_in_time(case: Case, now: datetime) -> None:
    """The consequence of a case that nobody answered. Its record names when it was truly due."""
    kind, muster = kinds.of(case), Automatic(str(case.kind))
    outcome = DECOMMISSIONED if kind.at_due is None else "due"
    late = f"Nobody answered by {case.due_there:%Y-%m-%d %H:%M %Z}."
    case = close_case(
        case_id=case.pk, outcome=outcome, by=muster, reason=late, state=CaseState.ENDED
    )
    if kind.at_due is not None:
        kind.at_due(case, now)
        return
    register.begin_decommissioning(
        agent_id=case.agent_id, by=muster, reason=f"{kind.title}. {late}"
    )


# When it ends, or is to


def close_of_ended(agent: Agent, by: Actor) -> None:
    """An agent that ends has no open question any more."""
    _close_all(agent, DECOMMISSIONED, by)


def close_of_ordered(agent: Agent, by: Actor, reason: str) -> None:
    """Its end is ordered, which answers whatever was asked about it."""
    _close_all(agent, END_ORDERED, by, reason)


def _close_all(agent: Agent, outcome: str, by: Actor, reason: str = "") -> None:
    for pk in list(agent.cases.filter(state=CaseState.OPEN).values_list("pk", flat=True)):
        close_case(case_id=pk, outcome=outcome, by=by, reason=reason)


def ask_again(agent: Agent, by: Actor, ordered_at: datetime) -> list[Case]:
    """An order to end it came to nothing: what that had answered is asked again.

    Each has the days that it had, so that nobody gains time by ordering and taking back.
    """
    now = clock.now()
    rows = agent.cases.filter(outcome=END_ORDERED, closed_at__gte=ordered_at).order_by("pk")
    related = rows.select_related("agent__owner__manager", "agent__backup_owner", "proposed_owner")
    asked = [_again(case, by, now) for case in related if kinds.of(case).still_true(case)]
    return [case for case in asked if case is not None]


def _again(case: Case, by: Actor, now: datetime) -> Case | None:
    return open_case(
        agent=case.agent,
        kind=CaseKind(case.kind),
        by=by,
        due=due_again(case, now),
        about=case.about,
        proposed_owner=case.proposed_owner,
        now=now,
    )
