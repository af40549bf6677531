"""Work that says what it waits for and waits for nothing itself.

A generator pauses with a `Look`, with an `Outside` or with a batch for the record, is sent what
was found, answered or recorded, and returns its result. So one and the same decision runs in a
thread, which may wait (`run`), and on an event loop, which may not (`run_on_loop`).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Generator, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from django.core.exceptions import SynchronousOnlyOperation

from authz.engine.outside import Question
from authz.outside import asker
from authz.recorder import Judged, Recorded, Stale

Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class Look:
    """Something that may have to ask the database, and changes nothing before it has asked.

    On a loop it is tried at once; where the database is asked after all, Django refuses, and it
    is done again, from the start, in a thread.
    """

    at: Callable[[], Any]


@dataclass(frozen=True, slots=True)
class Outside:
    """Questions to decision points of others; what comes back are their answers, in order."""

    questions: Sequence[Question]


Work = Generator[Look | Outside | Sequence[Judged], Any, Result]
Record = Callable[[Sequence[Judged]], Sequence[Recorded | Stale]]
RecordLater = Callable[[Sequence[Judged]], Awaitable[Sequence[Recorded | Stale]]]
InThread = Callable[[Callable[[], Any]], Awaitable[Any]]


def run(work: Work[Result], record: Record) -> Result:
    """Do the work here, waiting where it pauses. What goes wrong there is raised within it."""
    try:
        pause = next(work)
        while True:
            try:
                found = _done(pause, record)
            except Exception as error:
                pause = work.throw(error)
            else:
                pause = work.send(found)
    except StopIteration as end:
        result: Result = end.value
        return result


def _done(pause: Look | Outside | Sequence[Judged], record: Record) -> Any:
    if isinstance(pause, Look):
        return pause.at()
    return asker().ask(pause.questions) if isinstance(pause, Outside) else record(pause)


async def run_on_loop(work: Work[Result], record: RecordLater, in_thread: InThread) -> Result:
    """Do the work on the running event loop, which it never holds up for the database."""
    try:
        pause = next(work)
        while True:
            try:
                found = await _doing(pause, record, in_thread)
            except Exception as error:
                pause = work.throw(error)
            else:
                pause = work.send(found)
    except StopIteration as end:
        result: Result = end.value
        return result


async def _doing(
    pause: Look | Outside | Sequence[Judged], record: RecordLater, in_thread: InThread
) -> Any:
    if isinstance(pause, Look):
        return await _look(pause, in_thread)
    if isinstance(pause, Outside):
        return await asker().asking(pause.questions)
    return await record(pause)


async def _look(look: Look, in_thread: InThread) -> Any:
    try:
        return look.at()
    except SynchronousOnlyOperation:
        return await in_thread(look.at)
