"""A file of people over REST: by the services of the pages, refused in the shape of problems."""

from typing import Any

import pytest
from django.test import Client

from governance.kernel import clock
from lifecycle.models import PeopleImport
from lifecycle.people import reading, sweep
from registry import services
from registry.enums import GroupName
from registry.models import Person
from tests.factories.registry import make_person

pytestmark = pytest.mark.django_db
AT, PROBLEM = "/api/v1/people/imports", "application/problem+json"
HR = "id,email,name\n1,ada@example.org,Ada\n2,no address,Bob\n"


@pytest.fixture(autouse=True)
def _without_second_factor(settings) -> None:
    settings.MUSTER_APPROVER_MFA = False


def api(*groups: str) -> Client:
    client = Client()
    client.force_login(make_person(*groups))
    return client


@pytest.fixture
def admin() -> Client:
    return api(GroupName.PLATFORM_ADMIN)


def send(client: Client, text: str | bytes = HR, source: str = "hr", kind: str = "text/csv") -> Any:
    body = text.encode() if isinstance(text, str) else text
    return client.post(f"{AT}?source={source}", body, content_type=kind, secure=True)


def apply(client: Client, made: Any, **how: Any) -> Any:
    place = f"{AT}/{made.json()['id']}/apply"
    return client.post(place, how, content_type="application/json", secure=True)


def test_a_file_is_looked_at_applied_and_told(admin: Client) -> None:
    made = send(admin, kind="text/csv; charset=utf-8")
    place = f"{AT}/{made.json()['id']}"
    before = Person.objects.filter(email="ada@example.org").exists()
    begun = apply(admin, made)
    now = clock.now()
    for key in sweep.due(now):
        sweep.handle(key, now)
    done = admin.get(place, secure=True).json()
    wrong = admin.get(f"{place}/rows", {"kind": "wrong"}, secure=True).json()

    assert (made.status_code, begun.status_code, before) == (201, 202, False)
    assert [(row["kind"], row["who"]) for row in made.json()["rows"]] == [
        ("wrong", "Bob"),
        ("joins", "Ada"),
    ]
    assert made.json()["rows"][1]["changes"] == [
        {"field": "name", "before": "", "after": "Ada"},
        {"field": "email", "before": "", "after": "ada@example.org"},
    ]
    assert (made.json()["open"], begun.json()["state"], done["state"]) == (True, "applying", "done")
    assert done["rows"][1]["person"] == Person.objects.get(email="ada@example.org").pid
    assert [row["line"] for row in wrong["results"]] == [3]
    assert admin.get(AT, secure=True).json()["count"] == 1


@pytest.mark.parametrize(
    ("text", "source", "kind", "told"),
    [
        ("name\nAda\n", "hr", "text/csv", (400, "bad_file")),
        (b"\xff\xfe", "hr", "text/csv", (400, "bad_file")),
        (b"", "hr", "text/csv", (400, "bad_file")),
        (b"a" * (reading.MAX_BYTES + 1), "hr", "text/csv", (400, "bad_file")),
        (HR, "No Slug", "text/csv", (400, "invalid")),
        (HR, "hr", "application/json", (415, "unsupported_media_type")),
    ],
)
def test_what_is_no_list_of_people_is_a_problem(
    admin: Client, text: str | bytes, source: str, kind: str, told: tuple[int, str]
) -> None:
    answer = send(admin, text, source, kind)

    assert (answer.status_code, answer.json()["code"]) == told
    assert answer.headers["Content-Type"] == PROBLEM
    assert not PeopleImport.objects.exists()


def test_what_does_not_hold_any_more_is_shown_anew(admin: Client) -> None:
    made = send(admin)
    services.create_person(
        email="ada@example.org", name="Ada B.", by=make_person(GroupName.SECURITY)
    )

    refused = apply(admin, made)
    again = admin.get(f"{AT}/{made.json()['id']}", secure=True).json()

    assert (refused.status_code, refused.json()["code"]) == (409, "import_outdated")
    assert [row["kind"] for row in again["rows"]] == ["wrong", "changes"]
    assert apply(admin, made).status_code == 202


def test_many_leavers_are_said_in_a_number(admin: Client) -> None:
    names = [f"p{number}@example.org" for number in range(4)]
    for name in names:
        make_person(email=name)
    made = send(admin, "email,status\n" + "".join(f"{name},left\n" for name in names))

    answers = [apply(admin, made), apply(admin, made, leavers=3), apply(admin, made, leavers=4)]

    assert made.json()["leavers"] == 4
    assert [each.status_code for each in answers] == [400, 400, 202]
    assert answers[0].json()["code"] == "many_leavers"


@pytest.mark.parametrize("group", [None, GroupName.AUDITOR, GroupName.DPO])
def test_only_who_may_change_people_sees_or_does_anything(
    admin: Client, group: GroupName | None
) -> None:
    made = send(admin)
    other = api(*([group] if group else []))
    place = f"{AT}/{made.json()['id']}"

    answers = [
        send(other),
        other.get(AT, secure=True),
        other.get(place, secure=True),
        other.get(f"{place}/rows", secure=True),
        apply(other, made),
    ]

    assert [each.status_code for each in answers] == [403] * 5
    assert Client().get(AT, secure=True).status_code == 401
    assert PeopleImport.objects.get().state == "preview"
