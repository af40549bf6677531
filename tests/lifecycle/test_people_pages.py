"""The pages of people: what follows is shown before, and what came of it after."""

import csv
import io
from datetime import timedelta

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.urls import reverse

from governance.kernel import clock
from lifecycle.models import PeopleImport, Source
from lifecycle.people import importing
from lifecycle.people.consequences import consequences_of
from registry import services
from registry.enums import AgentState, GroupName
from registry.models import Person
from registry.permissions import Automatic
from tests.factories.registry import make_agent, make_person, security

pytestmark = pytest.mark.django_db
SOON = (clock.now() + timedelta(days=30)).date()


@pytest.fixture
def admin(settings) -> Person:
    settings.MUSTER_APPROVER_MFA = False
    return make_person(GroupName.PLATFORM_ADMIN, name="Admin")


@pytest.fixture
def page(client: Client, admin: Person) -> Client:
    client.force_login(admin)
    return client


def upload(page: Client, text: str) -> PeopleImport:
    file = SimpleUploadedFile("hr.csv", text.encode())
    answer = page.post(reverse("people_import"), {"file": file, "source": "hr"}, secure=True)
    assert answer.status_code == 302, answer.context["form"].errors
    return PeopleImport.objects.get()


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        ("", {"Admin", "Ada", "Bob"}),
        ("?q=ADA", {"Ada"}),
        ("?employment=leaving", {"Bob"}),
        ("?department=lega", {"Ada"}),
        ("?source=hr", {"Ada"}),
        ("?source=by-hand", {"Admin", "Bob"}),
        ("?group=platform_admin", {"Admin"}),
        ("?sort=-name&page=99", {"Admin", "Ada", "Bob"}),
    ],
)
def test_whom_the_list_shows(page: Client, asked: str, found: set[str]) -> None:
    facts = services.Facts(name="Ada", department="Legal")
    services.sync_person(source="hr", external_id="1", facts=facts, by=Automatic("source:hr"))
    make_person(name="Bob", employment="leaving", last_day=SOON)

    answer = page.get(f"/people/{asked}", secure=True)

    assert {each.name for each in answer.context["page"]} == found


def test_someone_without_rights_sees_who_works_here_and_changes_nobody(client: Client) -> None:
    by = make_person()
    gone = make_person(employment="left", last_day=SOON)
    other = make_person()
    client.force_login(by)

    assert client.get(f"/people/{other.pid}/", secure=True).status_code == 200
    assert client.get(f"/people/{gone.pid}/", secure=True).status_code == 404
    for path in (
        f"/people/{other.pid}/left/",
        f"/people/{other.pid}/change/",
        "/people/import/",
        "/people/webhooks/",
        "/people/export.csv",
    ):
        assert client.get(path, secure=True).status_code == 403
        assert client.post(path, secure=True).status_code in {403, 405}
    other.refresh_from_db()
    assert other.employment == "employed"


@pytest.mark.parametrize(
    ("before", "word", "then", "denied"),
    [
        ("employed", "leaving", "It works on, flagged, and needs another owner.", 0),
        (
            "employed",
            "left",
            "It is denied everything at once, until another owner has accepted it.",
            1,
        ),
        ("left", "employed", "It is allowed again what its row allows.", 0),
        ("leaving", "employed", "It stays as it is.", 0),
    ],
)
def test_what_follows_is_told(before: str, word: str, then: str, denied: int) -> None:
    agent, by = make_agent(), security()
    if before != "employed":
        services.set_employment(person_id=agent.owner_id, employment=before, last_day=SOON, by=by)
    owner = Person.objects.get(pk=agent.owner_id)

    follows = consequences_of(owner, word, clock.now())

    assert [(line.agent.slug, line.then) for line in follows.owned] == [(agent.slug, then)]
    assert (follows.denied, follows.due is None) == (denied, word == "employed")


def test_what_is_ended_does_not_come_back(admin: Person) -> None:
    agent = make_agent(state=AgentState.DECOMMISSIONING)

    follows = consequences_of(agent.owner, "employed", clock.now())

    assert [line.then for line in follows.owned] == ["It is being ended, and stays so."]


def test_leaving_is_said_and_taken_back(page: Client) -> None:
    person = make_person()
    leaving = f"/people/{person.pid}/leaving/"

    over = page.post(leaving, {"last_day": "2020-01-01"}, secure=True)
    assert (over.status_code, over.context["form"].errors["last_day"]) == (
        400,
        ["That day is over: say that they have left."],
    )
    page.post(leaving, {"last_day": SOON.isoformat()}, secure=True)
    person.refresh_from_db()
    assert (person.employment, person.last_day) == ("leaving", SOON)

    page.post(f"/people/{person.pid}/back/", secure=True)
    person.refresh_from_db()
    assert (person.employment, person.last_day) == ("employed", None)

    page.post(f"/people/{person.pid}/left/", secure=True)
    person.refresh_from_db()
    assert (person.employment, person.last_day) == ("left", clock.now().date())
    untold = page.get(f"/people/{person.pid}/", secure=True)
    assert "auditors read what is recorded of people" in untold.content.decode()
    page.force_login(make_person(GroupName.SECURITY))
    shown = page.get(f"/people/{person.pid}/", secure=True)
    assert [each["did"] for each in shown.context["history"]] == [
        "access_ended",
        *["employment_changed"] * 3,
    ]


def test_what_a_source_gives_is_only_shown(page: Client) -> None:
    facts = services.Facts(name="Ada", department="Legal")
    by = Automatic("source:hr")
    person = services.sync_person(source="hr", external_id="1", facts=facts, by=by).person
    change = f"/people/{person.pid}/change/"

    form = page.get(change, secure=True).context["form"]
    page.post(
        change, {"department": "Sales", "zone": "Europe/Paris", "calendar": "FR"}, secure=True
    )

    person.refresh_from_db()
    assert form.fields["department"].help_text == "hr says this. Change it there."
    assert (person.department, person.zone, person.calendar) == ("Legal", "Europe/Paris", "FR")


def test_a_file_is_looked_at_applied_and_its_refused_rows_taken_along(page: Client) -> None:
    kept = upload(
        page, "id,email,name,last day\n1,ada@example.org,=Ada,\n2,b@b.dk,Bob,soon\n3,nobody,,\n"
    )
    shown = page.get(f"/people/import/{kept.pk}/", secure=True)
    assert shown.context["kinds"] == [
        ("wrong", "cannot be read", 2),
        ("joins", "joins", 1),
    ]
    assert [row.line for row in shown.context["page"]] == [3, 4, 2]

    page.post(f"/people/import/{kept.pk}/apply/", secure=True)
    for row in importing.due_rows():
        importing.apply_row(row)
    importing.end_import(kept.pk)

    assert Person.objects.get(email="ada@example.org").name == "=Ada"
    told = page.get(f"/people/import/{kept.pk}/", headers={"HX-Request": "true"}, secure=True)
    assert "1 people were changed" in told.content.decode()
    refused = page.get(f"/people/import/{kept.pk}/refused.csv", secure=True)
    rows = list(csv.reader(io.StringIO(refused.getvalue().decode())))
    assert [row[:4] for row in rows] == [
        ["line", "problem", "id", "email"],
        ["3", "soon can be read in more ways than one. Write 2026-12-31.", "2", "b@b.dk"],
        ["4", "nobody is no e-mail address.", "3", ""],
    ]


def test_everyone_as_a_file_is_read_back_as_it_is(page: Client) -> None:
    kept = upload(page, "id,email,name,manager\n1,ada@example.org,=Ada,2\n2,b@b.dk,Bob,\n")
    importing.begin_import(import_id=kept.pk, by=kept.made_by)
    for row in importing.due_rows():
        importing.apply_row(row)
    importing.end_import(kept.pk)
    PeopleImport.objects.all().delete()

    whole = page.get("/people/export.csv?source=hr", secure=True).getvalue().decode()
    again = upload(page, whole.replace("\r\n", "\n"))

    assert "'=Ada" in whole
    assert again.counts == {"unchanged": 2, "changes": 1}
    template = page.get("/people/template.csv", secure=True).getvalue()
    assert b"id,email,name" in template


def test_a_webhooks_secret_is_shown_once(page: Client) -> None:
    made = page.post(
        "/people/webhooks/", {"title": "Workday", "slug": "workday", "silent_days": 7}, secure=True
    )
    secret = made.context["secret"]

    assert secret.startswith("whsec_")
    assert secret not in page.get("/people/webhooks/", secure=True).content.decode()
    source = Source.objects.get()
    again = page.post(f"/people/webhooks/{source.pk}/rotate/", secure=True).context["secret"]
    assert again != secret
    page.post(f"/people/webhooks/{source.pk}/end/", secure=True)
    source.refresh_from_db()
    assert (source.is_open, bytes(source.secret)) == (False, b"")
