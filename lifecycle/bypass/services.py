"""Matching what was seen with what was decided, and what people say to what has no decision."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.db import connection, transaction

from audit import selectors as trail
from audit import services as audit
from audit.enums import Kind
from audit.models import Record
from authz.models import Lease
from governance.kernel import clock
from governance.kernel.errors import Invalid, NotFound
from lifecycle.bypass import permissions
from lifecycle.bypass.errors import NothingOpen
from lifecycle.bypass.matching import Called, Decided, pairs
from lifecycle.models import CallState, SeenCall, ToolLog
from lifecycle.notices import Severity, notify
from registry import reserved
from registry.models import Agent, Person, Tool
from registry.selectors import answering_for, security_people

ACTOR = "system:bypass"
AT_ONCE = 2000
SPAN = timedelta(hours=1)
# What was decided just before a call stands on the record by then.
SETTLED = timedelta(minutes=2)
# A lease is taken for a call that was asked for already, or is asked for while it runs.
BEFORE_LEASE = timedelta(minutes=5)


@transaction.atomic
def match_calls(*, log_id: int, agent_id: int, tool: str, now: datetime) -> bool:
    """Match what of an agent and a tool waits in a log; the oldest first. Whether it did any."""
    log = ToolLog.objects.select_related("system").get(pk=log_id)
    agent = Agent.objects.select_related("owner", "backup_owner").get(pk=agent_id)
    _take_turn(agent, tool)
    waiting = SeenCall.objects.select_for_update(of=("self",), no_key=True).filter(
        log=log, agent=agent, tool=tool, state=CallState.WAITING, at__lte=now - _settles(log)
    )
    calls = list(waiting.order_by("at", "pk")[:AT_ONCE])
    if not calls:
        return False
    found: dict[int, UUID] = {}
    for near in _spans(calls):
        found |= _matched(log, agent, tool, near, set(found.values()))
    without = _settle(calls, found, now)
    if without:
        _found(agent, tool, without, log.system.slug)
    return True


def _settles(log: ToolLog) -> timedelta:
    return SETTLED + timedelta(seconds=log.ahead_seconds)


def _take_turn(agent: Agent, tool: str) -> None:
    """Two logs may tell of one agent and tool: one uses decisions up after the other."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT pg_advisory_xact_lock(hashtextextended(%s, 22))", [f"{agent.slug}\n{tool}"]
        )


def _spans(calls: Sequence[SeenCall]) -> Iterator[list[SeenCall]]:
    """The calls, which are in order, hour by hour: no more of the record is read at once."""
    near: list[SeenCall] = []
    for call in calls:
        if near and call.at > near[0].at + SPAN:
            yield near
            near = []
        near.append(call)
    yield near


def _matched(
    log: ToolLog, agent: Agent, tool: str, calls: Sequence[SeenCall], taken: set[UUID]
) -> dict[int, UUID]:
    """The decisions of these calls, of those that no call has used up; `taken` are just now."""
    window = timedelta(seconds=log.window_seconds)
    ahead = timedelta(seconds=log.ahead_seconds)
    made = trail.went_on(agent.slug, [tool], calls[0].at - window, calls[-1].at + ahead)
    ids = [each.id for each in made]
    used = taken.union(SeenCall.objects.filter(decision__in=ids).values_list("decision", flat=True))
    return pairs(
        [Called(call.pk, call.at, call.resource) for call in calls],
        [Decided(each.id, each.at, _id_of(each)) for each in made if each.id not in used],
        window=window,
        ahead=ahead,
    )


def _id_of(decision: Record) -> str:
    """The id in the resource of a decision, without its type."""
    return decision.resource.partition("/")[2]


def _settle(calls: Sequence[SeenCall], found: dict[int, UUID], now: datetime) -> list[SeenCall]:
    for call in calls:
        call.decision = found.get(call.pk)
        call.state = CallState.MATCHED if call.decision else CallState.OPEN
        call.settled_at = now
    SeenCall.objects.bulk_update(calls, ["decision", "state", "settled_at"], batch_size=500)
    return [call for call in calls if call.state == CallState.OPEN]


@transaction.atomic
def match_lease(*, lease_id: UUID, now: datetime) -> bool:
    """Look whether anything was asked for while a lease ran. Whether it had not been looked at."""
    rows = Lease.objects.select_for_update(of=("self",), no_key=True)
    lease = rows.select_related("agent__owner", "agent__backup_owner", "credential__system").get(
        pk=lease_id
    )
    system = lease.credential.system
    if system is None or SeenCall.objects.filter(lease=lease).exists():
        return False
    until = min(filter(None, (lease.ended_at, lease.expires_at)))
    tools = Tool.objects.filter(system=system).values_list("name", flat=True)
    asked = trail.went_on(lease.agent.slug, tools, lease.at - BEFORE_LEASE, until)
    call = SeenCall.objects.create(
        lease=lease,
        key=lease.pk.hex,
        at=lease.at,
        agent=lease.agent,
        identity=lease.credential.reference,
        tool=reserved.TOOL,
        action=system.slug,
        state=CallState.MATCHED if asked else CallState.OPEN,
        settled_at=now,
    )
    if not asked:
        _found(lease.agent, reserved.TOOL, [call], system.slug)
    return True


def _found(agent: Agent, tool: str, calls: Sequence[SeenCall], system: str) -> None:
    """Record what has no decision, and page who answers for the agent, and security."""
    many, first = len(calls), calls[0]
    audit.record(
        kind=Kind.SYSTEM,
        actor=ACTOR,
        agent=agent.slug,
        tool=tool,
        asked={
            "did": "bypass_found",
            "calls": many,
            "system": system,
            "first": first.at.isoformat(),
            "last": calls[-1].at.isoformat(),
        },
    )
    context = {
        "agent": agent.slug,
        "tool": tool,
        "calls": "One call" if many == 1 else f"{many:,} calls",
        "system": system,
    }
    people = {each.pk: each for each in (*answering_for(agent), *security_people())}
    for person in people.values():
        notify(
            person=person,
            severity=Severity.PAGE,
            code="bypass.found",
            context=context,
            event=f"bypass:{first.pk}",
        )


# What people say


def confirm(*, agent: Agent, tool: str, until: int, by: Person, answer: str = "") -> int:
    """Say that the open calls went past Muster indeed. Returns how many were answered."""
    permissions.check_can_confirm(agent, by)
    return _answer(CallState.CONFIRMED, agent, tool, until, by=by, answer=answer)


def explain(*, agent: Agent, tool: str, until: int, by: Person, answer: str) -> int:
    """Say why the open calls did not have to be asked. Returns how many were answered."""
    permissions.check_can_explain(agent, by)
    if not answer.strip():
        raise Invalid("Say why these calls did not have to be asked for.")
    return _answer(CallState.EXPLAINED, agent, tool, until, by=by, answer=answer)


@transaction.atomic
def _answer(
    state: CallState, agent: Agent, tool: str, until: int, *, by: Person, answer: str
) -> int:
    """Answer what is open up to the call `until`: what was found since was not looked at."""
    if not Agent.objects.visible_to(by).filter(pk=agent.pk).exists():
        raise NotFound("There is no such agent, or you may not see it.")
    rows = SeenCall.objects.select_for_update(no_key=True).filter(
        agent=agent, tool=tool, state=CallState.OPEN, pk__lte=until
    )
    ids = list(rows.order_by("pk").values_list("pk", flat=True))
    if not ids:
        raise NothingOpen()
    said: dict[str, Any] = {
        "state": state,
        "answered_by": by,
        "answered_at": clock.now(),
        "answer": answer.strip()[:500],
    }
    SeenCall.objects.filter(pk__in=ids).update(**said)
    audit.record(
        kind=Kind.SYSTEM,
        actor=by.pid,
        agent=agent.slug,
        tool=tool,
        asked={"did": f"bypass_{state}", "calls": len(ids), "until": until},
        payload={"answer": said["answer"]} if said["answer"] else {},
    )
    return len(ids)
