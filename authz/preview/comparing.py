"""Recorded questions, judged by the register of today with and without a change.

Both sides are judged by the same engine at the instant at which the question was asked, without
its token: which token was shown is no fact of the register. So a difference is due to the change
alone. Where today's register already decides otherwise than the record says, the register has
moved on since; that is told apart.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any
from uuid import UUID

from audit.leaf import BadBody, parse_body
from audit.models import Record
from audit.readings import PAGE, Opened, Reading
from authz import refusals
from authz.engine.types import REFUSALS, Decision, Effect, Mode, Request, Status, SubjectKind
from authz.engine.walk import judge
from authz.preview.asking import Prepared
from authz.preview.register import Register, Sides
from authz.replay import (
    Damaged,
    Question,
    Reason,
    Unjudgeable,
    check_is_known,
    question_of,
    with_resource,
)
from authz.resolve import Resolved
from authz.rows import plain

Json = Any
# A call that showed a wrong token was refused for that, whatever the register says.
_TOKEN = "identity.token_"  # noqa: S105 (the start of three codes)
_GATEWAY_REQUIRED = "identity.gateway_required"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one side decides, as it is shown; holds no value that was sent."""

    effect: str
    code: str
    walk: tuple[tuple[str, str, str], ...] = ()
    policies: tuple[str, ...] = ()
    detail: Mapping[str, Json] = field(default_factory=dict)
    observed: bool = False

    @property
    def answer(self) -> tuple[str, str, bool]:
        """What makes one outcome another one."""
        return self.effect, self.code, self.observed


@dataclass(frozen=True, slots=True)
class Different:
    """One recorded call that the two sides decide differently, or the record and today."""

    record: UUID
    at: Any
    agent: str
    user: str
    tool: str
    before: Outcome
    after: Outcome
    moved: bool = False

    @property
    def turn(self) -> str:
        """From which effect to which."""
        return f"{self.before.effect}>{self.after.effect}"


@dataclass(slots=True)
class Found:
    """What a comparison has come to so far."""

    compared: int = 0
    moved: int = 0
    watched: int = 0
    damaged: int = 0
    turns: Counter[str] = field(default_factory=Counter)
    actors: dict[str, set[str]] = field(default_factory=dict)
    unjudgeable: Counter[Reason] = field(default_factory=Counter)

    @property
    def seen(self) -> int:
        return self.compared + self.damaged + self.unjudgeable.total()

    def add(self, different: Different) -> None:
        """Count a difference; `actors` keeps who made such calls."""
        self.turns[different.turn] += 1
        who = different.agent or different.user
        self.actors.setdefault(different.turn, set()).add(who)


def compare(
    reading: Reading, prepared: Prepared, found: Found, *, size: int = PAGE
) -> Iterator[list[Different]]:
    """The differences of each page of a reading, newest first. Fills in `found`."""
    register = Register(prepared.change)
    for page in reading.pages(size=size):
        questions = list(_questions(page, found))
        register.load(questions)
        yield [
            different
            for question in questions
            for different in _compared(question, register, prepared, found)
        ]


def _questions(page: list[Opened], found: Found) -> Iterator[Question]:
    for opened in page:
        try:
            yield question_of(opened)
        except Unjudgeable as unjudgeable:
            found.unjudgeable[unjudgeable.reason] += 1
        except (Damaged, BadBody, KeyError, TypeError, ValueError):
            found.damaged += 1


def _compared(
    question: Question, register: Register, prepared: Prepared, found: Found
) -> Iterator[Different]:
    try:
        question, before, after = _judged(question, register)
    except Unjudgeable as unjudgeable:
        found.unjudgeable[unjudgeable.reason] += 1
        return
    except Damaged:
        found.damaged += 1
        return
    found.compared += 1
    found.watched += prepared.policy in after.log_only
    yield from _differences(question, before, after, found)


def _differences(
    question: Question, before: Decision, after: Decision, found: Found
) -> Iterator[Different]:
    was, would = outcome_of(before), outcome_of(after)
    recorded = _as_recorded(question.record)
    if was.answer[:2] != recorded.answer[:2]:
        found.moved += 1
        yield _different(question.record, recorded, was, moved=True)
    if was.answer != would.answer:
        different = _different(question.record, was, would)
        found.add(different)
        yield different


def _different(
    record: Record, before: Outcome, after: Outcome, *, moved: bool = False
) -> Different:
    return Different(
        record.id, record.at, record.agent, record.user, record.tool, before, after, moved
    )


def _judged(question: Question, register: Register) -> tuple[Question, Decision, Decision]:
    sides = register.sides(question)
    refused = _refused_anyhow(question.record, sides.request)
    if refused is not None:
        return question, refused, refused
    question = _with_resource(question, sides)
    before = judge(question.request, sides.before, question.now, Mode.SIMULATE)
    after = before
    if sides.after != sides.before:
        after = judge(question.request, sides.after, question.now, Mode.SIMULATE)
    for each in (before, after):
        check_is_known(question, each)
    return question, before, after


def _with_resource(question: Question, sides: Sides) -> Question:
    resolved = Resolved(sides.request, sides.before, {})
    question, resolved = with_resource(question, resolved)
    return replace(question, request=resolved.request)


def _refused_anyhow(record: Record, request: Request) -> Decision | None:
    """What no change of the register could let through: a wrong token, a missing gateway."""
    if record.code.startswith(_TOKEN):
        return refusals.refuse(record.code)
    if request.kind is SubjectKind.PERSON and not request.gateway:
        return refusals.refuse(_GATEWAY_REQUIRED)
    return refusals.mismatch(request)


def outcome_of(decision: Decision) -> Outcome:
    """A decision as it is shown and kept."""
    observe = decision.observe
    return Outcome(
        effect=str(observe.would if observe else decision.effect),
        code=decision.code,
        walk=tuple((step.check, step.status, step.code) for step in decision.walk),
        policies=decision.policies,
        detail=plain(decision.detail),
        observed=observe is not None,
    )


def _as_recorded(record: Record) -> Outcome:
    """What the checks said then. Counters, which settle afterwards, are no part of a preview."""
    judged = parse_body(bytes(record.body))["judged"]
    effect, code = _end_of(judged["walk"])
    return Outcome(
        effect=effect,
        code=code,
        walk=tuple(tuple(step) for step in judged["walk"]),
        policies=tuple(judged["policies"]),
        detail=judged.get("detail", {}),
        observed=bool(judged.get("observed")),
    )


def _end_of(walk: Sequence[Sequence[str]]) -> tuple[str, str]:
    """The effect and the code of a walk: the refusal decides, else the first hold."""
    refused = [code for _, status, code in walk if status in REFUSALS]
    if refused:
        return Effect.DENY, refused[0]
    held = [code for _, status, code in walk if status == Status.HELD]
    return (Effect.HOLD, held[0]) if held else (Effect.ALLOW, "")
