"""Coming in: link, demo, second factor; leaving ends it at once."""

import re
from datetime import timedelta
from io import StringIO

import psycopg
import pytest
import time_machine
from allauth.mfa.models import Authenticator
from django.core.management import call_command
from django.db import connection
from django.test import Client
from django.utils import timezone

from registry import selectors, services, sign_in
from registry.enums import GroupName
from registry.middleware import needs_second_factor
from registry.models import Person, SignInLink
from tests.factories.registry import make_person, security

pytestmark = pytest.mark.django_db
PASSWORD = "correct horse battery staple"


def command(**options) -> str:
    out = StringIO()
    call_command("first_signin_link", stdout=out, **options)
    return out.getvalue().strip()


def path_of(url: str) -> str:
    return re.sub(r"^https?://[^/]+", "", url)


def signed_in_as(client: Client) -> str:
    return client.session.get("_auth_user_id", "")


def test_the_link_makes_the_first_administrator(client: Client) -> None:
    url = command()
    person = Person.objects.get()

    assert person.group_names == {"security", "platform_admin"}
    assert (person.email, person.has_usable_password()) == ("admin@localhost", False)
    page = client.get(path_of(url))
    assert (page.status_code, page.context["valid"], signed_in_as(client)) == (200, True, "")
    answer = client.post(path_of(url))
    assert (answer.status_code, answer.url) == (302, "/welcome")
    assert signed_in_as(client) == str(person.pk)


def test_a_link_is_used_once() -> None:
    url = path_of(command())
    first, second = Client(), Client()

    first.post(url)
    again = second.post(url)

    assert (again.status_code, again.context["valid"], signed_in_as(second)) == (410, False, "")


def test_a_link_ends_after_a_quarter_of_an_hour(client: Client) -> None:
    url = path_of(command())

    with time_machine.travel(timezone.now() + timedelta(minutes=15, seconds=1)):
        answer = client.post(url)

    assert (answer.status_code, signed_in_as(client)) == (410, "")


@pytest.mark.parametrize("token", ["x", "é\u202e", "a" * 500])
def test_a_guessed_link_is_none(client: Client, token: str) -> None:
    answer = client.get(f"/sign-in/{token}")

    assert (answer.status_code, answer.context["valid"]) == (200, False)


def test_a_newer_link_ends_the_older_and_none_is_printed_after_the_first_sign_in(
    client: Client,
) -> None:
    first, second = path_of(command()), path_of(command())
    assert (SignInLink.objects.count(), Person.objects.count()) == (1, 1)

    assert client.post(first).status_code == 410
    assert client.post(second).status_code == 302
    assert command() == ""


def test_only_the_digest_of_a_link_is_kept_or_recorded(mark, records_after) -> None:
    marked = mark()
    token = command().rpartition("/")[2]

    link = SignInLink.objects.get()

    assert link.digest == sign_in._digest(token)
    bodies = [bytes(record["body"]) for record in records_after(marked)]
    assert [token.encode() in body for body in bodies] == [False] * len(bodies)
    assert len(bodies) == 3


def test_the_first_administrator_chooses_a_name_and_a_password(client: Client, settings) -> None:
    settings.MUSTER_APPROVER_MFA = False
    client.post(path_of(command()))

    weak = client.post("/welcome", {"name": "Ada", "password": "short"})
    assert (weak.status_code, list(weak.context["form"].errors)) == (200, ["password"])
    done = client.post("/welcome", {"name": "Ada", "password": PASSWORD})

    person = Person.objects.get()
    assert (done.status_code, person.name, person.check_password(PASSWORD)) == (302, "Ada", True)
    assert signed_in_as(client) == str(person.pk)
    assert client.get("/welcome").status_code == 302


def sign_in_with(client: Client, email: str, password: str):
    return client.post("/accounts/login/", {"login": email, "password": password})


def test_signing_in_and_failing_to_are_recorded(client: Client, mark, records_after) -> None:
    person = make_person()
    services.set_own_password(person_id=person.pk, password=PASSWORD, by=person)
    marked = mark()

    sign_in_with(client, person.email, "wrong password here")
    sign_in_with(client, person.email, PASSWORD)

    records = records_after(marked, kind="access")
    assert [r["actor"] for r in records] == ["system:sign_in", person.pid]
    assert [person.email.encode() in bytes(r["body"]) for r in records] == [False, False]
    assert signed_in_as(client) == str(person.pk)


def test_who_left_cannot_sign_in(client: Client) -> None:
    person = make_person()
    services.set_own_password(person_id=person.pk, password=PASSWORD, by=person)
    services.set_employment(
        person_id=person.pk, employment="left", last_day="2026-01-01", by=security()
    )

    sign_in_with(client, person.email, PASSWORD)

    assert signed_in_as(client) == ""


def test_nobody_signs_up(client: Client) -> None:
    client.post(
        "/accounts/signup/",
        {"email": "new@example.org", "password1": PASSWORD, "password2": PASSWORD},
    )

    assert Person.objects.count() == 0


def test_who_left_is_signed_out_with_the_next_page(client: Client) -> None:
    person = make_person()
    client.force_login(person, backend=sign_in.BACKEND)
    assert signed_in_as(client) == str(person.pk)
    services.set_employment(
        person_id=person.pk, employment="left", last_day="2026-01-01", by=security()
    )

    client.get("/systems/")

    assert signed_in_as(client) == ""


@pytest.mark.parametrize("group", GroupName)
def test_approvers_need_a_second_factor(client: Client, group: GroupName) -> None:
    person = make_person(group)
    client.force_login(person, backend=sign_in.BACKEND)

    answer = client.get("/systems/")

    if group == GroupName.AUDITOR:
        assert answer.status_code == 200
        return
    assert (answer.status_code, answer.url) == (302, "/accounts/2fa/")
    Authenticator.objects.create(user=person, type=Authenticator.Type.TOTP, data={})
    assert client.get("/systems/").status_code == 200


def test_without_the_setting_no_second_factor_is_asked(settings) -> None:
    person = security()
    assert needs_second_factor(person) is True

    settings.MUSTER_APPROVER_MFA = False

    assert needs_second_factor(person) is False


def test_pages_are_in_the_time_zone_of_the_reader(client: Client) -> None:
    client.force_login(make_person(zone="Asia/Tokyo"), backend=sign_in.BACKEND)
    seen = []

    def look(execute, sql, params, many, context):
        seen.append(timezone.get_current_timezone_name())
        return execute(sql, params, many, context)

    with connection.execute_wrapper(look):
        client.get("/systems/")

    assert (seen[-1], timezone.get_current_timezone_name()) == ("Asia/Tokyo", "UTC")


def test_the_demo_door_is_closed_elsewhere(client: Client) -> None:
    person = make_person()

    answer = client.post("/demo/sign-in", {"person": person.pid})

    assert (answer.status_code, signed_in_as(client)) == (404, "")


@pytest.mark.parametrize(
    ("wanted", "place"), [("/systems/", "/systems/"), ("https://evil.example/", "/")]
)
def test_the_demo_door(client: Client, monkeypatch, wanted: str, place: str) -> None:
    # The mark stays in a database for good, so no test may set it.
    monkeypatch.setattr(selectors, "is_demo", lambda: True)
    person = security()

    answer = client.post("/demo/sign-in", {"person": person.pid, "next": wanted})

    assert (answer.status_code, answer.url) == (302, place)
    assert signed_in_as(client) == str(person.pk)
    assert needs_second_factor(person) is False
    assert client.get("/demo/sign-in").status_code == 405


def test_the_web_login_may_not_mark_a_demo(login) -> None:
    with pytest.raises(psycopg.Error):
        login("muster_web").execute("INSERT INTO audit.mark (name, at) VALUES ('demo', now())")

    assert selectors.is_demo() is False
