"""Recorded decisions, taken apart again and judged again by the same engine.

A record holds the request, its payload what was personal in it, and the kept slices the facts by
which it was judged. What is judged again is written down again (`rows.judged_of`) and compared
with what the record says: checks, codes, policies, flags, resource, everything.
"""

from __future__ import annotations

import hashlib
from collections import Counter, OrderedDict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from typing import Any

from django.db import connection

from audit import selectors
from audit import services as audit
from audit.enums import Kind
from audit.leaf import BadBody, parse_body
from audit.models import Record
from audit.payloads import canonical
from audit.readings import DAMAGED, ERASED, PAGE, Opened, Reading, start_reading
from audit.redactor import SEALED
from audit.selectors import AuditScope, Reader, TrailFilters
from authz import engine, refusals, slices
from authz.engine.types import (
    Check,
    Decision,
    OutsideAnswer,
    Request,
    Slice,
    Status,
    SubjectKind,
    Token,
)
from authz.engine.walk import judge
from authz.resolve import Resolved, is_opened, snapshot_of
from authz.rows import hides_resources, judged_of
from authz.snapshot import Held
from authz.wire import read_inputs

Json = Any
Body = Mapping[str, Json]

# What of a payload is needed to judge again: not what the agent said of its reasons.
FIELDS = ("parameters", "facts", "secret_verdicts", "inputs", "outside")
MAX_SLICES = 256
# Refused before any check could look at it: not read, or facts that kept changing.
UNJUDGED = frozenset({refusals.BUSY, refusals.MALFORMED})
VALID = "valid"


class Reason(StrEnum):
    """Why a recorded decision cannot be judged again."""

    ERASED = "erased"
    ENGINE = "engine"
    UNJUDGED = "unjudged"
    SECRET = "secret"  # noqa: S105 (the name of a reason)
    RESOURCE = "resource"


REASONS: Mapping[Reason, str] = {
    Reason.ERASED: "their payload was erased",
    Reason.ENGINE: "another version of the engine judged them",
    Reason.UNJUDGED: "no check had looked at them",
    Reason.SECRET: "they hang on a secret parameter, whose value is not kept",
    Reason.RESOURCE: "they hang on a personal resource id, of which only a hash is kept",
}


class Unjudgeable(Exception):
    """This record cannot be judged again."""

    def __init__(self, reason: Reason) -> None:
        super().__init__(reason)
        self.reason = reason


class Damaged(Exception):
    """What is stored does not fit together: someone went around Muster."""


@dataclass(frozen=True, slots=True)
class Question:
    """What a record says was asked, when, and what was known of its sealed parts.

    `sealed` maps each secret parameter to what the schema said of its value. `hidden` says that
    the resource id is one of which only a hash is kept, `dropped` that the parameters held a
    credential and were not kept.
    """

    record: Record
    said: Body
    request: Request
    now: datetime
    facts: Body
    sealed: Mapping[str, str] = field(default_factory=dict)
    hidden: bool = False
    dropped: bool = False


@dataclass(frozen=True, slots=True)
class Difference:
    """A record that is not judged again as it was: the parts of it that are not the same."""

    record: Record
    recorded: Body
    again: Body
    parts: tuple[str, ...]
    damaged: bool = False


@dataclass(slots=True)
class Tally:
    """How far a replay has come."""

    same: int = 0
    different: int = 0
    damaged: int = 0
    unjudgeable: Counter[Reason] = field(default_factory=Counter)

    @property
    def judged(self) -> int:
        """How many were judged again."""
        return self.same + self.different

    @property
    def seen(self) -> int:
        return self.judged + self.damaged + self.unjudgeable.total()


@dataclass(frozen=True, slots=True)
class System:
    """Muster itself, where an operator of its machine has it judge again."""

    pid: str = "system:replay"

    def audit_scope(self) -> AuditScope:
        return AuditScope(everything=True)


def read_decisions(filters: TrailFilters, *, by: Reader, reason: str, limit: int) -> Reading:
    """A recorded reading of what is needed to judge the newest decisions again."""
    wanted = replace(filters, kind=Kind.DECISION)
    return start_reading(wanted, fields=FIELDS, by=by, reason=reason, limit=limit)


def replay(reading: Reading, tally: Tally, *, size: int = PAGE) -> Iterator[list[Difference]]:
    """Judge again all that a reading opens: the differences of each page. Fills in `tally`."""
    kept = Kept()
    for page in reading.pages(size=size):
        yield [found for each in page if (found := _replayed(each, kept, tally))]


def _replayed(opened: Opened, kept: Kept, tally: Tally) -> Difference | None:
    try:
        difference = difference_of(opened, kept)
    except Unjudgeable as unjudgeable:
        tally.unjudgeable[unjudgeable.reason] += 1
        return None
    except (Damaged, BadBody, KeyError, TypeError, ValueError) as damaged:
        tally.damaged += 1
        return Difference(opened.record, {}, {}, (str(damaged) or DAMAGED,), damaged=True)
    if difference is None:
        tally.same += 1
    else:
        tally.different += 1
    return difference


def difference_of(opened: Opened, kept: Kept) -> Difference | None:
    """Judge one record again; None where it comes to the same. Raises `Unjudgeable`, `Damaged`."""
    question = question_of(opened)
    if question.said["judged"]["engine"] != engine.VERSION:
        raise Unjudgeable(Reason.ENGINE)
    resolved = _as_it_was(question, kept)
    question, resolved = with_resource(question, resolved)
    decision = judged_again(resolved, question.now)
    recorded = {**question.said["judged"], "tier": opened.record.tier}
    again = _written_again(question, resolved, decision)
    parts = _parts_that_differ(question, recorded, again)
    if not parts:
        return None
    check_is_known(question, decision)
    return Difference(opened.record, recorded, again, parts)


def _written_again(question: Question, resolved: Resolved, decision: Decision) -> Body:
    hidden = hides_resources(resolved, decision)
    judged = judged_of(resolved, decision, question.now, hidden)
    return {**judged, "tier": decision.classification}


def _parts_that_differ(question: Question, recorded: Body, again: Body) -> tuple[str, ...]:
    # A place that was named by what is not kept cannot be computed again.
    skipped = {"resource", "tier"} if question.hidden or question.dropped else set()
    names = (recorded.keys() | again.keys()) - skipped
    return tuple(sorted(name for name in names if recorded.get(name) != again.get(name)))


def judged_again(resolved: Resolved, now: datetime) -> Decision:
    """The decision that a question comes to, as `decide` makes it."""
    return refusals.mismatch(resolved.request) or judge(resolved.request, resolved.snapshot, now)


def check_is_known(question: Question, decision: Decision) -> None:
    """Raise `Unjudgeable` where the decision hangs on a value that is not kept."""
    if question.hidden:
        raise Unjudgeable(Reason.RESOURCE)
    if hangs_on_secret(question, decision):
        raise Unjudgeable(Reason.SECRET)


def hangs_on_secret(question: Question, decision: Decision) -> bool:
    """Did the parameters check come to its end by a value that is not kept?"""
    step = next(step for step in decision.walk if step.check is Check.PARAMETERS)
    if not question.sealed or step.status is Status.NOT_REACHED:
        return False
    if any(verdict != VALID for verdict in question.sealed.values()):
        return True
    pointers = (str(finding["pointer"]) for finding in step.detail.get("findings", ()))
    return any(
        pointer.split("/")[1:2] in [[name] for name in question.sealed] for pointer in pointers
    )


# What was asked


def question_of(opened: Opened) -> Question:
    """The question of a record. Raises `Unjudgeable`, `Damaged`, `BadBody`."""
    record = opened.record
    if faults := selectors.faults(record):
        raise Damaged(faults[0])
    said = parse_body(bytes(record.body))
    if said["judged"].get("walk") and record.code in UNJUDGED and not said["judged"]["slices"]:
        raise Unjudgeable(Reason.UNJUDGED)
    _check_payload(opened, said)
    facts = opened.payload.get("facts", {})
    return Question(
        record=record,
        said=said,
        request=_request(record, said, opened.payload, facts.get("claimed", {})),
        now=datetime.fromisoformat(said["judged"]["now"]),
        facts=facts,
        sealed={str(name): str(told) for name, told in opened.payload.get("secret_verdicts", ())},
        dropped="parameters" not in opened.payload,
    )


def _check_payload(opened: Opened, said: Body) -> None:
    if opened.fault == ERASED:
        raise Unjudgeable(Reason.ERASED)
    if opened.fault:
        raise Damaged("its payload does not open with its key")
    missing = (said["asked"].get("digests", {}).keys() & set(FIELDS)) - opened.payload.keys()
    if missing:
        raise Damaged("its payload is gone")


def _request(record: Record, said: Body, payload: Body, claimed: Body) -> Request:
    asked, judged = said["asked"], said["judged"]
    alone = asked["as"] == SubjectKind.PERSON
    return Request(
        kind=SubjectKind(asked["as"]),
        tool=record.tool,
        agent=record.agent,
        agent_claimed=asked["agent"],
        person=record.user if alone else "",
        person_claimed=claimed.get("person", ""),
        user="" if alone else record.user,
        user_claimed=claimed.get("user", ""),
        gateway=record.gateway,
        token=_token(asked["caller"]),
        parameters=payload.get("parameters", {}),
        resource_type=asked["resource"]["type"],
        resource_id=asked["resource"]["id"],
        subject_type=asked["subject_type"],
        subject_properties=claimed.get("subject_properties", {}),
        resource_properties=claimed.get("resource_properties", {}),
        session=record.session,
        session_opened=is_opened(record.session),
        prompt_digest=asked.get("prompt_digest", ""),
        code_reference=asked.get("code_reference", ""),
        secret_path=judged.get("credential_at", ""),
        delegation=asked.get("delegation", ""),
        chain=tuple(asked.get("chain", ())),
        inputs=read_inputs(payload.get("inputs"), "inputs"),
        untrusted=tuple(asked.get("untrusted", ())),
        estimate=tuple(asked["estimate"]) if "estimate" in asked else None,
        approval=asked.get("approval", ""),
        outside=_outside(judged, payload),
    )


def _outside(judged: Body, payload: Body) -> tuple[OutsideAnswer, ...]:
    """What was answered outside: the verdicts stand in the record, the questions in its payload."""
    verdicts = {"allow": True, "deny": False, "none": None}
    return tuple(
        OutsideAnswer(
            pdp, digest, verdicts[said["answer"]], said.get("cause", ""), said["ms"], reason
        )
        for said, (pdp, digest, reason) in zip(
            judged.get("outside", ()), payload.get("outside", ()), strict=False
        )
    )


def _token(caller: Body) -> Token | None:
    if "jti" not in caller:
        return None
    acting = {name: str(caller.get(name, "")) for name in ("user", "grant", "delegation")}
    return Token(caller["version"], caller["jti"], **acting)


def with_resource(question: Question, resolved: Resolved) -> tuple[Question, Resolved]:
    """The question with the resource id that was sent, where only its hash is on the record.

    The value of the tool's resource parameter is tried; what was sent besides is not known.
    """
    request = resolved.request
    if not request.resource_id.startswith(SEALED):
        return question, resolved
    tool = resolved.snapshot.world.document["tools"].get(request.tool) or {}
    value = request.parameters.get(str(tool.get("resource") or ""))
    if value is None or audit.index_resource(str(value)) != request.resource_id:
        return replace(question, hidden=True), resolved
    named = replace(request, resource_id=str(value))
    return replace(question, request=named), replace(resolved, request=named)


# By what it was judged


class Kept:
    """Kept slices by digest, the longest unused dropped first."""

    def __init__(self) -> None:
        self._documents: OrderedDict[str, Json] = OrderedDict()

    def document(self, digest: str) -> Json:
        """The document under a digest. Raises `Damaged` where it is gone or another."""
        if digest not in self._documents:
            self._documents[digest] = _kept(digest)
            while len(self._documents) > MAX_SLICES:
                self._documents.popitem(last=False)
        self._documents.move_to_end(digest)
        return self._documents[digest]


def _kept(digest: str) -> Json:
    with connection.cursor() as cursor:
        cursor.execute("SELECT content FROM audit.slice WHERE digest = %s", [bytes.fromhex(digest)])
        row = cursor.fetchone()
    if row is None:
        raise Damaged("a slice that it was judged by is gone")
    content = bytes(row[0])
    if hashlib.sha256(content).hexdigest() != digest:
        raise Damaged("a slice that it was judged by was altered")
    return slices.parse(content)


def _as_it_was(question: Question, kept: Kept) -> Resolved:
    used = held_by(question, question.said["judged"]["slices"], kept)
    return Resolved(question.request, snapshot_of(question.request, used), used)


def held_by(question: Question, named: Mapping[str, Sequence[Json]], kept: Kept) -> dict[str, Held]:
    """The slices that a record names, as they were."""
    return {
        key: Held(key, revision, _slice(question, key, revision, digest, kept))
        for key, (revision, digest) in named.items()
    }


def _slice(question: Question, key: str, revision: int, digest: str, kept: Kept) -> Slice | None:
    if not digest:
        return None
    document = kept.document(digest)
    if "personal_digest" in document:
        document = _with_personal(document, question.facts.get(key))
    return Slice(key, revision, digest, document)


def _with_personal(document: Body, facts: Body | None) -> Body:
    """The kept document with its personal facts, which must be those that it was kept with."""
    if facts is None:
        raise Damaged("what was known of a person is gone from its payload")
    salted = bytes.fromhex(facts["salt"]) + canonical(facts["personal"])
    if hashlib.sha256(salted).hexdigest() != document["personal_digest"]:
        raise Damaged("what was known of a person was altered in its payload")
    whole = {name: value for name, value in document.items() if name != "personal_digest"}
    return whole | {"personal": facts["personal"]}


def told(tally: Tally) -> Iterable[str]:
    """What a replay came to, in sentences."""
    yield f"{_decisions(tally.judged)} judged again: {tally.same:,} to the same answer."
    if tally.different:
        yield f"{tally.different:,} came to another answer."
    if tally.damaged:
        verb = "does" if tally.damaged == 1 else "do"
        yield f"{_decisions(tally.damaged)} {verb} not fit what is stored beside."
    for reason, number in sorted(tally.unjudgeable.items()):
        yield f"{number:,} cannot be judged again: {REASONS[reason]}."


def _decisions(number: int) -> str:
    return f"{number:,} decision{'' if number == 1 else 's'}"
