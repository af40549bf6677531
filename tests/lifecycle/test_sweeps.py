"""Sweeps: at once, killed, missed for days, and what tells that none comes through."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.db import connection
from django.db.models import F
from django.db.models.functions import Now
from django.test import Client

from authz.decide import decide
from authz.models import Counter, Hold, Preview, Reservation
from governance.kernel import clock
from lifecycle import sweeps
from lifecycle.models import Delivery, SweepRun
from lifecycle.notices import Severity, notify
from lifecycle.sweeps import registry
from registry.enums import GroupName
from tests.factories.authz import age, make_desk
from tests.factories.registry import make_person
from tests.lifecycle.processes import in_child

DUE = 3
DAYS = timedelta(days=3)
Kept = Callable[[], Any]


@pytest.fixture(autouse=True)
def _no_second_factor(settings: Any) -> None:
    settings.MUSTER_APPROVER_MFA = False


@pytest.fixture
def mails(settings: Any, tmp_path: Path) -> Path:
    settings.EMAIL_FILE_PATH = tmp_path / "mail"
    return tmp_path / "mail"


def _notices_due() -> Kept:
    """Three notices that are due, and what they come to once they are sent."""
    for number in range(DUE):
        person = make_person()
        notify(
            person=person,
            severity=Severity.INFO,
            code="agent.resumed",
            context={"agent": f"agent-{number}", "by": "Someone"},
        )
    folder = Path(settings.EMAIL_FILE_PATH)
    return lambda: (
        sorted(Delivery.objects.values_list("state", flat=True)),
        len(list(folder.glob("*.eml"))),
    )


def _previews_due() -> Kept:
    """Three previews that are too old."""
    person, now = make_person(), clock.now()
    for number in range(DUE):
        Preview.objects.create(by=person, change={}, summary=f"{number}", days=1, most=1, until=now)
    Preview.objects.update(at=now - timedelta(days=settings.MUSTER_PREVIEW_DAYS + 1))
    return Preview.objects.count


def _holds_due() -> Kept:
    """Three actions for whose answer the time is over."""
    desk = make_desk(
        tool_fields={"gates": {"amount": {"above": 1, "currency": "EUR"}}, "effect": "financial"}
    )
    for number in range(DUE):
        decide([desk.ask(parameters={"claim": f"CL-{number}", "amount": 500})], desk.caller)
    for hold in Hold.objects.all():
        age(hold)
    return lambda: sorted(Hold.objects.values_list("state", flat=True))


def _reservations_due() -> Kept:
    """Three calls of which nobody said in time what they have cost."""
    desk = make_desk(tool_fields={"cost_minor": 100})
    for _ in range(DUE):
        decide([desk.ask()], desk.caller)
    Reservation.objects.update(due_at=clock.now() - DAYS)
    spent = Counter.objects.filter(key=f"agent:{desk.agent.slug}")
    return lambda: (
        sorted(Reservation.objects.values_list("ended", "cost_minor")),
        spent.get().day_spent,
    )


MAKE_DUE = {
    "notices": _notices_due,
    "previews": _previews_due,
    "holds": _holds_due,
    "reservations": _reservations_due,
}
BEFORE = {
    "notices": (["waiting"] * DUE, 0),
    "previews": DUE,
    "holds": ["open"] * DUE,
    "reservations": ([("", None)] * DUE, 100 * DUE),
}
AFTER = {
    "notices": (["sent"] * DUE, DUE),
    "previews": 0,
    "holds": ["expired"] * DUE,
    "reservations": ([("timed_out", 100)] * DUE, 100 * DUE),
}
# What the record says of each; a time-out of money is in the row alone.
TOLD = {
    "notices": ("system", "notice_sent"),
    "previews": ("system", "preview_forgotten"),
    "holds": ("hold", "hold_expired"),
}


def told(records_after: Any, marked: Any, name: str) -> int:
    """How often the record says that a row was handled."""
    kind, did = TOLD[name]
    wanted = f'"did":"{did}"'.encode()
    return sum(wanted in bytes(record["body"]) for record in records_after(marked, kind=kind))


def check_told(records_after: Any, marked: Any, name: str, times: int) -> None:
    if name in TOLD:
        assert told(records_after, marked, name) == times


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
@pytest.mark.parametrize("name", MAKE_DUE)
@pytest.mark.parametrize("times", [0, 1, 2, 5])
def test_run_any_number_of_times_at_once_it_is_done_once(
    mails: Path, mark: Any, records_after: Any, name: str, times: int
) -> None:
    kept, marked = MAKE_DUE[name](), mark()

    at_once(name, times)

    assert kept() == (AFTER if times else BEFORE)[name]
    check_told(records_after, marked, name, DUE if times else 0)
    # A second round finds nothing to do.
    at_once(name, times)
    check_told(records_after, marked, name, DUE if times else 0)


FAULTS = {
    "notices": [
        {"after": "lifecycle.sweeps.run._claim"},
        {"before": "lifecycle.notices.services._send"},
        {"before": "lifecycle.notices.mail._write"},
        {"after": "lifecycle.notices.mail._write"},
        {"after": "lifecycle.notices.services._sent"},
        {"after": "lifecycle.sweeps.run._handle_one"},
        {"before": "lifecycle.sweeps.run._end"},
        {"after": "lifecycle.sweeps.run._end"},
    ],
    "previews": [
        {"after": "lifecycle.sweeps.run._claim"},
        {"before": "audit.services.record"},
        {"after": "audit.services.record"},
        {"after": "lifecycle.sweeps.run._handle_one"},
        {"before": "lifecycle.sweeps.run._end"},
    ],
    "holds": [
        {"after": "lifecycle.sweeps.run._claim"},
        {"before": "audit.services.record"},
        {"after": "audit.services.record"},
        {"after": "authz.services.holds.expire_hold"},
        {"after": "lifecycle.sweeps.run._handle_one"},
        {"before": "lifecycle.sweeps.run._end"},
    ],
    "reservations": [
        {"after": "lifecycle.sweeps.run._claim"},
        {"before": "authz.services.spending.time_out_reservation"},
        {"after": "authz.services.spending.time_out_reservation"},
        {"after": "lifecycle.sweeps.run._handle_one"},
        {"before": "lifecycle.sweeps.run._end"},
    ],
}


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(
    ("name", "fault"),
    [(name, fault) for name, faults in FAULTS.items() for fault in faults],
    ids=lambda value: value if isinstance(value, str) else "-".join(*value.items()),
)
def test_killed_anywhere_the_next_run_ends_the_same(
    mails: Path, mark: Any, records_after: Any, name: str, fault: dict[str, str]
) -> None:
    kept, marked = MAKE_DUE[name](), mark()

    ended_by = in_child(lambda: sweeps.run_sweep(name), **fault)
    pass_silence()
    sweeps.run_sweep(name)

    assert ended_by == 9
    assert kept() == AFTER[name]
    check_told(records_after, marked, name, DUE)
    assert not SweepRun.objects.filter(ended_at__isnull=True).exists()


@pytest.mark.django_db(transaction=True)
def test_after_three_days_without_a_run_all_is_made_up_with_its_true_due_time(
    mails: Path, mark: Any, records_after: Any
) -> None:
    kept, marked = _notices_due(), mark()
    Delivery.objects.update(next_try_at=F("next_try_at") - DAYS)
    due = sorted(
        each.isoformat() for each in Delivery.objects.values_list("next_try_at", flat=True)
    )

    sweeps.run_sweep("notices")

    bodies = [bytes(record["body"]).decode() for record in records_after(marked, kind="system")]
    assert kept() == AFTER["notices"]
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


@pytest.mark.django_db
def test_a_row_that_fails_undoes_what_it_did(settings: Any) -> None:
    def handle(key: Any, now: Any) -> bool:
        make_person(email="half@example.org")
        raise ValueError

    settings.MUSTER_SWEEPS = {**settings.MUSTER_SWEEPS, "half": 60.0}
    registry.register(registry.Sweep("half", "Half.", lambda now: [1], handle))
    sweeps.run_sweep("half")
    del registry._sweeps["half"]

    from registry.models import Person

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
    assert dead.failure == "It ended without a word: its worker was stopped."


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
