"""Every write about anomalies: finding them, and what people say to them."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any

from django.db import transaction

from audit import services as audit
from audit.enums import Kind
from governance.kernel import clock
from governance.kernel.errors import Conflict, Invalid, NotFound
from lifecycle.anomalies import counting, judging, permissions
from lifecycle.anomalies.judging import Finding, Raised
from lifecycle.models import Anomaly
from lifecycle.models.anomalies import COUNTED, AnomalyKind, AnomalyState
from lifecycle.notices import Severity, notify
from registry.models import Person
from registry.selectors import answering_for, security_people

ACTOR = "system:anomalies"
# What goes on within so long of an open alert is part of it.
GOES_ON = timedelta(hours=24)
# Of what lies further back, people are not told; the list has it all the same.
TOLD = timedelta(hours=24)
RAISED = timedelta(days=30)


class AlreadyAnswered(Conflict):
    """Somebody has answered this alert already."""

    code = "already_answered"


@transaction.atomic
def watch_hour(hour: datetime, now: datetime) -> list[Anomaly] | None:
    """Count an hour of the record and judge it. None where it is not its turn, or was done."""
    if not counting.claim(hour, now):
        return None
    counts, new = counting.count(hour)
    found = judging.findings(hour, counts, new, _raised(hour))
    return [made for each in found if (made := _alert(each, hour, now))]


def _raised(hour: datetime) -> Raised:
    """The limits that false alarms raise."""
    rows = Anomaly.objects.filter(raised_until__gt=hour).select_related("agent")
    raised: dict[tuple[str, str, str], int] = {}
    for row in rows:
        key = (row.kind, row.agent.slug, row.tool)
        raised[key] = max(raised.get(key, 0), row.raised_to or 0)
    return raised


def _alert(finding: Finding, hour: datetime, now: datetime) -> Anomaly | None:
    """One alert for what goes on; None where there is one that is open."""
    if finding.kind in COUNTED and _goes_on(finding, hour):
        return None
    anomaly, made = Anomaly.objects.get_or_create(
        kind=finding.kind,
        agent=finding.agent,
        tool=finding.tool,
        window=hour,
        defaults={
            "latest": hour,
            "observed": finding.observed,
            "expected": finding.expected,
            "limit": finding.limit,
            "detail": dict(finding.detail),
            "found_at": now,
        },
    )
    if not made:
        return None
    _record("anomaly_found", anomaly, ACTOR, observed=anomaly.observed, limit=anomaly.limit)
    if now - hour <= TOLD:
        _tell(anomaly)
    return anomaly


def _goes_on(finding: Finding, hour: datetime) -> bool:
    same = Anomaly.objects.select_for_update(no_key=True).filter(
        kind=finding.kind, agent=finding.agent, tool=finding.tool, state=AnomalyState.OPEN
    )
    row = same.filter(latest__gte=hour - GOES_ON, latest__lt=hour).order_by("-latest").first()
    if row is None:
        return False
    row.latest, row.hours = hour, row.hours + 1
    row.save(update_fields=["latest", "hours"])
    return True


def _tell(anomaly: Anomaly) -> None:
    """Those who answer for the agent, and security."""
    severity = Severity.PAGE if anomaly.kind in COUNTED else Severity.INFO
    # What an agent chose, such as the name of a resource, stands on the page alone.
    context = {
        "agent": anomaly.agent.slug,
        "what": AnomalyKind(anomaly.kind).label,
        "on": f" with {anomaly.tool}" if anomaly.tool else "",
        "anomaly": anomaly.pk,
    }
    for person in _people(anomaly):
        notify(
            person=person,
            severity=severity,
            code="anomaly.found",
            context=context,
            event=f"anomaly:{anomaly.pk}",
        )


def _people(anomaly: Anomaly) -> Iterable[Person]:
    everyone = [*answering_for(anomaly.agent), *security_people()]
    return {person.pk: person for person in everyone}.values()


@transaction.atomic
def acknowledge(*, anomaly_id: int, by: Person, answer: str = "") -> Anomaly:
    """Somebody looked, and it was unusual indeed."""
    anomaly = _locked(anomaly_id, by)
    permissions.check_can_acknowledge(anomaly, by)
    if anomaly.state != AnomalyState.OPEN:
        raise AlreadyAnswered(_said_by(anomaly))
    _answer(anomaly, AnomalyState.ACKNOWLEDGED, by, answer)
    _record("anomaly_acknowledged", anomaly, by.pid)
    return anomaly


@transaction.atomic
def mark_false_alarm(*, anomaly_id: int, by: Person, answer: str) -> Anomaly:
    """It was nothing: as much as this is no alert for a month. An acknowledged one still can be."""
    if not answer.strip():
        raise Invalid("Say why it was a false alarm: it silences the next one like it.")
    anomaly = _locked(anomaly_id, by)
    permissions.check_can_mark_false(anomaly, by)
    if anomaly.state == AnomalyState.FALSE_ALARM:
        raise AlreadyAnswered(_said_by(anomaly))
    anomaly.raised_to, anomaly.raised_until = anomaly.observed, clock.now() + RAISED
    _answer(anomaly, AnomalyState.FALSE_ALARM, by, answer)
    raised = {"raised_to": anomaly.raised_to, "days": RAISED.days}
    _record("anomaly_false_alarm", anomaly, by.pid, **raised)
    return anomaly


def _locked(anomaly_id: int, by: Person) -> Anomaly:
    rows = Anomaly.objects.select_for_update(of=("self",), no_key=True).select_related(
        "agent__owner"
    )
    anomaly = rows.filter(pk=anomaly_id).first()
    if anomaly is None or not permissions.can_see(anomaly, by):
        raise NotFound("There is no such alert, or you may not see it.")
    return anomaly


def _said_by(anomaly: Anomaly) -> str:
    return f"{anomaly.answered_by} has answered this alert: {anomaly.get_state_display()}."


def _answer(anomaly: Anomaly, state: AnomalyState, by: Person, answer: str) -> None:
    anomaly.state, anomaly.answered_by, anomaly.answered_at = state, by, clock.now()
    anomaly.answer = answer.strip()[:500]
    anomaly.save(
        update_fields=[
            *("state", "answered_by", "answered_at", "answer", "raised_to", "raised_until")
        ]
    )


def _record(did: str, anomaly: Anomaly, actor: str, **more: Any) -> None:
    audit.record(
        kind=Kind.SYSTEM,
        actor=actor,
        agent=anomaly.agent.slug,
        tool=anomaly.tool,
        asked={
            "did": did,
            "anomaly": anomaly.pk,
            "kind": anomaly.kind,
            "window": anomaly.window.isoformat(),
            **more,
        },
    )
