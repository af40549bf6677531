"""Callers that come together are recorded together, and each is told only what was committed."""

import asyncio
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from functools import partial

import psycopg
import pytest
from django.db import connection, transaction

from authz import decide as deciding
from authz import group_commit
from authz.decide import decide
from authz.errors import NotRecorded
from authz.group_commit import GroupCommit
from authz.recorder import Recorded, Stale
from authz.work import Look, run_on_loop
from tests.factories.authz import make_desk

pytestmark = pytest.mark.django_db(transaction=True)


class OnLoop:
    """A recorder on an event loop of its own, called from threads."""

    def __init__(self, connect):
        self.recorder = GroupCommit(connect)
        self.loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self.loop.run_forever)
        self._thread.start()

    def do(self, coroutine):
        return asyncio.run_coroutine_threadsafe(coroutine, self.loop).result(30)

    def record(self, batch):
        return self.do(self.recorder.record(batch))

    def flush(self, seconds):
        return self.do(self.recorder.flush(seconds))

    def end(self):
        assert self.flush(10)
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join()
        self.loop.close()


@pytest.fixture
def group(login_on_loop) -> Iterator[OnLoop]:
    """A recorder that logs in as the web process does."""
    ours = OnLoop(partial(login_on_loop, "muster_web"))
    yield ours
    ours.end()


@pytest.fixture
def auditor(login):
    """The owner of the record, as the migrator becomes it."""
    opened = login("muster_migrator")
    opened.execute("SET ROLE muster_audit")
    return opened


def judged_of(desk, count=1, **changed):
    """Requests of `desk`, judged and ready for the record."""
    work = deciding.deciding([desk.ask(**changed)] * count, desk.caller)
    look = next(work)
    assert isinstance(look, Look)
    return work.send(look.at())


def poisoned(batch):
    """The same requests with an id that the record refuses."""
    return [replace(one, row={**one.row, "line1": '{"id": "no id"}'}) for one in batch]


@contextmanager
def held(group, first):
    """The recorder is busy with `first` for as long as the `with` lasts; its answer to come."""
    ours = group.recorder
    busy, go_on, commit = threading.Event(), asyncio.Event(), ours._commit

    async def wait_first(members):
        ours._commit = commit
        busy.set()
        await asyncio.wait_for(go_on.wait(), 10)
        return await commit(members) if first else [[]]

    ours._commit = wait_first
    with ThreadPoolExecutor(1) as pool:
        told = pool.submit(group.record, first)
        assert busy.wait(10)
        try:
            yield told
        finally:
            group.loop.call_soon_threadsafe(go_on.set)


def await_queue(group, count):
    deadline = time.monotonic() + 10
    while len(group.recorder._queue) < count:
        assert time.monotonic() < deadline
        time.sleep(0.001)


def await_stop(group):
    deadline = time.monotonic() + 10
    while not group.recorder._stopped:
        assert time.monotonic() < deadline
        time.sleep(0.001)


def together(group, batches):
    """Record all while another one is in flight, so that they form a group; errors as values."""

    def one(batch):
        try:
            return group.record(batch)
        except NotRecorded as error:
            return error

    with ThreadPoolExecutor(len(batches)) as pool:
        with held(group, []):
            told = [pool.submit(one, batch) for batch in batches]
            await_queue(group, len(batches))
        return [each.result() for each in told]


def transactions(auditor, ids):
    """How many transactions these records came in."""
    (found,) = auditor.execute(
        "SELECT count(DISTINCT xid::text) FROM audit.record WHERE id = ANY(%s::uuid[])", [ids]
    ).fetchone()
    return found


def ids_of(batches):
    return [one.row["id"] for batch in batches for one in batch]


def test_one_caller_waits_for_nobody(group, records_after, mark):
    desk, before = make_desk(), mark()

    (written,) = group.record(judged_of(desk))

    (record,) = records_after(before, kind="decision")
    assert (written.id, written.effect) == (record["id"], "allow")


def test_callers_that_come_together_share_transactions(group, auditor):
    desk = make_desk()
    batches = [judged_of(desk, 2) for _ in range(16)]

    told = together(group, batches)

    assert [[str(one.id) for one in each] for each in told] == [
        [one.row["id"] for one in batch] for batch in batches
    ]
    assert transactions(auditor, ids_of(batches)) == 1


def test_order_within_a_batch_is_kept(group, auditor):
    desk = make_desk()
    batches = [judged_of(desk, 5) for _ in range(4)]

    together(group, batches)

    for batch in batches:
        ids = [one.row["id"] for one in batch]
        found = auditor.execute(
            "SELECT id::text FROM audit.record WHERE id = ANY(%s::uuid[]) ORDER BY at", [ids]
        )
        assert [each for (each,) in found] == ids


def test_a_stale_one_tells_nobody_else(group):
    desk = make_desk()
    good, old = judged_of(desk), judged_of(desk)
    old = [replace(one, slices={**one.slices, "global": -1}) for one in old]

    first, stale, second = together(group, [good, old, judged_of(desk)])

    assert stale == [Stale(("global",))]
    assert [type(each[0]) for each in (first, second)] == [Recorded, Recorded]


def test_a_bad_row_fails_alone(group, auditor):
    desk = make_desk()
    batches = [judged_of(desk) for _ in range(6)]
    batches[3] = poisoned(batches[3])

    told = together(group, batches)

    assert [isinstance(each, NotRecorded) for each in told] == [n == 3 for n in range(6)]
    recorded = [n for n, batch in enumerate(batches) if transactions(auditor, ids_of([batch]))]
    assert recorded == [0, 1, 2, 4, 5]


def test_a_bad_row_among_several_of_one_caller_fails_that_caller(group, auditor):
    desk = make_desk()
    good, mixed = judged_of(desk), judged_of(desk, 3)
    mixed = [mixed[0], *poisoned(mixed[1:2]), mixed[2]]

    first, second = together(group, [good, mixed])

    assert isinstance(first[0], Recorded)
    assert isinstance(second, NotRecorded)
    assert transactions(auditor, ids_of([mixed])) == 0


def test_no_right_to_append_is_no_answer_for_anyone(group, auditor):
    desk = make_desk()
    batches = [judged_of(desk) for _ in range(5)]

    auditor.execute("REVOKE EXECUTE ON FUNCTION audit.append(jsonb) FROM muster_web")
    try:
        told = together(group, batches)
    finally:
        auditor.execute("GRANT EXECUTE ON FUNCTION audit.append(jsonb) TO muster_web")

    assert [type(each) for each in told] == [NotRecorded] * 5
    assert transactions(auditor, ids_of(batches)) == 0
    assert isinstance(group.record(judged_of(desk))[0], Recorded)


def test_a_record_that_stands_still_is_no_answer(group, auditor):
    desk = make_desk()
    batches = [judged_of(desk) for _ in range(3)]

    auditor.execute("BEGIN")
    auditor.execute("LOCK TABLE audit.record IN EXCLUSIVE MODE")
    try:
        told = together(group, batches)
    finally:
        auditor.execute("ROLLBACK")

    assert [type(each) for each in told] == [NotRecorded] * 3
    assert transactions(auditor, ids_of(batches)) == 0


def test_who_waited_too_long_is_not_recorded(group, auditor, monkeypatch):
    desk = make_desk()
    monkeypatch.setattr(group_commit, "LONGEST_WAIT", 0.0)
    batch = judged_of(desk)

    with pytest.raises(NotRecorded):
        group.record(batch)

    assert transactions(auditor, ids_of([batch])) == 0


def test_a_full_queue_refuses_at_once(group, auditor, monkeypatch):
    desk = make_desk()
    monkeypatch.setattr(group_commit, "MAX_WAITING", 3)
    batches, refused = [judged_of(desk) for _ in range(4)], judged_of(desk)

    with ThreadPoolExecutor(3) as pool:
        with held(group, batches[0]) as first:
            waiting = [pool.submit(group.record, batch) for batch in batches[1:]]
            await_queue(group, 3)
            with pytest.raises(NotRecorded):
                group.record(refused)
        told = [each.result() for each in [first, *waiting]]

    assert all(isinstance(each[0], Recorded) for each in told)
    assert transactions(auditor, ids_of([refused])) == 0


def _pid(group):
    return group.recorder._connection.info.backend_pid


def test_a_connection_that_ended_meanwhile_costs_nobody_an_answer(group, login):
    desk = make_desk()
    group.record(judged_of(desk))
    killer = login("muster_web")

    killer.execute("SELECT pg_terminate_backend(%s, 5000)", [_pid(group)])
    (written,) = group.record(judged_of(desk))

    assert isinstance(written, Recorded)


def test_a_connection_cut_within_a_group_fails_all_of_it(group, login, auditor):
    """Killed while the group waits for a lock: nobody hears of a decision, nothing is recorded."""
    desk, killer = make_desk(), login("muster_web")
    group.record(judged_of(desk))
    batches, pid = [judged_of(desk) for _ in range(6)], _pid(group)
    auditor.execute("BEGIN")
    auditor.execute("LOCK TABLE audit.record IN EXCLUSIVE MODE")

    def cut():
        waits = "SELECT 1 FROM pg_stat_activity WHERE pid = %s AND wait_event_type = 'Lock'"
        try:
            while not killer.execute(waits, [pid]).fetchone():
                time.sleep(0.005)
            killer.execute("SELECT pg_terminate_backend(%s, 5000)", [pid])
        finally:
            auditor.execute("ROLLBACK")

    with ThreadPoolExecutor(1) as pool:
        cutting = pool.submit(cut)
        told = together(group, batches)
        cutting.result()

    assert [type(each) for each in told] == [NotRecorded] * 6
    assert transactions(auditor, ids_of(batches)) == 0
    assert isinstance(group.record(judged_of(desk))[0], Recorded)


def test_a_database_that_is_away_is_no_answer_and_comes_back(group):
    desk = make_desk()
    ours = group.recorder
    connect, away = ours._connect, [True]

    async def connecting():
        if away[0]:
            raise psycopg.OperationalError("away")
        return await connect()

    ours._connect = connecting
    with pytest.raises(NotRecorded):
        group.record(judged_of(desk))
    away[0] = False

    assert isinstance(group.record(judged_of(desk))[0], Recorded)


def test_what_nobody_foresaw_is_no_answer_and_stops_nobody(group):
    desk = make_desk()
    ours = group.recorder
    commit = ours._commit

    async def broken(_):
        ours._commit = commit
        raise LookupError

    ours._commit = broken
    with pytest.raises(NotRecorded):
        group.record(judged_of(desk))

    assert isinstance(group.record(judged_of(desk))[0], Recorded)


def test_flush_records_what_waits_and_takes_nothing_more(group, auditor):
    desk = make_desk()
    batches = [judged_of(desk) for _ in range(8)]

    with ThreadPoolExecutor(9) as pool:
        with held(group, []):
            waiting = [pool.submit(group.record, batch) for batch in batches]
            await_queue(group, 8)
            flushing = pool.submit(group.flush, 10)
            await_stop(group)
            with pytest.raises(NotRecorded):
                group.record(judged_of(desk))
        told = [each.result() for each in waiting]
        assert flushing.result() is True

    assert all(isinstance(each[0], Recorded) for each in told)
    assert transactions(auditor, ids_of(batches)) == 1


def test_sixty_four_callers_on_a_loop_each_have_their_record(group, auditor, mark):
    desk = make_desk(agent_fields={"rate_per_minute": 1000, "rate_per_hour": 1000})
    caller = desk.caller
    decide([desk.ask()], caller)
    before = mark()

    async def one():
        def nowhere(_):
            raise AssertionError("Everything is held: no thread is needed.")

        found = []
        for _ in range(5):
            work = deciding.deciding([desk.ask()] * 2, caller)
            found += await run_on_loop(work, group.recorder.record, nowhere)
        return found

    async def all_of_them():
        return await asyncio.gather(*(one() for _ in range(64)))

    answers = [each for found in group.do(all_of_them()) for each in found]

    ids = [str(each.id) for each in answers]
    assert len(set(ids)) == 64 * 5 * 2
    assert all(each.allowed for each in answers)
    assert transactions(auditor, ids) < 64 * 5  # else nothing was grouped
    assert len(mark() - before) == len(ids)


def test_what_is_not_held_is_looked_up_in_a_thread(group):
    desk = make_desk()
    caller, threads = desk.caller, []

    async def in_thread(function):
        threads.append(function)
        return await asyncio.to_thread(closing, function)

    def closing(function):
        try:
            return function()
        finally:
            connection.close()

    async def twice():
        first = await run_on_loop(
            deciding.deciding([desk.ask()], caller), group.recorder.record, in_thread
        )
        second = await run_on_loop(
            deciding.deciding([desk.ask()], caller), group.recorder.record, in_thread
        )
        return first + second

    answers = group.do(twice())

    assert [each.allowed for each in answers] == [True, True]
    assert len(threads) == 1


def test_on_a_loop_a_failure_is_no_answer(group, auditor):
    desk = make_desk()
    caller = desk.caller
    decide([desk.ask()], caller)

    async def one():
        try:
            return await run_on_loop(
                deciding.deciding([desk.ask()], caller), group.recorder.record, asyncio.to_thread
            )
        except NotRecorded as error:
            return error

    async def some():
        return await asyncio.gather(*(one() for _ in range(4)))

    auditor.execute("REVOKE EXECUTE ON FUNCTION audit.append(jsonb) FROM muster_web")
    try:
        told = group.do(some())
    finally:
        auditor.execute("GRANT EXECUTE ON FUNCTION audit.append(jsonb) TO muster_web")

    assert [type(each) for each in told] == [NotRecorded] * 4


def test_a_caller_that_left_does_not_stop_the_others(group, auditor):
    desk = make_desk()
    left, stayed = judged_of(desk), judged_of(desk)

    async def leave():
        task = asyncio.ensure_future(group.recorder.record(left))
        await asyncio.sleep(0)
        task.cancel()

    with ThreadPoolExecutor(1) as pool:
        with held(group, []):
            group.do(leave())
            staying = pool.submit(group.record, stayed)
            await_queue(group, 2)
        told = staying.result()

    assert [str(one.id) for one in told] == ids_of([stayed])
    # Whoever left is told nothing; what was asked in time stands on the record all the same.
    assert transactions(auditor, ids_of([left, stayed])) == 1


def test_decide_refuses_another_transaction():
    desk = make_desk()

    with pytest.raises(RuntimeError), transaction.atomic():
        decide([desk.ask()], desk.caller)
