"""The device authorization grant (RFC 8628): what a command line gets, and what not."""

from __future__ import annotations

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
from authlib.integrations.httpx_client import OAuth2Client
from django.db import connection
from django.db.models import F
from django.test import Client as Browser

from audit.models import Record
from authz.oauth.devices import CLIENT_ID, GRANT_TYPE
from governance.kernel import clock
from governance.kernel.errors import NotSignedIn
from registry import services
from registry.devices import requests, tokens
from registry.enums import DeviceState, Employment, GroupName
from registry.models import DeviceRequest, Person, PersonToken
from registry.services.leaving import end_access
from tests.factories.authz import bearer, make_desk, make_person
from tests.factories.oauth import send

pytestmark = pytest.mark.django_db(transaction=True)

PAGE = "/device/"
ME = "/api/v1/me"


@pytest.fixture(autouse=True)
def _fresh(settings: Any) -> Iterator[None]:
    settings.MUSTER_APPROVER_MFA = False
    requests.forget()
    yield
    requests.forget()


def ask(**more: str) -> dict[str, Any]:
    form = {"client_id": CLIENT_ID, "scope": "read write"} | more
    answer = send("/oauth/device_authorization", form)
    assert answer.status_code == 200, answer.content
    told: dict[str, Any] = json.loads(answer.content)
    return told


def poll(device_code: str, **more: str) -> tuple[int, dict[str, Any]]:
    form = {"grant_type": GRANT_TYPE, "client_id": CLIENT_ID, "device_code": device_code} | more
    answer = send("/oauth/token", form)
    return answer.status_code, json.loads(answer.content)


def browser_of(person: Person) -> Browser:
    browser = Browser()
    browser.force_login(person)
    return browser


def answer(person: Person, code: str, word: str = "allow") -> int:
    return int(browser_of(person).post(PAGE, {"code": code, "answer": word}).status_code)


def token_of(person: Person, **more: str) -> str:
    told = ask(**more)
    assert answer(person, told["user_code"]) == 302
    status, issued = poll(told["device_code"])
    assert status == 200, issued
    return str(issued["access_token"])


def call(token: str, path: str = ME, method: str = "get", body: Any = None) -> Any:
    send_it = getattr(Browser(raise_request_exception=False), method)
    given = {} if body is None else {"data": json.dumps(body), "content_type": "application/json"}
    return send_it(path, headers={"Authorization": f"Bearer {token}"}, **given)


def wait_for_the_interval() -> None:
    DeviceRequest.objects.update(polled_at=None)


def test_a_person_lets_it_in_and_it_acts_as_them() -> None:
    person = make_person()
    told = ask(device_name="laptop")

    assert poll(told["device_code"])[1]["error"] == "authorization_pending"
    shown = browser_of(person).post(PAGE, {"code": told["user_code"].lower().replace("-", " ")})
    assert "laptop" in shown.content.decode()
    assert answer(person, told["user_code"]) == 302
    wait_for_the_interval()
    status, issued = poll(told["device_code"])

    assert (status, issued["token_type"], issued["scope"]) == (200, "Bearer", "read write")
    me = call(issued["access_token"]).json()
    assert (me["id"], me["scope"], me["second_factor_at"]) == (person.pid, "write", None)
    kept = json.dumps([*PersonToken.objects.values(), *DeviceRequest.objects.values()], default=str)
    for secret in (issued["access_token"], told["device_code"], told["user_code"]):
        assert secret not in kept
        assert secret.replace("-", "") not in kept


def test_a_client_of_others_gets_its_token(live_server: Any) -> None:
    person, told = make_person(), ask()
    answer(person, told["user_code"])

    with OAuth2Client(CLIENT_ID, token_endpoint_auth_method="none") as client:
        issued = client.fetch_token(
            f"{live_server.url}/oauth/token",
            grant_type=GRANT_TYPE,
            device_code=told["device_code"],
        )
        me = client.get(f"{live_server.url}{ME}").json()
        client.revoke_token(f"{live_server.url}/oauth/revoke", issued["access_token"])

        assert (issued["token_type"], me["id"]) == ("Bearer", person.pid)
        assert client.get(f"{live_server.url}{ME}").status_code == 401


def test_each_step_is_recorded() -> None:
    person, before = make_person(), clock.now()
    tokens.end_all(by=person)
    token_of(person)
    tokens.end_all(by=person)

    found = Record.objects.filter(actor=person.pid, at__gte=before).order_by("at", "id")
    did = [json.loads(bytes(each.body).split(b"\n")[0])["asked"]["did"] for each in found]
    assert did == ["device_allowed", "device_token_issued", "device_token_ended"]


def test_a_code_in_the_address_allows_nothing_by_itself() -> None:
    told, person = ask(), make_person()

    shown = browser_of(person).get(f"{PAGE}?code={told['user_code']}").content.decode()

    assert told["user_code"] in shown
    assert DeviceRequest.objects.get().state == DeviceState.WAITING
    assert poll(told["device_code"])[1]["error"] == "authorization_pending"


def test_nobody_and_a_forged_form_let_nothing_in() -> None:
    told, person = ask(), make_person()
    signed_out = Browser().post(PAGE, {"code": told["user_code"], "answer": "allow"})
    forged = Browser(enforce_csrf_checks=True)
    forged.force_login(person)

    assert signed_out.status_code == 302
    assert forged.post(PAGE, {"code": told["user_code"], "answer": "allow"}).status_code == 403
    assert DeviceRequest.objects.get().state == DeviceState.WAITING


def test_it_is_told_to_slow_down_and_each_time_longer() -> None:
    told = ask()

    errors = [poll(told["device_code"])[1]["error"] for _ in range(3)]

    assert errors == ["authorization_pending", "slow_down", "slow_down"]
    assert DeviceRequest.objects.get().interval == told["interval"] + 10


def test_refused_expired_unknown_and_twice() -> None:
    person = make_person()
    refused, late, used = ask(), ask(), ask()
    answer(person, refused["user_code"], "refuse")
    answer(person, used["user_code"])
    DeviceRequest.objects.filter(state=DeviceState.WAITING).update(
        made_at=F("made_at") - timedelta(minutes=11), until=F("until") - timedelta(minutes=11)
    )

    assert poll(refused["device_code"])[1]["error"] == "access_denied"
    assert poll(late["device_code"])[1]["error"] == "expired_token"
    assert poll("nothing-of-ours")[1]["error"] == "invalid_grant"
    assert poll(used["device_code"])[0] == 200
    wait_for_the_interval()
    assert poll(used["device_code"])[1]["error"] == "invalid_grant"
    assert PersonToken.objects.count() == 1
    assert answer(person, late["user_code"]) == 404
    assert answer(person, used["user_code"]) == 404


def test_the_second_person_who_types_a_code_changes_nothing() -> None:
    first, second, told = make_person(), make_person(), ask()

    assert [answer(first, told["user_code"]), answer(second, told["user_code"])] == [302, 404]
    status, issued = poll(told["device_code"])
    assert status == 200
    assert call(issued["access_token"]).json()["id"] == first.pid


def test_guessing_ends_after_ten_for_everything_that_waits() -> None:
    guesser, other, told = make_person(), make_person(), ask()

    tried = [answer(guesser, f"BBBBCCC{letter}") for letter in "BCDFGHJKLM"]

    assert tried == [404] * 10
    assert answer(guesser, told["user_code"]) == 429
    assert answer(other, told["user_code"]) == 302


def test_asking_without_end_is_refused() -> None:
    told = [
        send("/oauth/device_authorization", {"client_id": CLIENT_ID}).status_code for _ in range(21)
    ]

    assert told == [200] * 20 + [429]


@pytest.mark.parametrize(
    ("path", "form", "error"),
    [
        ("/oauth/device_authorization", {"scope": "read"}, "invalid_client"),
        ("/oauth/device_authorization", {"client_id": "other"}, "invalid_client"),
        ("/oauth/device_authorization", {"client_id": CLIENT_ID, "scope": "x"}, "invalid_scope"),
        ("/oauth/token", {"client_id": CLIENT_ID}, "invalid_request"),
        ("/oauth/token", {"client_id": CLIENT_ID, "grant_type": GRANT_TYPE}, "invalid_request"),
        (
            "/oauth/token",
            {"client_id": CLIENT_ID, "grant_type": "client_credentials"},
            "unauthorized_client",
        ),
        ("/oauth/token", {"client_id": "other", "grant_type": GRANT_TYPE}, "invalid_client"),
        ("/oauth/revoke", {"client_id": CLIENT_ID}, "invalid_request"),
    ],
)
def test_what_no_request_is(path: str, form: dict[str, str], error: str) -> None:
    told = send(path, form)

    assert (told.status_code < 500, json.loads(told.content)["error"]) == (True, error)


def test_an_agents_client_gets_nothing_by_the_device_grant() -> None:
    desk, told = make_desk(), ask()
    form = {"grant_type": GRANT_TYPE, "device_code": told["device_code"]}

    answered = send("/oauth/token", form, headers={"Authorization": bearer(desk.client)})

    assert (answered.status_code, PersonToken.objects.count()) == (401, 0)


def test_one_code_that_two_threads_poll_is_one_token() -> None:
    person, told = make_person(), ask()
    answer(person, told["user_code"])

    def one(_: int) -> int:
        try:
            return poll(told["device_code"])[0]
        finally:
            connection.close()

    with ThreadPoolExecutor(4) as pool:
        statuses = sorted(pool.map(one, range(4)))

    assert statuses == [200, 400, 400, 400]
    assert PersonToken.objects.count() == 1


def test_a_code_that_two_people_answer_at_once_is_one_answer() -> None:
    people, told = [make_person(), make_person()], ask()

    def one(person: Person) -> int:
        try:
            return answer(person, told["user_code"])
        finally:
            connection.close()

    with ThreadPoolExecutor(2) as pool:
        assert sorted(pool.map(one, people)) == [302, 404]


# How it ends


def test_it_ends_by_its_person_by_itself_and_by_logging_out() -> None:
    person, other = make_person(), make_person()
    first, second, third = token_of(person), token_of(person), token_of(person)
    row = PersonToken.objects.get(digest=tokens._digest(first))

    assert browser_of(other).post(f"/my/command-lines/{row.pk}/end/").status_code == 404
    assert call(first).status_code == 200
    assert browser_of(person).post(f"/my/command-lines/{row.pk}/end/").status_code == 302
    assert call(first).json()["code"] == "token_ended"
    send("/oauth/revoke", {"client_id": CLIENT_ID, "token": second})
    assert call(second).status_code == 401
    PersonToken.objects.update(made_at=F("made_at") - timedelta(hours=9), until=clock.now())
    assert call(third).status_code == 401


def test_the_page_lists_what_acts_and_ends_all() -> None:
    person = make_person()
    browser = browser_of(person)
    assert "No command line acts as you" in browser.get("/my/command-lines/").content.decode()
    kept = [token_of(person, device_name=name) for name in ("<b>laptop", "pipeline")]

    shown = browser.get("/my/command-lines/").content.decode()
    assert "2 command lines act as you" in shown
    assert "&lt;b&gt;laptop" in shown
    browser.post("/my/command-lines/end/")

    assert [call(token).status_code for token in kept] == [401, 401]


def test_who_left_was_switched_off_or_has_another_password_is_out_at_once() -> None:
    by = make_person(groups=[GroupName.SECURITY])
    left, off, changed, back = (make_person() for _ in range(4))
    kept = {person.pk: token_of(person) for person in (left, off, changed, back)}
    services.set_employment(
        person_id=left.pk, employment=Employment.LEFT, last_day=clock.now().date(), by=by
    )
    Person.objects.filter(pk=off.pk).update(is_active=False)
    changed.set_password("another long one")
    changed.save()
    services.set_employment(
        person_id=back.pk, employment=Employment.LEFT, last_day=clock.now().date(), by=by
    )
    end_access(person_id=back.pk, by=by)
    Person.objects.filter(pk=back.pk).update(is_active=True, employment=Employment.EMPLOYED)

    assert {call(token).status_code for token in kept.values()} == {401}


def test_who_left_between_their_word_and_the_poll_let_nothing_in() -> None:
    person, told = make_person(), ask()
    answer(person, told["user_code"])
    Person.objects.filter(pk=person.pk).update(is_active=False)

    assert poll(told["device_code"])[1]["error"] == "access_denied"
    assert PersonToken.objects.count() == 0


def test_it_lasts_no_longer_than_the_providers_word(settings: Any) -> None:
    person, now = make_person(), clock.now()
    told = ask()
    session = requests.Session(provider="okta", strong=True, until=now + timedelta(minutes=7))
    requests.decide(code=told["user_code"], allowed=True, session=session, by=person)

    issued = poll(told["device_code"])[1]

    assert issued["expires_in"] <= 7 * 60
    # No such provider is configured, so its word is worth nothing.
    with pytest.raises(NotSignedIn):
        tokens.authenticate(issued["access_token"])


# What it may


def test_it_may_what_its_person_may_and_to_read_where_it_asked_for_that() -> None:
    person = make_person()
    full, reading = token_of(person), token_of(person, scope="read")
    draft = {"slug": "from-afar", "name": "From afar", "purpose": "To be a draft."}

    refused = call(reading, "/api/v1/agents", "post", draft)
    assert (refused.status_code, refused.json()["code"]) == (403, "read_only")
    assert call(reading, "/api/v1/agents").json()["count"] == 0
    assert call(full, "/api/v1/agents", "post", draft).status_code == 201
    person_of_nobody = {"name": "X", "email": "x@example.org"}
    assert call(full, "/api/v1/people", "post", person_of_nobody).status_code == 403
    assert call(full, "/api/v1/agents/from-afar/check").status_code == 200
    assert call(full, "/api/v1/agents/from-afar/limits").status_code == 200


def test_it_opens_no_page_and_no_decision() -> None:
    token = token_of(make_person(groups=[GroupName.SECURITY]))

    assert call(token, "/my/command-lines/").status_code == 302
    assert call(token, "/access/v1/evaluation", "post", {}).status_code == 401


def test_an_approver_without_a_second_factor_gets_nowhere(settings: Any) -> None:
    person = make_person(groups=[GroupName.SECURITY])
    token = token_of(person)
    settings.MUSTER_APPROVER_MFA = True

    refused = call(token)

    assert (refused.status_code, refused.json()["code"]) == (403, "second_factor")


def test_a_token_that_is_none_is_refused_with_a_sentence() -> None:
    for raw in ("mcl_", "mcl_wrong", "mcl_\u00e9"):
        refused = Browser().get(ME, headers={"Authorization": f"Bearer {raw}"})
        assert (refused.status_code, refused.json()["code"]) == (401, "token_ended")
