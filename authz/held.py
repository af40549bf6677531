"""What a hold is about, as people decide on it: opened from the record, and compared with it.

Opening is a reading, and recorded as one. What does not come to the hold's digest was altered
behind Muster's back, and is approved by nobody.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, timedelta
from typing import Any
from uuid import UUID

from audit.leaf import parse_body
from audit.models import Record
from audit.readings import DAMAGED, Opened, open_entries
from authz import refusals, timekeeper
from authz.asks import Ask, Caller
from authz.cleaning import clean
from authz.engine.types import Decision, Mode, SubjectKind
from authz.engine.walk import judge
from authz.errors import HoldUnreadable
from authz.holding import digest_of, hold_of
from authz.models import Hold, HoldEdit
from authz.resolve import Resolved
from authz.simulate import fresh

FIELDS = ("parameters", "reasoning")
SLACK = timedelta(hours=49)

Json = Any
Facts = Mapping[str, Json]


@dataclass(frozen=True, slots=True)
class Held:
    """A hold with what was asked. Secret parameters are not among them: nobody kept their values.

    `fault` says why it cannot be read: erased, damaged, or "" where it can.
    """

    hold: Hold
    parameters: Facts = field(default_factory=dict)
    reasoning: str = ""
    resource: Facts = field(default_factory=dict)
    fault: str = ""

    @property
    def secrets(self) -> tuple[str, ...]:
        """The parameters whose values only the agent knows."""
        return tuple(sorted(self.hold.sealed))


def open_holds(holds: Sequence[Hold], *, by: str, reason: str) -> list[Held]:
    """What these holds are about, in their order. Not inside a transaction: it records first."""
    records = _records([hold.id for hold in holds], holds)
    opened = open_entries(
        [records[hold.id] for hold in holds if hold.id in records],
        fields=FIELDS,
        by=by,
        reason=reason,
    )
    found = {each.record.id: each for each in opened}
    return [_held(hold, found.get(hold.id)) for hold in holds]


def open_hold(hold: Hold, *, by: str, reason: str) -> Held:
    """As `open_holds` for one. Raises `HoldUnreadable` where it cannot be read."""
    (held,) = open_holds([hold], by=by, reason=reason)
    return readable(held)


def readable(held: Held) -> Held:
    """`held`, unless nobody can know what it is about: then it raises `HoldUnreadable`."""
    if held.fault:
        raise HoldUnreadable()
    return held


def open_edit(edit: HoldEdit, *, by: str, reason: str) -> Facts:
    """What an approver made of the parameters. Raises `HoldUnreadable`."""
    records = _records([edit.record], [edit.hold], extra=SLACK)
    if edit.record not in records:
        raise HoldUnreadable()
    (opened,) = open_entries([records[edit.record]], fields=("parameters",), by=by, reason=reason)
    if opened.fault or "parameters" not in opened.payload:
        raise HoldUnreadable()
    parameters: Facts = opened.payload["parameters"]
    return parameters


def resource_of(hold: Hold) -> Facts:
    """The resource that the held call is about, as the record has it."""
    record = _records([hold.id], [hold]).get(hold.id)
    found: Facts = parse_body(bytes(record.body))["judged"]["resource"] if record else {}
    return found


def _records(
    ids: Sequence[UUID], holds: Sequence[Hold], extra: timedelta = timedelta()
) -> dict[UUID, Record]:
    if not ids:
        return {}
    first = min(hold.made_at for hold in holds).astimezone(UTC) - SLACK
    last = max(hold.expires_at if extra else hold.made_at for hold in holds).astimezone(UTC)
    found = Record.objects.filter(id__in=ids, at__gte=first, at__lte=last + SLACK + extra)
    return {record.id: record for record in found}


def _held(hold: Hold, opened: Opened | None) -> Held:
    if opened is None or opened.fault:
        return Held(hold, fault=opened.fault if opened else DAMAGED)
    resource = parse_body(bytes(opened.record.body))["judged"]["resource"]
    sent = opened.payload.get("parameters")
    if sent is None or not _is_what_was_held(hold, sent, resource):
        return Held(hold, fault=DAMAGED)
    shown = {name: value for name, value in sent.items() if name not in hold.sealed}
    return Held(hold, shown, str(opened.payload.get("reasoning", "")), resource)


def _is_what_was_held(hold: Hold, parameters: Facts, resource: Facts) -> bool:
    digest = digest_of(
        agent=hold.agent,
        user=hold.user,
        tool=hold.tool,
        tool_version=hold.tool_version,
        parameters={**parameters, **hold.sealed},
        resource_type=resource["type"],
        resource_id=resource["id"],
    )
    return digest == hold.digest


def judged_anew(hold: Hold, parameters: Facts) -> tuple[Decision, str]:
    """What would be decided now of the held call with these parameters, and their digest.

    Judged like a simulation, by the facts of now and without a token. Raises `HoldUnreadable`
    where tool or agent are gone.
    """
    resolved = _resolved(hold, parameters)
    now = timekeeper.now()
    tools = resolved.snapshot.world.document["tools"]
    if hold.tool not in tools or resolved.snapshot.agent is None:
        raise HoldUnreadable()
    decision = refusals.mismatch(resolved.request) or judge(
        resolved.request, resolved.snapshot, now, Mode.SIMULATE
    )
    return decision, str(hold_of(resolved, decision, now)["digest"])


def _resolved(hold: Hold, parameters: Facts) -> Resolved:
    ask = Ask(
        kind=SubjectKind.AGENT,
        tool=hold.tool,
        agent=hold.agent,
        user=hold.user,
        parameters=parameters,
        session=hold.session,
    )
    resolved = fresh(clean(ask, ()), Caller("agent", hold.agent))
    return replace(resolved, request=replace(resolved.request, gateway=hold.gateway))
