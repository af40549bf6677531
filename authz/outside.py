"""Asking decision points outside: by the one way out, in bounded time, at no thread's cost.

Whatever happens, an `OutsideAnswer` comes back. What is not a well-formed yes or no to this very
question counts as no answer, and says why. One decision point has threads of its own, so that a
slow one holds up nobody but its own callers, for as long as its row says. One that keeps silent
is left alone for a while, and then tried by one call.
"""

from __future__ import annotations

import asyncio
import json
import os
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import TimeoutError as NotInTime
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from uuid import uuid4

from django.conf import settings

from audit.redactor import redact
from authz.engine.outside import Question
from authz.engine.types import OutsideAnswer
from governance.kernel import egress, strict_json
from governance.kernel.errors import GovernanceError

MOST_MS = 1000
THREADS = 16  # for one decision point
MOST_WAITING = 256  # questions to one; the next is not put
FAILURES = 5  # in a row, after which it is left alone
PAUSE = 10.0  # seconds
MAX_REASON = 200
JSON = "application/json"
# Under which of them a decision says why: AuthZEN 1.0 leaves the context open, these are in use.
REASONS = ("reason_admin", "reason_user", "reason")

SLOW, BUSY, PAUSED = "too slow", "too many at once", "silent before, so not asked"
NO_ANSWER, ADDRESS, SECRET = "no answer", "address refused", "no credential"
TYPE, OTHER, UNREADABLE, BROKEN = "not JSON", "another request's", "unreadable", "broken"

Json = Any
Send = Callable[[Question], tuple[bool, str]]


class Unanswered(Exception):
    """There is no answer that counts. `cause` says why, in a few words."""

    def __init__(self, cause: str) -> None:
        super().__init__(cause)
        self.cause = cause


@dataclass(frozen=True, slots=True)
class Change:
    """A decision point has fallen silent, by `cause`, or answers again: `cause` is ""."""

    pdp: str
    cause: str


@dataclass(slots=True)
class _Line:
    """The line to one decision point: its threads, and what this process has seen of it."""

    pool: ThreadPoolExecutor
    waiting: int = 0
    failed: int = 0
    until: float = 0.0

    def refusal(self, now: float) -> str:
        """Why nothing is put to it now, or ""."""
        if self.waiting >= MOST_WAITING:
            return BUSY
        if self.failed < FAILURES:
            return ""
        if now < self.until:
            return PAUSED
        # This one tries it. Should nobody learn how that ends, the next one does after the pause.
        self.until = now + PAUSE
        return ""

    def note(self, cause: str, now: float) -> bool:
        """Take in how a question ended; whether it has just fallen silent, or answers again."""
        was_silent = self.failed >= FAILURES
        self.failed = self.failed + 1 if cause else 0
        silent = self.failed >= FAILURES
        if silent:
            self.until = now + PAUSE
        return silent is not was_silent


@dataclass(slots=True)
class _Put:
    """A question on its way; `future` is None where it was not put, by `cause`."""

    question: Question
    since: float
    future: Future[tuple[bool, str]] | None
    cause: str = ""

    @property
    def left(self) -> float:
        """The seconds for which anybody still waits."""
        return max(0.0, self.since + _patience(self.question) - time.monotonic())


@dataclass(slots=True)
class Asker:
    """Puts questions for one process, and remembers who keeps silent."""

    send: Send
    _lines: dict[tuple[str, str], _Line] = field(default_factory=dict)
    _changes: list[Change] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def ask(self, questions: Sequence[Question]) -> tuple[OutsideAnswer, ...]:
        """The answers, in order. It waits here, for as long as the most patient question."""
        return tuple([self._waited(put) for put in [self._put(each) for each in questions]])

    async def asking(self, questions: Sequence[Question]) -> tuple[OutsideAnswer, ...]:
        """As `ask`, on an event loop, which goes on meanwhile."""
        return tuple(
            await asyncio.gather(*[self._awaited(put) for put in map(self._put, questions)])
        )

    def changes(self) -> list[Change]:
        """What changed since this was last asked; each is told once."""
        with self._lock:
            found, self._changes = self._changes, []
        return found

    def _put(self, question: Question) -> _Put:
        now = time.monotonic()
        with self._lock:
            line = self._line(question)
            if cause := line.refusal(now):
                return _Put(question, now, None, cause)
            line.waiting += 1
        put = _Put(question, now, None)
        put.future = line.pool.submit(self._sent, put)
        put.future.add_done_callback(lambda _: self._left(question))
        return put

    def _sent(self, put: _Put) -> tuple[bool, str]:
        if not put.left:
            raise Unanswered(BUSY)
        return self.send(put.question)

    def _left(self, question: Question) -> None:
        with self._lock:
            self._line(question).waiting -= 1

    def _line(self, question: Question) -> _Line:
        key = (question.pdp, question.url)
        found = self._lines.get(key)
        if found is None:
            pool = ThreadPoolExecutor(THREADS, f"outside {question.pdp}")
            found = self._lines[key] = _Line(pool)
        return found

    def _waited(self, put: _Put) -> OutsideAnswer:
        if put.future is None:
            return _none(put, put.cause)
        try:
            return self._ended(put, put.future.result(put.left))
        except Exception as error:
            return self._failed(put, error)

    async def _awaited(self, put: _Put) -> OutsideAnswer:
        if put.future is None:
            return _none(put, put.cause)
        try:
            return self._ended(
                put, await asyncio.wait_for(asyncio.wrap_future(put.future), put.left)
            )
        except Exception as error:
            return self._failed(put, error)

    def _ended(self, put: _Put, said: tuple[bool, str]) -> OutsideAnswer:
        self._note(put, "")
        allows, reason = said
        return replace(_none(put, ""), allows=allows, reason=reason)

    def _failed(self, put: _Put, error: Exception) -> OutsideAnswer:
        cause = _cause(error)
        if cause == BUSY or (put.future is not None and put.future.cancel()):
            # It never got as far as the decision point, which is not to blame for that.
            return _none(put, BUSY)
        if not put.left:
            cause = SLOW
        self._note(put, cause)
        return _none(put, cause)

    def _note(self, put: _Put, cause: str) -> None:
        with self._lock:
            if self._line(put.question).note(cause, time.monotonic()):
                self._changes.append(Change(put.question.pdp, cause))


def _none(put: _Put, cause: str) -> OutsideAnswer:
    question = put.question
    took = round((time.monotonic() - put.since) * 1000)
    return OutsideAnswer(question.pdp, question.digest, None, cause, took)


def _cause(error: Exception) -> str:
    if isinstance(error, Unanswered):
        return error.cause
    return SLOW if isinstance(error, NotInTime | TimeoutError) else BROKEN


def _patience(question: Question) -> float:
    return min(question.timeout_ms, MOST_MS) / 1000


# One question over HTTP


def send(question: Question) -> tuple[bool, str]:
    """Put one question: whether it is allowed, and the reason given. Raises `Unanswered`."""
    named = str(uuid4())
    headers = {
        "Content-Type": JSON,
        "Accept": JSON,
        # What is read is what came, so it may not come compressed.
        "Accept-Encoding": "identity",
        "X-Request-ID": named,
        **credential_of(question.pdp),
    }
    body = json.dumps(question.body).encode()
    try:
        answer = egress.send(
            "POST", question.url, body=body, headers=headers, seconds=_patience(question)
        )
    except egress.AddressRefused as error:
        raise Unanswered(ADDRESS) from error
    except egress.NoAnswer as error:
        raise Unanswered(NO_ANSWER) from error
    return read_answer(answer, named)


def read_answer(answer: egress.Answer, named: str) -> tuple[bool, str]:
    """What an evaluation response says (AuthZEN 1.0, sections 6.2 and 10.1). Raises `Unanswered`.

    `named` is the request's id. One that comes back must be the same.
    """
    if answer.status != 200:
        raise Unanswered(f"status {answer.status}")
    if answer.headers.get("content-type", "").partition(";")[0].strip().lower() != JSON:
        raise Unanswered(TYPE)
    if answer.headers.get("x-request-id", named) != named:
        raise Unanswered(OTHER)
    try:
        said = strict_json.loads(answer.body)
    except GovernanceError as error:
        raise Unanswered(UNREADABLE) from error
    decision = said.get("decision") if isinstance(said, dict) else None
    if not isinstance(said, dict) or not isinstance(decision, bool):
        raise Unanswered(UNREADABLE)
    return decision, _reason(said.get("context"))


def _reason(context: Json) -> str:
    """The first reason that is given, cut and without anything that looks like a credential."""
    given = context if isinstance(context, Mapping) else {}
    for name in REASONS:
        value = given.get(name)
        texts = [*value.values()] if isinstance(value, Mapping) else [value]
        for text in texts:
            if isinstance(text, str) and text.strip():
                return str(redact(" ".join(text.split())))[:MAX_REASON]
    return ""


def credential_of(pdp: str) -> dict[str, str]:
    """The header that a decision point is signed in to with; none where the file names it not.

    Raises `Unanswered` where the file cannot be read, or holds no bearer token for it.
    """
    if not settings.MUSTER_PDP_SECRETS:
        return {}
    try:
        found = json.loads(Path(settings.MUSTER_PDP_SECRETS).read_text())
        if pdp not in found:
            return {}
        token = found[pdp]["bearer"]
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise Unanswered(SECRET) from error
    if not isinstance(token, str) or not token.isascii() or not token.isprintable() or not token:
        raise Unanswered(SECRET)
    return {"Authorization": f"Bearer {token}"}


# The one of this process

_asker = [Asker(send)]


def asker() -> Asker:
    """Who asks for this process."""
    return _asker[0]


def forget() -> None:
    """Know of nobody's silence any more; after a fork, the threads are the parent's too."""
    _asker[:] = [Asker(send)]


os.register_at_fork(after_in_child=forget)
