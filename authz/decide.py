"""The decision service: may this happen now?

Every way to a decision comes through `decide`. What it answers stands on the record, committed,
before it is answered; what cannot be recorded is not answered (`NotRecorded`).
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import partial
from typing import Any
from uuid import UUID

from django.db import Error

from audit.errors import NotRecordable
from audit.sealing.receipts import Receipt
from authz import (
    counting,
    holding,
    meters,
    outside,
    recorder,
    refusals,
    runs,
    signals,
    snapshot,
    timekeeper,
)
from authz.asks import Ask, Caller
from authz.cleaning import Clean, blot, clean
from authz.engine import codes
from authz.engine.outside import UNANSWERED, Question, unanswered
from authz.engine.types import Check, Decision, Effect, OutsideAnswer, Status, Step
from authz.engine.walk import judge
from authz.errors import NotRecorded, RetryTaken
from authz.recorder import TAKEN, Judged, Recorded, Stale
from authz.resolve import Resolved, resolve
from authz.rows import row_of
from authz.services import pdps, stops
from authz.snapshot import WORLD
from authz.work import Look, Outside, Record, Work, run
from governance.kernel import clock

MAX_TRIES = 3


@dataclass(frozen=True, slots=True)
class Answer:
    """A decision, under the id and time of its record; `settled` is what the record counted.

    `receipt` is signed for the entry, except where the past is told again.
    """

    id: UUID
    at: datetime
    ask: Ask
    resolved: Resolved
    decision: Decision
    settled: Mapping[str, Any] = field(default_factory=dict)
    receipt: Receipt | None = None

    @property
    def allowed(self) -> bool:
        """May the caller go on? In observe mode they may, whatever would have been decided."""
        return self.decision.effect is Effect.ALLOW


@dataclass(frozen=True, slots=True)
class _Turn:
    """One question in one try."""

    clean: Clean
    resolved: Resolved
    decision: Decision
    judged: Judged


def decide(
    asks: Sequence[Ask],
    caller: Caller,
    *,
    now: datetime | None = None,
    record: Record = recorder.record,
) -> list[Answer]:
    """Decide every question, in order, in one transaction.

    A question whose facts changed meanwhile is judged again by the new ones, three times at
    the most without getting on; then it is refused as busy, on the record. `now` and `record`
    are given only where the past is told again: a demo, a simulation. Raises `NotRecorded`.
    """
    return run(deciding(asks, caller, now=now), record)


def deciding(
    asks: Sequence[Ask], caller: Caller, *, now: datetime | None = None
) -> Work[list[Answer]]:
    """`decide` as work: what it waits for is up to whoever does it."""
    began = time.time_ns()
    try:
        answers = yield from _deciding(asks, caller, now)
    except (Error, NotRecordable) as error:
        raise NotRecorded() from error
    if now is None:
        _tell(answers, began)
    return answers


def _tell(answers: Sequence[Answer], began: int) -> None:
    """Count what was decided, and say so to who wants to hear of each."""
    for each in answers:
        meters.count(each.decision)
        if signals.decided.receivers:
            signals.decided.send(Answer, answer=each, began=began)


def _deciding(asks: Sequence[Ask], caller: Caller, now: datetime | None) -> Work[list[Answer]]:
    answers: dict[int, Answer] = {}
    tries = 0
    while waiting := [n for n in range(len(asks)) if n not in answers]:
        if tries > MAX_TRIES:
            raise NotRecorded()
        given = refusals.refuse(refusals.BUSY) if tries == MAX_TRIES else None
        asked = [asks[n] for n in waiting]
        turns = yield Look(partial(_turns, asked, caller, now, given))
        if questions := _questions(turns):
            said = yield from _answers(questions)
            turns = yield Look(partial(_turns, asked, caller, now, given, said))
        recorded = yield [turn.judged for turn in turns]
        for n, turn, written in zip(waiting, turns, recorded, strict=True):
            if isinstance(written, Stale):
                _renew(written)
            else:
                answers[n] = _answer(turn, written)
        if stopped := _stopped(turns, recorded):
            yield Look(partial(stops.suspend_at_once, stopped))
        # A question of the same batch may be what changed the facts: that is no try.
        tries += all(n not in answers for n in waiting)
    return [answers[n] for n in range(len(asks))]


def _questions(turns: Sequence[_Turn]) -> list[Question]:
    """What is asked outside for them: only of calls that nothing else refuses so far."""
    return [
        question
        for turn in turns
        if turn.decision.code == UNANSWERED and turn.judged.now
        for question in unanswered(turn.resolved.request, turn.resolved.snapshot, turn.judged.now)
    ]


def _answers(questions: Sequence[Question]) -> Work[tuple[OutsideAnswer, ...]]:
    """What is answered outside, one answer for questions that are the same."""
    answers = yield Outside(list({each.digest: each for each in questions}.values()))
    if changes := outside.asker().changes():
        yield Look(partial(_note_changes, changes))
    return tuple(answers)


def _note_changes(changes: Sequence[outside.Change]) -> None:
    for each in changes:
        pdps.note_health(slug=each.pdp, cause=each.cause, now=timekeeper.now())


def _stopped(turns: Sequence[_Turn], recorded: Sequence[Recorded | Stale]) -> set[str]:
    """The agents that a limit has stopped with these records."""
    return {
        turn.resolved.request.agent
        for turn, written in zip(turns, recorded, strict=True)
        if isinstance(written, Recorded) and written.stopped
    }


def refuse(ask: Ask, caller: Caller, code: str) -> Answer:
    """Refuse a question that no check can judge, on the record. Raises `NotRecorded`."""
    return run(refusing(ask, caller, code), recorder.record)


def refusing(ask: Ask, caller: Caller, code: str) -> Work[Answer]:
    """`refuse` as work."""
    began = time.time_ns()
    try:
        (turn,) = yield Look(partial(_turns, [ask], caller, None, refusals.refuse(code)))
        (written,) = yield [turn.judged]
    except (Error, NotRecordable) as error:
        raise NotRecorded() from error
    if isinstance(written, Stale):
        raise NotRecorded()
    answer = _answer(turn, written)
    _tell([answer], began)
    return answer


def _renew(stale: Stale) -> None:
    if stale.keys == (TAKEN,):
        raise RetryTaken()
    snapshot.drop(stale.keys)
    if "now" in stale.keys:
        timekeeper.forget()


def _turns(
    asks: Sequence[Ask],
    caller: Caller,
    now: datetime | None,
    given: Decision | None,
    said: Sequence[OutsideAnswer] = (),
) -> list[_Turn]:
    return [_prepared(ask, caller, now or timekeeper.now(), given, said) for ask in asks]


def _prepared(
    ask: Ask,
    caller: Caller,
    now: datetime,
    given: Decision | None,
    said: Sequence[OutsideAnswer],
) -> _Turn:
    cleaned = clean(ask, _secret_parameters(ask))
    try:
        return _judged(cleaned, caller, now, given, said)
    except NotRecordable as error:
        # Something that may not be written down came through: write none of what was sent.
        return _judged(blot(cleaned, error), caller, now, given)


def _judged(
    cleaned: Clean,
    caller: Caller,
    now: datetime,
    given: Decision | None,
    said: Sequence[OutsideAnswer] = (),
) -> _Turn:
    """Judge by the facts; a decision that is given rests on none, so none can make it stale."""
    resolved = resolve(cleaned.ask, caller, secret_path=cleaned.secret_path)
    if said:
        resolved = _with_answers(resolved, said, now)
    if given:
        resolved = replace(resolved, used={})
    decision = given or _mismatch(resolved) or judge(resolved.request, resolved.snapshot, now)
    row = row_of(
        record_id=clock.uuid7(now),
        caller=caller,
        clean=cleaned,
        resolved=resolved,
        decision=decision,
        now=now,
    )
    retry = cleaned.ask.retry
    judged = Judged(
        row=row,
        slices=resolved.revisions,
        now=None if given else now,
        retry=dict(zip(("key", "body"), retry, strict=True)) if retry else None,
        **({} if given else _parts(resolved, decision, now)),
    )
    return _Turn(cleaned, resolved, decision, judged)


def _with_answers(resolved: Resolved, said: Sequence[OutsideAnswer], now: datetime) -> Resolved:
    """The question with those of the answers that were given to it, and no others."""
    try:
        asked = {each.digest for each in unanswered(resolved.request, resolved.snapshot, now)}
    except LookupError:
        return resolved  # it has come to a refusal before it would ask
    own = tuple(each for each in said if each.digest in asked)
    return replace(resolved, request=replace(resolved.request, outside=own)) if own else resolved


def _parts(resolved: Resolved, decision: Decision, now: datetime) -> dict[str, Any]:
    """What the record's transaction settles besides: the run, counters, sums, holds."""
    count = counting.counted(resolved, decision)
    sums = counting.summed(resolved, decision, now)
    observed = decision.observe is not None
    hold, approval = holding.parts_of(resolved, decision, now)
    if hold is None and not observed and (sums or (count and count.may_hold)):
        # A counter may hold what the walk lets pass.
        hold = holding.hold_of(resolved, decision, now)
        approval = holding.approval_of(resolved, hold)
    return {
        "flow": runs.raised(resolved, decision, now),
        "count": count,
        "sums": sums,
        "observed": observed,
        "hold": hold,
        "approval": approval,
    }


def _mismatch(resolved: Resolved) -> Decision | None:
    """An agent's own token asks about that agent and no other."""
    request = resolved.request
    if request.gateway or not request.agent_claimed or request.agent_claimed == request.agent:
        return None
    return refusals.refuse(refusals.MISMATCH, agent=request.agent)


def _secret_parameters(ask: Ask) -> Sequence[str]:
    world = snapshot.load([WORLD])[WORLD].slice
    tools = world.document["tools"] if world else {}
    return tuple(tools.get(ask.tool, {}).get("secret", ()))


def _answer(turn: _Turn, written: Recorded) -> Answer:
    decision = turn.decision
    if decision.observe is None and written.code != decision.code:
        settle = _released if written.effect == Effect.ALLOW else _counted_out
        decision = settle(decision, written, turn.resolved)
    return Answer(
        id=written.id,
        at=written.at,
        ask=turn.clean.ask,
        resolved=turn.resolved,
        decision=decision,
        settled=written.settled,
        receipt=written.receipt,
    )


def _released(decision: Decision, written: Recorded, _: Resolved) -> Decision:
    """What was held goes on, by a release that was used up with the record."""
    return replace(
        decision,
        effect=Effect(written.effect),
        check=written.check,
        code=written.code,
        detail={},
        remedies=(),
    )


def _counted_out(decision: Decision, written: Recorded, resolved: Resolved) -> Decision:
    """A counter decided otherwise, in the record's transaction."""
    request = resolved.request
    counter = written.settled.get(written.check) or {}
    detail = {"agent": request.agent, "tool": request.tool, **counter}
    return replace(
        decision,
        effect=Effect(written.effect),
        check=written.check,
        code=written.code,
        walk=_counted_walk(decision.walk, written),
        detail=detail,
        remedies=codes.remedies(written.code, detail),
        obligations=(),
    )


def _counted_walk(walk: Sequence[Step], written: Recorded) -> tuple[Step, ...]:
    """The walk with the counter that decided; a hold lets it go on."""
    check = Check(written.check)
    if written.effect == Effect.HOLD:
        held = Step(check, Status.HELD, written.code)
        return tuple(held if step.check is check else step for step in walk)
    return stopped_at(walk, check, written.code)


def stopped_at(walk: Sequence[Step], check: Check, code: str) -> tuple[Step, ...]:
    """The walk with `check` as the one that refused, and nothing reached after it."""
    order = list(Check)
    end = order.index(check)
    return (
        *walk[:end],
        Step(check, Status.REFUSED, code),
        *(Step(later, Status.NOT_REACHED) for later in order[end + 1 :]),
    )
