"""What became of a decision: told by whoever asked for it, once."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from typing import Any, Unpack
from uuid import UUID

from django.db import IntegrityError, transaction

from audit import leaf
from audit import selectors as trail
from audit import services as audit
from audit.enums import Kind
from audit.errors import SecretFound, UnknownRecord
from audit.models import Record
from audit.redactor import find_secret
from audit.sealing import selectors as sealing
from authz import explain, slices, timekeeper
from authz.asks import Caller
from authz.costs import Spent, Tokens, Units, cost_of
from authz.engine import codes
from authz.engine.reading import Reading
from authz.engine.types import Input
from authz.errors import AlreadyReported, BadRequest, OutcomeSecret, UnknownDecision
from authz.models import ReportedOutcome
from authz.resolve import is_opened
from authz.services import sessions
from authz.services.spending import settle
from authz.services.stops import suspend_at_once
from authz.wire import MAX_COST, TRUSTED, UNTRUSTED, read_currency, read_inputs
from governance.kernel import clock
from governance.kernel.errors import NotSignedIn

MAX_RECORDS = 1000
MAX_RECORD_NAME = 255
MAX_PARTS = 20
MAX_UNITS = 10**12
MAX_NAME = 100

Json = Any


class Result(StrEnum):
    """Did the tool do it?"""

    SUCCESS = "success"
    FAILURE = "failure"


@dataclass(frozen=True, slots=True)
class Report:
    """What the caller says became of the call."""

    result: Result
    output: Json = None
    cost_minor: int | None = None
    currency: str = ""
    tokens: tuple[Tokens, ...] = ()
    units: tuple[Units, ...] = ()
    records: tuple[str, ...] = ()
    untrusted: bool = False
    read: tuple[Input, ...] = ()

    @property
    def spent(self) -> Spent:
        """What it says of the cost."""
        money = None if self.cost_minor is None else (self.cost_minor, self.currency)
        return Spent(money, self.tokens, self.units)


def read_report(body: Json) -> Report:
    """The report in a request. Raises `BadRequest`."""
    if not isinstance(body, dict):
        raise BadRequest("The body must be an object.")
    if body.get("outcome") not in list(Result):
        raise BadRequest(f"outcome must be one of {', '.join(Result)}.")
    return Report(
        result=Result(body["outcome"]),
        output=body.get("output"),
        cost_minor=_cost(body.get("cost_minor")),
        currency=_currency(body.get("currency", "")),
        tokens=tuple(map(_tokens, _entries(body, "tokens"))),
        units=tuple(map(_units, _entries(body, "meters"))),
        records=_records(body.get("records", [])),
        untrusted=_untrusted(body.get("trust", TRUSTED)),
        read=read_inputs(body.get("inputs"), "inputs"),
    )


def _untrusted(value: Json) -> bool:
    if value not in (TRUSTED, UNTRUSTED):
        raise BadRequest(f"trust must be {TRUSTED} or {UNTRUSTED}.")
    return bool(value == UNTRUSTED)


def _cost(value: Json) -> int | None:
    return None if value is None else _whole(value, "cost_minor", MAX_COST)


def _whole(value: Json, name: str, most: int) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= most:
        raise BadRequest(f"{name} must be a whole number from 0 to {most}.")
    return value


def _currency(value: Json) -> str:
    return "" if value == "" else read_currency(value, "currency")


def _entries(body: Json, name: str) -> list[dict[str, Json]]:
    entries = body.get(name, [])
    if not isinstance(entries, list) or len(entries) > MAX_PARTS:
        raise BadRequest(f"{name} must be an array of at most {MAX_PARTS} objects.")
    if not all(isinstance(entry, dict) for entry in entries):
        raise BadRequest(f"Each of {name} must be an object.")
    return entries


def _tokens(entry: dict[str, Json]) -> Tokens:
    """`{"provider", "model", "input": tokens, "output": tokens}`."""
    return Tokens(
        provider=_called(entry, "tokens", "provider"),
        model=_called(entry, "tokens", "model"),
        input_tokens=_whole(entry.get("input", 0), "tokens.input", MAX_UNITS),
        output_tokens=_whole(entry.get("output", 0), "tokens.output", MAX_UNITS),
    )


def _units(entry: dict[str, Json]) -> Units:
    """`{"meter", "units"}`: units may have three decimals."""
    units = entry.get("units")
    if not isinstance(units, int | float) or isinstance(units, bool):
        raise BadRequest("meters.units must be a number, 0 or more.")
    if not 0 <= units <= MAX_UNITS:
        raise BadRequest(f"meters.units must be a number from 0 to {MAX_UNITS}.")
    return Units(_called(entry, "meters", "meter"), math.ceil(Decimal(str(units)) * 1000))


def _called(entry: dict[str, Json], parent: str, name: str) -> str:
    value = entry.get(name)
    if not isinstance(value, str) or not 0 < len(value) <= MAX_NAME:
        raise BadRequest(f"{parent}.{name} must be a name of at most {MAX_NAME} characters.")
    return value


def _records(value: Json) -> tuple[str, ...]:
    if not isinstance(value, list) or len(value) > MAX_RECORDS:
        raise BadRequest(f"records must be an array of at most {MAX_RECORDS} names.")
    if not all(isinstance(name, str) and len(name) <= MAX_RECORD_NAME for name in value):
        raise BadRequest(f"Each of records must be a name of at most {MAX_RECORD_NAME} characters.")
    return tuple(value)


def report_outcome(*, decision_id: UUID, caller: Caller, report: Report) -> ReportedOutcome:
    """Record what became of a decision, tied to it. Only who asked may, and only once."""
    check_token(caller)
    decision = decision_of(decision_id, caller)
    if place := find_secret({"output": report.output, "records": list(report.records)}):
        raise OutcomeSecret(f"{OutcomeSecret.__doc__} Remove it at {place[2:]}, and report again.")
    try:
        with transaction.atomic():
            reported = _record_outcome(decision, caller, report)
    except IntegrityError as error:
        raise AlreadyReported() from error
    except SecretFound as error:
        raise OutcomeSecret() from error
    if report.spent:
        suspend_at_once([decision.agent])
    return reported


def _record_outcome(decision: Record, caller: Caller, report: Report) -> ReportedOutcome:
    # The row comes first: a second report waits here for the first one's end.
    reported = ReportedOutcome.objects.create(
        decision=decision.id, record=clock.uuid7(timekeeper.now())
    )
    entry = entry_of(
        report,
        id=reported.record,
        kind=Kind.OUTCOME,
        actor=caller.slug,
        agent=decision.agent,
        user=decision.user,
        gateway=decision.gateway,
        tool=decision.tool,
        resource=decision.resource,
        tier=decision.tier,
        session=decision.session,
        parent=decision.id,
    )
    cost = _settled(decision, report)
    if cost is not None:
        entry["asked"] = {**entry["asked"], "spent_minor": cost}
    audit.record(**entry)
    _raise(decision, report)
    return reported


def _settled(decision: Record, report: Report) -> int | None:
    """What the call cost its agent, in its currency; None where that is not said."""
    if not decision.agent or not report.spent:
        return None
    cost = cost_of(report.spent, decision.agent, timekeeper.now())
    settle(decision=decision.id, agent=decision.agent, cost_minor=cost)
    return cost


def _raise(decision: Record, report: Report) -> None:
    """What came back can only raise the run: it was hostile, or further systems were read."""
    if not decision.agent or not (report.untrusted or report.read):
        return
    (world,) = slices.read([slices.WORLD])
    reading = sessions.reading_of_inputs(report.read, world.document or {})
    if report.untrusted:
        reading |= Reading(untrusted=True)
    opened = decision.session if is_opened(decision.session) else ""
    sessions.raise_run(decision.agent, opened, reading, timekeeper.now())


def entry_of(report: Report, **columns: Unpack[audit.Entry]) -> audit.Entry:
    """What is recorded of a report, beside the columns that tie it to its decision."""
    asked: dict[str, Json] = {"outcome": report.result, "records": len(report.records)}
    if report.untrusted:
        asked["untrusted"] = True
    if report.read:
        asked["systems"] = sorted({each.system for each in report.read})
    if report.cost_minor is not None:
        asked |= {"cost_minor": report.cost_minor, "currency": report.currency}
    if report.tokens:
        asked["tokens"] = [
            [each.provider, each.model, each.input_tokens, each.output_tokens]
            for each in report.tokens
        ]
    if report.units:
        asked["meters"] = [[each.meter, each.thousandths] for each in report.units]
    payload = {"output": report.output, "records": list(report.records)}
    columns["code"] = f"outcome.{report.result}"
    columns["asked"] = asked
    columns["payload"] = {name: value for name, value in payload.items() if value not in (None, [])}
    return columns


def show_decision(*, decision_id: UUID, caller: Caller) -> Mapping[str, Json]:
    """What whoever asked may read of a decision's record later."""
    check_token(caller)
    record = decision_of(decision_id, caller)
    said = leaf.parse_body(bytes(record.body))
    judged = said["judged"]
    return {
        "decision_id": str(record.id),
        "at": said["at"],
        "effect": record.effect,
        "check": record.deciding_check,
        "code": record.code,
        "reason": codes.reason(record.code),
        "mode": record.mode,
        "agent": record.agent,
        "gateway": record.gateway,
        "tool": record.tool,
        "resource": judged["resource"],
        "classification": record.tier,
        "session": record.session,
        "walk": [
            {"check": check, "status": status, "code": code}
            for check, status, code in explain.walk_of(said)
        ],
        "policies": judged["policies"],
        "flags": judged["flags"],
        "outcome_reported": ReportedOutcome.objects.filter(decision=record.id).exists(),
    }


def prove_decision(*, decision_id: UUID, caller: Caller) -> str:
    """The proof that a decision stands in the log, for whoever asked. Raises `NotSealed`."""
    check_token(caller)
    return sealing.tlog_proof(decision_of(decision_id, caller))


def decision_of(decision_id: UUID, caller: Caller) -> Record:
    """The record of a decision that this caller asked for. Raises `UnknownDecision`."""
    try:
        record = trail.get_record(decision_id, scope=trail.AuditScope(everything=True))
    except UnknownRecord as error:
        raise UnknownDecision() from error
    asked_by = ("gateway", record.gateway) if record.gateway else ("agent", record.agent)
    if record.kind != Kind.DECISION or asked_by != (caller.kind, caller.slug):
        raise UnknownDecision()
    return record


def check_token(caller: Caller) -> None:
    """A suspended agent may still say what it did; a revoked token says nothing any more."""
    (facts,) = slices.read([caller.key])
    token, known = caller.token, facts.document or {}
    outdated = token is None or token.client_version != known.get("client_version")
    if outdated or (token and token.jti in known.get("revoked", ())):
        raise NotSignedIn("The token is not valid any more. Get a new one.", code="token_ended")
