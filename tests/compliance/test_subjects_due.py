"""A request of a data subject whose answer is due: told in time, once each, and seen everywhere."""

from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from django.test import Client

from compliance.enums import RequestState as State
from compliance.models import SubjectRequest
from compliance.subjects import rules, waiting
from compliance.subjects import services as subjects
from compliance.subjects.sweep import SWEEP
from governance.kernel import clock
from governance.kernel.errors import NotFound
from lifecycle.due.selectors import Wanted, due_for
from lifecycle.inbox.entries import queue_of
from lifecycle.inbox.showing import shown
from lifecycle.models import Notice
from registry.enums import GroupName
from registry.models import Person
from tests.factories.registry import make_person

RECEIVED = date(2026, 10, 15)
DUE = date(2026, 11, 16)  # the 15th is a Sunday


def request_of(by: Person, kind: str = "access", received: date = RECEIVED) -> SubjectRequest:
    return subjects.open_request(
        kind=kind, subject=make_person().pid, received=received, reference="DSR-7", by=by
    )


def at(day: date, hour: int = 8) -> datetime:
    return datetime(day.year, day.month, day.day, hour, tzinfo=UTC)


def swept(day: date) -> list[str]:
    """What the sweep tells on that day, looked at twice: nothing is told twice."""
    before = set(Notice.objects.values_list("pk", flat=True))
    for key in SWEEP.due(at(day)):
        assert SWEEP.handle(key, at(day))
        assert not SWEEP.handle(key, at(day))
    assert SWEEP.due(at(day)) == []
    new = Notice.objects.exclude(pk__in=before).order_by("person__name")
    return [f"{each.code} {each.person.name}" for each in new]


@pytest.mark.parametrize(
    ("days", "told"),
    [(-30, None), (-8, None), (-7, -7), (-1, -7), (0, 0), (6, 0), (7, 7), (13, 7), (14, 14)],
)
def test_the_newest_of_its_days(days: int, told: int | None) -> None:
    assert rules.notice_day(DUE, DUE + timedelta(days=days)) == told


@pytest.mark.django_db
def test_the_dpo_is_told_a_week_before_on_the_day_and_each_week_from_then_on() -> None:
    dpo = make_person(GroupName.DPO, name="Dora")
    make_person(GroupName.SECURITY, name="Sam")
    request = request_of(dpo)

    told = {
        days: swept(DUE + timedelta(days=days)) for days in (-8, -7, -3, 0, 1, 6, 7, 13, 14, 21)
    }

    assert {days: each for days, each in told.items() if each} == {
        -7: ["subject.near Dora"],
        0: ["subject.today Dora"],
        7: ["subject.overdue Dora"],
        14: ["subject.overdue Dora"],
        21: ["subject.overdue Dora"],
    }
    said = Notice.objects.filter(person=dpo).latest("made_at")
    assert (said.severity, said.path) == ("page", f"/subjects/{request.pk}/")
    assert not [each for each in Notice.objects.all() if request.subject in each.text]


@pytest.mark.django_db
def test_a_sweep_that_comes_late_says_what_is_true_by_then() -> None:
    request_of(make_person(GroupName.DPO, name="Dora"))

    assert swept(DUE + timedelta(days=2)) == ["subject.overdue Dora"]
    assert swept(DUE + timedelta(days=3)) == []


@pytest.mark.django_db
def test_security_is_told_where_nobody_is_the_dpo_and_an_extension_begins_anew() -> None:
    sam = make_person(GroupName.SECURITY, name="Sam")
    request = request_of(sam, received=clock.now().date())
    first = request.due_at.date()
    assert swept(first - timedelta(days=5)) == ["subject.near Sam"]

    extended = subjects.extend_request(request_id=request.pk, months=2, why="Many.", by=sam)

    assert swept(first) == []
    assert swept(extended.due_at.date() - timedelta(days=5)) == ["subject.near Sam"]


@pytest.mark.django_db
def test_nobody_is_told_of_what_is_answered_asked_or_kept_by_a_hold_alone() -> None:
    dpo = make_person(GroupName.DPO)
    answered, held = request_of(dpo), request_of(dpo, "erasure")
    subjects.close_request(request_id=answered.pk, refused=False, why="Sent.", by=dpo)
    change = subjects.ask_erasure(request_id=held.pk, by=dpo)

    assert queue_of(dpo).mine == []
    assert [each.key for each in queue_of(dpo).others] == [f"change:{change.pk}"]
    SubjectRequest.objects.filter(pk=held.pk).update(
        state=State.HELD,
        asked_by=dpo,
        agreed_by=make_person(GroupName.DPO),
        agreed_at=clock.now(),
    )
    assert waiting.to_tell(at(DUE)) == []
    assert queue_of(dpo).mine == []
    assert [row.due.kind for row in due_for(dpo, Wanted(kind="subject"), at(DUE))] == []


@pytest.mark.django_db
def test_it_stands_in_the_inbox_on_the_due_page_and_on_the_overview(
    client: Client, settings: Any
) -> None:
    settings.MUSTER_APPROVER_MFA = False
    dpo, stranger = make_person(GroupName.DPO), make_person()
    request = request_of(make_person(GroupName.SECURITY), received=date(2026, 1, 5))

    entry = queue_of(dpo).mine[0]
    found = due_for(dpo, Wanted(), clock.now())
    client.force_login(dpo)
    inbox = client.get("/inbox/", {"item": entry.key}).content.decode()
    due = client.get("/due/", {"kind": "subject", "within": 0}).content.decode()
    overview = client.get("/overview/").content.decode()

    assert (entry.key, entry.expires_at) == (f"subject:{request.pk}", request.due_at)
    assert [(row.due.kind, row.late, row.owner) for row in found] == [
        ("subject", True, request.opened_by)
    ]
    page = f'href="/subjects/{request.pk}/"'
    assert [page in inbox, page in due, "/due/?kind=subject&amp;within=0" in overview] == [True] * 3
    assert (queue_of(stranger).mine, due_for(stranger, Wanted(), clock.now())) == ([], [])
    with pytest.raises(NotFound):
        shown(entry, stranger)
