"""Group commit: what is asked while a transaction is in flight forms the next one.

One thread records for its whole process, over a connection of its own. It waits for nobody: a
request that comes alone is a group alone. Nothing is told before the commit, and what fails
tells nobody yes. Only the web process records so (`MUSTER_GROUP_COMMIT`); commands and tests
record where they stand, each batch by itself.
"""

from __future__ import annotations

import asyncio
import logging
import os
import select
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from concurrent.futures import TimeoutError as TookTooLong
from contextlib import suppress
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from typing import Any, TypeVar

import psycopg
from django.conf import settings
from django.db import connection

from authz import recorder
from authz.errors import NotRecorded
from authz.recorder import STATEMENT, STATEMENT_TIMEOUT, Judged, Recorded, Stale

MAX_WAITING = 1024  # callers in the queue; the next one is refused
MAX_ROWS = 64  # in one transaction, but never less than one caller has
LONGEST_WAIT = 5.0  # seconds for a turn: what was judged longer ago would be stale
GIVE_UP = 10.0  # seconds for an answer, whatever became of the database
CONNECT_SECONDS = 3

Written = Sequence[Recorded | Stale]
Outcome = Written | NotRecorded
Connect = Callable[[], "psycopg.Connection[Any]"]
Item = TypeVar("Item")

log = logging.getLogger(__name__)


def record(batch: Sequence[Judged]) -> Written:
    """Record a batch, all that is not stale or none, and wait for it. Raises `NotRecorded`."""
    if not settings.MUSTER_GROUP_COMMIT:
        return recorder.record(batch)
    if connection.in_atomic_block:
        raise RuntimeError("A decision may not be made inside another transaction.")
    return group().record(batch)


@dataclass(frozen=True, slots=True)
class _Waiting:
    """One caller: what it wants recorded, since when, and where it is told."""

    batch: Sequence[Judged]
    since: float
    future: Future[Written] | asyncio.Future[Written]
    loop: asyncio.AbstractEventLoop | None = None


class GroupCommit:
    """The queue, and the thread that empties it. The thread starts with the first caller."""

    def __init__(self, connect: Connect) -> None:
        self._connect = connect
        self._queue: SimpleQueue[_Waiting | None] = SimpleQueue()
        self._starting = threading.Lock()
        self._thread: threading.Thread | None = None
        self._connection: psycopg.Connection[Any] | None = None
        self._stopped = False

    def record(self, batch: Sequence[Judged]) -> Written:
        """Record `batch` with whatever else waits, and wait for it. Raises `NotRecorded`."""
        future: Future[Written] = Future()
        self._submit(_Waiting(batch, time.monotonic(), future))
        try:
            return future.result(GIVE_UP)
        except TookTooLong:
            raise NotRecorded() from None

    async def record_later(self, batch: Sequence[Judged]) -> Written:
        """`record` for an event loop, which goes on meanwhile."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Written] = loop.create_future()
        self._submit(_Waiting(batch, time.monotonic(), future, loop))
        patience = loop.call_later(GIVE_UP, _settle, future, NotRecorded())
        try:
            return await future
        finally:
            patience.cancel()

    def flush(self, seconds: float) -> bool:
        """Take nothing more, record what waits; whether that was done in time."""
        self._stopped = True
        thread = self._thread
        if thread is not None:
            self._queue.put(None)
            thread.join(seconds)
        return thread is None or not thread.is_alive()

    def _submit(self, waiting: _Waiting) -> None:
        if self._stopped or self._queue.qsize() >= MAX_WAITING:
            raise NotRecorded()
        self._queue.put(waiting)
        if self._thread is None or not self._thread.is_alive():
            self._start()

    def _start(self) -> None:
        with self._starting:
            if self._thread is None or not self._thread.is_alive():
                self._thread = threading.Thread(target=self._run, name="recorder", daemon=True)
                self._thread.start()

    def _run(self) -> None:
        while (first := self._queue.get()) is not None:
            members = list(self._gather(first))
            outcomes: Sequence[Outcome] = [NotRecorded() for _ in members]
            try:
                outcomes = self._outcomes(members)
            except Exception as error:
                _tell_log(len(members), error)
            finally:
                _tell(list(zip(members, outcomes, strict=True)))
        self._disconnect()

    def _gather(self, first: _Waiting) -> Iterator[_Waiting]:
        """The caller that comes first, and those behind it as far as one transaction goes."""
        yield first
        rows = len(first.batch)
        while rows < MAX_ROWS:
            try:
                following = self._queue.get_nowait()
            except Empty:
                return
            if following is None:
                self._queue.put(None)  # It ends the loop when this group is done.
                return
            yield following
            rows += len(following.batch)

    def _outcomes(self, members: Sequence[_Waiting]) -> list[Outcome]:
        """What became of each, in order. Who has waited too long was judged by old facts."""
        latest = time.monotonic() - LONGEST_WAIT
        fresh = [each for each in members if each.since >= latest]
        written = iter(self._together(fresh) if fresh else [])
        return [next(written) if each.since >= latest else NotRecorded() for each in members]

    def _together(self, members: Sequence[_Waiting]) -> list[Outcome]:
        """All in one transaction; where one of them may be what fails, each in its own."""
        try:
            return list(self._commit(members))
        except (psycopg.Error, TypeError, ValueError) as error:
            _tell_log(len(members), error)
            if len(members) > 1 and _may_be_of_one(error):
                return self._one_by_one(members)
            return [NotRecorded() for _ in members]

    def _one_by_one(self, members: Sequence[_Waiting]) -> list[Outcome]:
        """Each in a transaction of its own, until something fails that would fail them all."""
        outcomes: list[Outcome] = []
        for each in members:
            try:
                outcomes += self._commit([each])
            except (psycopg.Error, TypeError, ValueError) as error:
                outcomes.append(NotRecorded())
                if not _may_be_of_one(error):
                    break
        return outcomes + [NotRecorded() for _ in members[len(outcomes) :]]

    def _commit(self, members: Sequence[_Waiting]) -> Iterator[Written]:
        """One transaction, committed when this returns; what it says to each member."""
        text = recorder.as_json([judged for each in members for judged in each.batch])
        try:
            found = self._connected().execute(STATEMENT, [text], prepare=True).fetchone()
        except (psycopg.OperationalError, psycopg.InterfaceError):
            self._disconnect()
            raise
        written = recorder.read_answers(found[0] if found else "")
        if len(written) != sum(len(each.batch) for each in members):
            raise psycopg.InterfaceError("The record answered for others than were asked.")
        rest = iter(written)
        return iter([[next(rest) for _ in each.batch] for each in members])

    def _connected(self) -> psycopg.Connection[Any]:
        if self._connection is not None and _has_ended(self._connection):
            self._disconnect()
        if self._connection is None:
            opened = self._connect()
            opened.execute(f"SET statement_timeout = '{STATEMENT_TIMEOUT}'")
            # Compiling the statement takes longer than running it.
            opened.execute("SET jit = off")
            self._connection = opened
        return self._connection

    def _disconnect(self) -> None:
        if self._connection is not None:
            with suppress(psycopg.Error):
                self._connection.close()
        self._connection = None


def _may_be_of_one(error: Exception) -> bool:
    """Whether one member may be to blame: the server undid the group and goes on."""
    if isinstance(error, psycopg.OperationalError | psycopg.InterfaceError):
        return (error.sqlstate or "").startswith("40")
    return True


def _has_ended(opened: psycopg.Connection[Any]) -> bool:
    """Whether an idle connection is closed, or has something to say: that is how it is ended."""
    if opened.closed:
        return True
    poll = select.poll()
    poll.register(opened.fileno(), select.POLLIN)
    return bool(poll.poll(0))


def _tell(told: Sequence[tuple[_Waiting, Outcome]]) -> None:
    """Wake each thread that waits, and each event loop once for all that wait on it."""
    on_loops: dict[asyncio.AbstractEventLoop, list[tuple[Any, Outcome]]] = {}
    for each, outcome in told:
        if each.loop is None:
            _settle(each.future, outcome)
        else:
            on_loops.setdefault(each.loop, []).append((each.future, outcome))
    for loop, theirs in on_loops.items():
        with suppress(RuntimeError):  # It was closed: nobody waits there any more.
            loop.call_soon_threadsafe(_settle_all, theirs)


def _settle_all(told: Sequence[tuple[Any, Outcome]]) -> None:
    for future, outcome in told:
        _settle(future, outcome)


def _settle(future: Any, outcome: Outcome) -> None:
    if future.done():
        return
    if isinstance(outcome, NotRecorded):
        future.set_exception(outcome)
    else:
        future.set_result(outcome)


def _tell_log(members: int, error: Exception) -> None:
    """Say what failed without its text, which may repeat what was sent."""
    state = getattr(error, "sqlstate", None) or "-"
    log.error("%d callers: not recorded (%s, %s).", members, type(error).__name__, state)


# The one of this process


def _open() -> psycopg.Connection[Any]:
    parameters = connection.get_connection_params()
    # Django's cursors put values into the text of statements, which cannot be prepared then.
    ours = {
        name: value
        for name, value in parameters.items()
        if name not in ("context", "cursor_factory", "prepare_threshold")
    }
    return psycopg.connect(
        **ours,
        autocommit=True,
        connect_timeout=CONNECT_SECONDS,
        tcp_user_timeout=int(LONGEST_WAIT * 1000),
        application_name="muster recorder",
    )


_group = [GroupCommit(_open)]


def group() -> GroupCommit:
    """The recorder of this process."""
    return _group[0]


def _renew() -> None:
    """After a fork: the thread and the connection belong to the parent."""
    _group[:] = [GroupCommit(_open)]


os.register_at_fork(after_in_child=_renew)
