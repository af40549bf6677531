"""Sweeps: at once, killed, missed for days, and what tells that none comes through."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from celery.beat import ScheduleEntry
from django.conf import settings
from django.db import IntegrityError, OperationalError, connection, transaction
from django.db.models import F
from django.db.models.functions import Now
from django.test import Client

from audit.tasks import make_next_partition
from governance.celery import app, begin_soon, heartbeat, note_done
from governance.kernel import clock
from lifecycle import sweeps, tasks
from lifecycle.models import Delivery, Notice, SweepRun
from lifecycle.sweeps import registry
from lifecycle.sweeps import run as run_module
from registry.enums import GroupName
from registry.models import Person
from tests.factories.registry import make_person
from tests.lifecycle.processes import in_child
from tests.lifecycle.sweep_worlds import DUE, WITHOUT, WORLDS, World, days_pass

DAYS = timedelta(days=3)


@pytest.fixture(autouse=True)
def _no_second_factor(settings: Any) -> None:
    settings.MUSTER_APPROVER_MFA = False


@pytest.fixture
def mails(settings: Any, tmp_path: Path) -> Path:
    settings.EMAIL_FILE_PATH = tmp_path / "mail"
    return tmp_path / "mail"


def told(records_after: Any, marked: Any, kind: str, did: str) -> int:
    """How often the record says that a row was handled."""
    wanted = f'"did":"{did}"'.encode()
    return sum(wanted in bytes(record["body"]) for record in records_after(marked, kind=kind))


def check_told(records_after: Any, marked: Any, world: World, *, done: bool = True) -> None:
    if world.told:
        kind, did, times = world.told
        assert told(records_after, marked, kind, did) == (times if done else 0)


def at_once(name: str, times: int) -> None:
    barrier = threading.Barrier(times or 1)

    def run() -> None:
        barrier.wait()
        try:
            sweeps.run_sweep(name)
        finally:
            connection.close()

    threads = [threading.Thread(target=run) for _ in range(times)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()


def pass_silence() -> None:
    """Let the time pass after which a run counts as dead."""
    SweepRun.objects.filter(ended_at__isnull=True).update(
        heard_at=F("heard_at") - timedelta(minutes=5),
        started_at=F("started_at") - timedelta(minutes=5),
    )


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("name", WORLDS)
def test_run_any_number_of_times_at_once_it_is_done_once(
    mails: Path, mark: Any, records_after: Any, name: str
) -> None:
    world, name = WORLDS[name], name.partition("/")[0]
    # Not at all and then once, two and five times at once.
    for times in (0, 2, 5):
        kept, marked = world.make(), mark()
        before = kept()

        at_once(name, times)

        assert kept() == (world.after if times else before), times
        assert before != world.after
        check_told(records_after, marked, world, done=bool(times))
        # Another round finds nothing to do; where there was none yet, it does all.
        at_once(name, 1)
        assert kept() == world.after
        check_told(records_after, marked, world)


@pytest.mark.kill
@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("name", [name for name, world in WORLDS.items() if world.faults])
def test_killed_anywhere_the_next_run_ends_the_same(
    mails: Path, mark: Any, records_after: Any, name: str
) -> None:
    world, name = WORLDS[name], name.partition("/")[0]
    for fault in world.faults:
        kept, marked = world.make(), mark()

        ended_by = in_child(lambda: sweeps.run_sweep(name), **fault)
        pass_silence()
        world.later()
        sweeps.run_sweep(name)

        assert (ended_by, kept()) == (9, world.after), fault
        check_told(records_after, marked, world)
        assert not SweepRun.objects.filter(ended_at__isnull=True).exists(), fault


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=pytest.mark.django_db(transaction=world.commits))
        for name, world in WORLDS.items()
    ],
)
def test_after_three_days_without_a_run_it_comes_to_the_same(
    mails: Path, mark: Any, records_after: Any, name: str
) -> None:
    world, name = WORLDS[name], name.partition("/")[0]
    kept, marked = world.make(), mark()

    days_pass(DAYS)
    runs = [sweeps.run_sweep(name) for _ in range(2)]

    assert [run.failed for run in runs if run] == [0, 0]
    assert kept() == (world.after if world.days_later is None else world.days_later)
    check_told(records_after, marked, world)


def test_every_sweep_has_a_world_or_says_where_it_is_tested() -> None:
    names = {each.name for each in sweeps.registered()}

    assert names - {each.partition("/")[0] for each in WORLDS} == WITHOUT.keys()


@pytest.mark.django_db
def test_after_three_days_without_a_run_all_is_made_up_with_its_true_due_time(
    mails: Path, mark: Any, records_after: Any
) -> None:
    kept, marked = WORLDS["notices"].make(), mark()
    Delivery.objects.update(next_try_at=F("next_try_at") - DAYS)
    due = sorted(
        each.isoformat() for each in Delivery.objects.values_list("next_try_at", flat=True)
    )

    sweeps.run_sweep("notices")

    bodies = [bytes(record["body"]).decode() for record in records_after(marked, kind="system")]
    assert kept() == WORLDS["notices"].after
    assert [sum(each in body for body in bodies) for each in due] == [1] * DUE


@pytest.fixture
def broken(settings: Any) -> Iterator[registry.Sweep]:
    """A sweep over 1, 2, 3 whose 2 always fails."""
    handled: list[int] = []

    def handle(key: Any, now: Any) -> bool:
        if key == 2:
            raise ValueError("AKIA" + "Z" * 16)
        handled.append(key)
        return True

    settings.MUSTER_SWEEPS = {**settings.MUSTER_SWEEPS, "broken": 60.0}
    sweep = registry.Sweep("broken", "Fails.", lambda now: [1, 2, 3], handle)
    registry.register(sweep)
    yield sweep
    del registry._sweeps["broken"]


@pytest.mark.django_db
def test_one_bad_row_keeps_no_other_waiting(broken: registry.Sweep) -> None:
    run = sweeps.run_sweep("broken")

    assert run is not None
    assert (run.done, run.failed, run.left, run.failure) == (2, 1, 0, "2: ValueError")


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("where", ["due", "handle"])
def test_a_run_that_lost_its_database_is_closed_and_counts_as_late(
    broken: registry.Sweep, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    connect, away = connection.connect, [OperationalError()] * 3

    def connect_later() -> None:
        if away:
            raise away.pop()
        connect()

    def lose(*_: Any) -> None:
        connection.connection.close()
        monkeypatch.setattr(connection, "connect", connect_later)
        Person.objects.exists()

    monkeypatch.setattr(run_module, "ASK_AGAIN_SECONDS", 0.0)
    for each in sweeps.registered():
        if each is not broken:
            sweeps.run_sweep(each.name)
    SweepRun.objects.update(started_at=Now() - timedelta(minutes=3))
    registry._sweeps["broken"] = replace(broken, **{where: lose})
    with pytest.raises(OperationalError):
        sweeps.run_sweep("broken")
    lost = SweepRun.objects.get(sweep="broken")
    late = [each.sweep.name for each in sweeps.late_sweeps()]
    registry._sweeps["broken"] = replace(broken, due=lambda now: [])
    again = sweeps.run_sweep("broken")

    assert (lost.ending, lost.failure) == ("stopped", "stopped by OperationalError")
    assert late == ["broken"]
    assert again is not None
    assert (again.ending, again.failure) == ("through", "")


@pytest.mark.django_db
def test_a_row_that_fails_undoes_what_it_did(settings: Any) -> None:
    def handle(key: Any, now: Any) -> bool:
        make_person(email="half@example.org")
        raise ValueError

    settings.MUSTER_SWEEPS = {**settings.MUSTER_SWEEPS, "half": 60.0}
    registry.register(registry.Sweep("half", "Half.", lambda now: [1], handle))
    sweeps.run_sweep("half")
    del registry._sweeps["half"]

    assert not Person.objects.filter(email="half@example.org").exists()


@pytest.mark.django_db
def test_a_run_under_way_keeps_others_out_until_it_is_silent() -> None:
    at = clock.now()
    SweepRun.objects.create(sweep="runs", started_at=at, heard_at=at)

    first = sweeps.run_sweep("runs")
    pass_silence()
    second = sweeps.run_sweep("runs")

    assert first is None
    assert second is not None
    dead = SweepRun.objects.exclude(pk=second.pk).get()
    assert (dead.ending, dead.failure) == (
        "silent",
        "It ended without a word: its worker was stopped.",
    )


@pytest.mark.django_db
def test_a_run_that_ended_says_how_and_no_words_for_people_are_read() -> None:
    for each in sweeps.registered():
        sweeps.run_sweep(each.name)
    SweepRun.objects.filter(sweep="notices").update(failure="stopped by hand, and went on")

    assert sweeps.late_sweeps() == []
    for wrong in ({"ending": ""}, {"ended_at": None}):
        with pytest.raises(IntegrityError), transaction.atomic():
            SweepRun.objects.filter(sweep="notices").update(**wrong)


@pytest.mark.django_db
def test_of_runs_without_work_the_log_keeps_the_newest() -> None:
    runs = [sweeps.run_sweep("runs") for _ in range(4)]

    assert runs[-1] is not None
    assert list(SweepRun.objects.values_list("pk", flat=True)) == [runs[-1].pk]


@pytest.mark.django_db
def test_a_sweep_that_does_not_come_through_is_late_after_two_intervals() -> None:
    never = {each.sweep.name for each in sweeps.late_sweeps()}
    for each in sweeps.registered():
        sweeps.run_sweep(each.name)
    fresh = sweeps.late_sweeps()
    every = sweeps.find("notices").every
    for ago, expected in ((every, []), (2 * every + timedelta(seconds=60), ["notices"])):
        SweepRun.objects.filter(sweep="notices").update(
            started_at=Now() - ago, ended_at=Now() - ago
        )
        assert [late.sweep.name for late in sweeps.late_sweeps()] == expected

    assert never == set(settings.MUSTER_SWEEPS)
    assert fresh == []


@pytest.mark.django_db
def test_readiness_and_the_page_turn_red_when_sweeps_stop(client: Client) -> None:
    client.force_login(make_person(GroupName.SECURITY))
    for each in sweeps.registered():
        sweeps.run_sweep(each.name)
    good = client.get("/readyz").json()["checks"]["sweeps"]
    SweepRun.objects.filter(sweep="notices").update(
        started_at=Now() - timedelta(hours=1), ended_at=Now() - timedelta(hours=1)
    )

    bad = client.get("/readyz").json()["checks"]["sweeps"]
    page = client.get("/sweeps/").content.decode()

    assert good == "ok"
    assert bad == "The sweep notices last ended 3600 s ago."
    assert "One sweep does not come through" in page


@pytest.mark.django_db
def test_a_worker_that_is_gone_is_told_of_everywhere_and_paged_once_it_is_back(
    client: Client,
) -> None:
    admin = make_person(GroupName.PLATFORM_ADMIN)
    client.force_login(admin)
    for each in sweeps.registered():
        sweeps.run_sweep(each.name)
    before = client.get("/").content.decode()
    gone = Now() - timedelta(days=3)
    SweepRun.objects.update(started_at=gone, heard_at=gone, ended_at=gone)

    ready, home = client.get("/readyz"), client.get("/").content.decode()
    for _ in range(3):
        sweeps.run_sweep("watch")

    assert "is not done" not in before
    assert ready.status_code == 503
    assert "What falls due with time is not done" in home
    (page,) = Notice.objects.filter(person=admin, code="sweep.late")
    assert (page.severity, page.path) == ("page", "/sweeps/")
    assert page.subject.endswith("sweeps do not come through")


@pytest.mark.django_db
def test_what_was_lost_at_its_moment_is_set_off_again(monkeypatch: pytest.MonkeyPatch) -> None:
    began, set_off = Now() - timedelta(minutes=2), []
    monkeypatch.setattr(tasks.sweep, "apply_async", lambda args, expires: set_off.append(*args))
    for each in sweeps.registered():
        sweeps.run_sweep(each.name)
    SweepRun.objects.filter(sweep="counted").delete()
    SweepRun.objects.filter(sweep="runs").update(started_at=began)

    sweeps.run_sweep("watch")
    lost = list(set_off)
    sweeps.run_sweep("counted")
    sweeps.run_sweep("watch")

    assert (lost, set_off) == (["counted"], ["counted"])


@pytest.mark.django_db
def test_nobody_is_alarmed_when_an_installation_begins() -> None:
    before = sweeps.late_sweeps()
    sweeps.run_sweep("runs")
    begun = (sweeps.late_sweeps(), sweeps.overdue_sweeps())
    for ago, late in ((40, False), (61, True)):
        at = Now() - timedelta(seconds=ago)
        SweepRun.objects.update(started_at=at, heard_at=at, ended_at=at)
        found = {each.sweep.name for each in sweeps.late_sweeps()}
        others = {each.name for each in sweeps.registered()} - {"runs"}
        assert found == (others if late else {n for n in others if ready_within(n, 10)})

    assert len(before) == len(settings.MUSTER_SWEEPS)
    assert begun == ([], [])


def ready_within(name: str, seconds: int) -> bool:
    return sweeps.find(name).begins_after < timedelta(seconds=seconds)


def test_sweeps_begin_one_after_the_other_and_each_within_half_its_interval(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    beats: list[str] = []
    monkeypatch.setattr(heartbeat, "delay", lambda: beats.append("beat"))
    made = settings.CELERY_BEAT_SCHEDULE.items()
    schedule = {name: ScheduleEntry(name=name, app=app, **entry) for name, entry in made}

    begin_soon(SimpleNamespace(scheduler=SimpleNamespace(schedule=schedule)))

    waits = {
        entry.args[0]: timedelta(seconds=entry.is_due().next)
        for entry in schedule.values()
        if entry.task == "lifecycle.sweep"
    }
    sooner = [name for name, wait in waits.items() if wait > sweeps.find(name).every / 2]
    seconds = Counter(int(wait.total_seconds()) for wait in waits.values())
    assert beats == ["beat"]
    assert waits.keys() == settings.MUSTER_SWEEPS.keys()
    assert sooner == []
    assert max(waits.values()) <= timedelta(seconds=30)
    assert max(seconds.values()) <= len(waits) / 4


@pytest.mark.django_db
def test_what_a_run_left_for_want_of_time_does_not_wait_for_the_next(
    broken: registry.Sweep, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run_module, "MOST_SECONDS", 0.0)
    asked: list[str] = []
    monkeypatch.setattr(tasks, "set_off", asked.append)

    tasks.sweep("broken")
    monkeypatch.setattr(run_module, "MOST_SECONDS", 300.0)
    tasks.sweep("broken")

    assert asked == ["broken"]


@pytest.mark.django_db
def test_a_sweep_is_run_before_its_time(client: Client, mark: Any, records_after: Any) -> None:
    client.force_login(make_person(GroupName.PLATFORM_ADMIN))
    marked = mark()

    done = client.post("/sweeps/runs/run/")
    over_rest = client.post("/api/v1/sweeps/runs/run")
    unknown = client.post("/api/v1/sweeps/nothing/run")
    listed = client.get("/api/v1/sweeps").json()

    assert (done.status_code, over_rest.status_code, unknown.status_code) == (302, 202, 404)
    assert told(records_after, marked, "system", "sweep_set_off") == 2
    assert [each["name"] for each in listed] == sorted(settings.MUSTER_SWEEPS)


@pytest.mark.django_db
def test_only_who_operates_muster_sets_a_sweep_off(client: Client, mark: Any) -> None:
    client.force_login(make_person())

    assert client.post("/sweeps/runs/run/").status_code == 403
    assert client.post("/api/v1/sweeps/runs/run").status_code == 403


@pytest.mark.django_db
def test_the_page_shows_other_periodic_work_and_when_it_was_done(client: Client) -> None:
    client.force_login(make_person(GroupName.PLATFORM_ADMIN))
    note_done(sender=make_next_partition)

    jobs = client.get("/sweeps/").context["jobs"]

    assert [(each.name, each.at is not None, each.late) for each in jobs] == [
        ("heartbeat", False, False),
        ("missed-sweeps", False, False),
        ("next-partition", True, False),
    ]


def test_every_sweep_stands_in_the_schedule() -> None:
    scheduled = {
        entry["args"][0]: entry["schedule"]
        for entry in settings.CELERY_BEAT_SCHEDULE.values()
        if entry["task"] == "lifecycle.sweep"
    }

    assert scheduled == settings.MUSTER_SWEEPS
    assert [each.name for each in sweeps.registered()] == sorted(settings.MUSTER_SWEEPS)


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("group", "status"),
    [("security", 200), ("platform_admin", 200), ("dpo", 403), ("auditor", 403), ("", 403)],
)
def test_who_sees_the_sweeps(client: Client, group: str, status: int) -> None:
    client.force_login(make_person(*([GroupName(group)] if group else [])))

    assert client.get("/sweeps/").status_code == status
