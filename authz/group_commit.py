"""Group commit: what is asked while a transaction is in flight forms the next one.

One task on the event loop of the web process records for everyone there, over a connection of
its own: no thread takes turns with the one that judges. It waits for nobody: a request that
comes alone is a group alone. Nothing is told before the commit, and what fails tells nobody yes.
Commands, tests and whoever else waits in a thread record by `authz.recorder`, each by itself.
"""

from __future__ import annotations

import asyncio
import logging
import os
import select
import time
from collections import deque
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import psycopg
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
Opened = psycopg.AsyncConnection[Any]
Connect = Callable[[], Awaitable[Opened]]

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Waiting:
    """One caller: what it wants recorded, since when, and where it is told."""

    batch: Sequence[Judged]
    since: float
    future: asyncio.Future[Written]


class GroupCommit:
    """The queue of one event loop, and the task that empties it while there is something in it."""

    def __init__(self, connect: Connect) -> None:
        self._connect = connect
        self._queue: deque[_Waiting] = deque()
        self._task: asyncio.Task[None] | None = None
        self._connection: Opened | None = None
        self._stopped = False

    async def record(self, batch: Sequence[Judged]) -> Written:
        """Record `batch` with whatever else waits, and wait for it. Raises `NotRecorded`."""
        if self._stopped or len(self._queue) >= MAX_WAITING:
            raise NotRecorded()
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Written] = loop.create_future()
        self._queue.append(_Waiting(batch, time.monotonic(), future))
        if self._task is None:
            # It begins when this turn of the loop ends, with all that came in the same turn.
            self._task = loop.create_task(self._empty())
        patience = loop.call_later(GIVE_UP, _settle, future, NotRecorded())
        try:
            return await future
        finally:
            patience.cancel()

    async def flush(self, seconds: float) -> bool:
        """Take nothing more, record what waits; whether that was done in time."""
        self._stopped = True
        if self._task is not None:
            await asyncio.wait([self._task], timeout=seconds)
        done = self._task is None
        if done:
            await self._disconnect()
        return done

    async def _empty(self) -> None:
        try:
            while self._queue:
                await self._record_group(list(self._gather()))
        finally:
            self._task = None

    def _gather(self) -> Iterator[_Waiting]:
        """Those who came first, as far as one transaction goes."""
        rows = 0
        while self._queue and rows < MAX_ROWS:
            rows += len(self._queue[0].batch)
            yield self._queue.popleft()

    async def _record_group(self, members: Sequence[_Waiting]) -> None:
        outcomes: Sequence[Outcome] = [NotRecorded() for _ in members]
        try:
            outcomes = await self._outcomes(members)
        except Exception as error:
            _tell_log(len(members), error)
        finally:
            for each, outcome in zip(members, outcomes, strict=True):
                _settle(each.future, outcome)

    async def _outcomes(self, members: Sequence[_Waiting]) -> list[Outcome]:
        """What became of each, in order. Who has waited too long was judged by old facts."""
        latest = time.monotonic() - LONGEST_WAIT
        fresh = [each for each in members if each.since >= latest]
        written = iter(await self._together(fresh) if fresh else [])
        return [next(written) if each.since >= latest else NotRecorded() for each in members]

    async def _together(self, members: Sequence[_Waiting]) -> list[Outcome]:
        """All in one transaction; where one of them may be what fails, each in its own."""
        try:
            return await self._commit(members)
        except (psycopg.Error, TypeError, ValueError) as error:
            _tell_log(len(members), error)
            if len(members) > 1 and _may_be_of_one(error):
                return await self._one_by_one(members)
            return [NotRecorded() for _ in members]

    async def _one_by_one(self, members: Sequence[_Waiting]) -> list[Outcome]:
        """Each in a transaction of its own, until something fails that would fail them all."""
        outcomes: list[Outcome] = []
        for each in members:
            try:
                outcomes += await self._commit([each])
            except (psycopg.Error, TypeError, ValueError) as error:
                outcomes.append(NotRecorded())
                if not _may_be_of_one(error):
                    break
        return outcomes + [NotRecorded() for _ in members[len(outcomes) :]]

    async def _commit(self, members: Sequence[_Waiting]) -> list[Outcome]:
        """One transaction, committed when this returns; what it says to each member."""
        text = recorder.as_json([judged for each in members for judged in each.batch])
        try:
            opened = await self._connected()
            cursor = await opened.execute(STATEMENT, [text], prepare=True)
            found = await cursor.fetchone()
        except (psycopg.OperationalError, psycopg.InterfaceError):
            await self._disconnect()
            raise
        written = recorder.read_answers(found[0] if found else "")
        if len(written) != sum(len(each.batch) for each in members):
            raise psycopg.InterfaceError("The record answered for others than were asked.")
        rest = iter(written)
        return [[next(rest) for _ in each.batch] for each in members]

    async def _connected(self) -> Opened:
        if self._connection is not None and _has_ended(self._connection):
            await self._disconnect()
        if self._connection is None:
            opened = await self._connect()
            await opened.execute(f"SET statement_timeout = '{STATEMENT_TIMEOUT}'")
            # Compiling the statement takes longer than running it.
            await opened.execute("SET jit = off")
            self._connection = opened
        return self._connection

    async def _disconnect(self) -> None:
        if self._connection is not None:
            with suppress(psycopg.Error):
                await self._connection.close()
        self._connection = None


def _may_be_of_one(error: Exception) -> bool:
    """Whether one member may be to blame: the server undid the group and goes on."""
    if isinstance(error, psycopg.OperationalError | psycopg.InterfaceError):
        return (error.sqlstate or "").startswith("40")
    return True


def _has_ended(opened: Opened) -> bool:
    """Whether an idle connection is closed, or has something to say: that is how it is ended."""
    if opened.closed:
        return True
    poll = select.poll()
    poll.register(opened.fileno(), select.POLLIN)
    return bool(poll.poll(0))


def _settle(future: asyncio.Future[Written], outcome: Outcome) -> None:
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


async def _open() -> Opened:
    parameters = connection.get_connection_params()
    # Django's cursors put values into the text of statements, which cannot be prepared then.
    ours = {
        name: value
        for name, value in parameters.items()
        if name not in ("context", "cursor_factory", "prepare_threshold")
    }
    return await psycopg.AsyncConnection.connect(
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
    """After a fork: the connection belongs to the parent."""
    _group[:] = [GroupCommit(_open)]


os.register_at_fork(after_in_child=_renew)
