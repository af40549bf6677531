"""The webhook of an HR system: who is out, whatever order, twice or late the events come in."""

import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from itertools import count, permutations
from threading import Barrier
from typing import Any

import pytest
import time_machine
from django.db import connection
from django.test import Client

from governance.kernel.database_clock import database_now
from lifecycle import asking
from lifecycle.models import HeardEvent, Source, SourceEvent, WebhookAnswer
from lifecycle.people import signing, sources
from lifecycle.scim import log
from registry import guard, services
from registry.enums import Employment
from registry.models import ExternalIdentity, Person
from tests.factories.registry import make_agent, make_person, security

pytestmark = pytest.mark.django_db
SLUG = "workday"
_numbers = count(1)


class Hr:
    """An HR system that signs what it sends."""

    def __init__(self, secret: str, slug: str = SLUG) -> None:
        self.key, self.slug = signing.key_of(secret), slug

    def send(self, *events: dict[str, Any], **how: Any) -> Any:
        return self.send_raw(json.dumps({"events": list(events)}).encode(), **how)

    def send_raw(
        self,
        body: bytes,
        *,
        message: str = "",
        stamp: str = "",
        kind: str = "application/json",
        address: str = "127.0.0.1",
    ) -> Any:
        message = message or f"msg_{next(_numbers)}"
        stamp = stamp or str(int(database_now().timestamp()))
        signature = signing.sign(self.key, message_id=message, timestamp=stamp, body=body)
        return Client().post(
            f"/api/v1/people/events/{self.slug}",
            body,
            content_type=kind,
            secure=True,
            REMOTE_ADDR=address,
            headers={
                "webhook-id": message,
                "webhook-timestamp": stamp,
                "webhook-signature": signature,
            },
        )


@pytest.fixture(autouse=True)
def _forget() -> None:
    asking.forget()
    log.forget_refused()


@pytest.fixture
def hr() -> Hr:
    return Hr(sources.open_webhook(slug=SLUG, title="Workday", by=security())[1])


def event(kind: str, hours_ago: float, person: str = "7", **more: Any) -> dict[str, Any]:
    last_day = {"last_day": more.pop("last_day")} if "last_day" in more else {}
    at = datetime.now(UTC) - timedelta(hours=hours_ago)
    return {
        "id": more.pop("id", f"e{next(_numbers)}"),
        "type": kind,
        "occurred_at": at.isoformat(),
        "person": {"id": person, **more},
        **last_day,
    }


def outcomes(answer: Any) -> list[str]:
    return [each["outcome"] for each in answer.json()["events"]]


def ada() -> Person:
    return Person.objects.get(identities__external_id="7")


def test_someone_joins_moves_and_leaves(hr: Hr) -> None:
    boss = make_person(email="boss@example.org")

    answer = hr.send(
        event("joiner", 3, name="Ada", email="Ada@Example.org", manager="boss@example.org"),
        event("mover", 2, department="Legal"),
        event("leaver", 1, last_day="2126-12-31"),
    )

    assert (answer.status_code, outcomes(answer)) == (200, ["taken"] * 3)
    told = ada()
    assert (told.name, told.email, told.department, told.manager) == (
        "Ada",
        "ada@example.org",
        "Legal",
        boss,
    )
    assert (told.employment, str(told.last_day)) == (Employment.LEAVING, "2126-12-31")
    assert Source.objects.get().last_seen_at is not None


def test_the_agents_of_a_leaver_are_out_when_the_answer_comes(hr: Hr) -> None:
    owner = make_person(email="ada@example.org")
    agent = make_agent(owner=owner)
    assert guard.refusal(agent) is None

    answer = hr.send(event("leaver", 0, email="ADA@example.org"))

    assert outcomes(answer) == ["taken"]
    agent = type(agent).objects.get(pk=agent.pk)
    assert (agent.owner.employment, agent.owner.may_act) == (Employment.LEFT, False)


STORY = [
    event("joiner", 4, name="Ada", email="ada@example.org", department="Sales"),
    event("mover", 3, department="Legal"),
    event("leaver", 2, last_day="2126-12-31"),
    event("mover", 1, name="Ada L."),
]


@pytest.mark.parametrize("order", list(permutations(range(4)))[::3])
def test_in_any_order_and_twice_it_comes_to_the_same(hr: Hr, order: tuple[int, ...]) -> None:
    for place in (*order, *order):
        assert hr.send(STORY[place]).status_code == 200

    told = ada()
    assert (told.name, told.department, told.employment) == ("Ada L.", "Legal", "leaving")
    assert Person.objects.filter(email="ada@example.org").count() == 1


def test_a_leaver_before_their_joiner_is_not_hired(hr: Hr) -> None:
    owner = make_person(email="ada@example.org")

    first = hr.send(event("leaver", 1))
    second = hr.send(event("joiner", 2, email="ada@example.org", name="Ada"))

    assert (outcomes(first), outcomes(second)) == (["unknown"], ["taken"])
    owner.refresh_from_db()
    assert owner.employment == Employment.LEFT


def test_a_joiner_that_comes_late_hires_nobody_again(hr: Hr) -> None:
    hr.send(event("joiner", 3, name="Ada", email="ada@example.org"), event("leaver", 1))

    answer = hr.send(event("joiner", 2))

    assert answer.json()["events"][0]["code"] == "event.late"
    assert ada().employment == Employment.LEFT


def test_who_comes_back_is_employed_again(hr: Hr) -> None:
    hr.send(event("joiner", 3, name="Ada"), event("leaver", 2), event("joiner", 1))

    assert (ada().employment, ada().last_day) == (Employment.EMPLOYED, None)


def test_an_address_used_again_inherits_nothing(hr: Hr) -> None:
    hr.send(event("joiner", 3, email="ada@example.org"), event("leaver", 2))
    agent = make_agent(owner=make_person())
    first = ada()

    answer = hr.send(event("joiner", 1, person="8", email="ada@example.org", name="Ada II"))

    second = Person.objects.get(email="ada@example.org")
    assert outcomes(answer) == ["taken"]
    assert second.pk not in {first.pk, agent.owner_id}
    assert (ada().employment, ada().pk) == (Employment.LEFT, first.pk)


def test_another_source_hires_nobody_whom_this_one_said_gone(hr: Hr) -> None:
    other = Hr(sources.open_webhook(slug="payroll", title="P", by=security())[1], "payroll")
    for each in (hr, other):
        each.send(event("joiner", 5, person="7", name="Ada", email="ada@example.org"))
    hr.send(event("leaver", 3))

    answer = other.send(event("joiner", 1))

    told = Person.objects.get(email="ada@example.org")
    assert told.employment == Employment.LEFT
    assert answer.json()["events"][0]["message"] == (
        "Someone else said that they leave: that source or a person takes it back."
    )
    hr.send(event("joiner", 0))
    told.refresh_from_db()
    assert told.employment == Employment.EMPLOYED


def test_whom_a_person_said_gone_a_person_brings_back(hr: Hr) -> None:
    hr.send(event("joiner", 5, name="Ada"))
    by = security()
    services.set_employment(
        person_id=ada().pk, employment="left", last_day=datetime.now(UTC).date(), by=by
    )

    hr.send(event("joiner", 1))
    assert ada().employment == Employment.LEFT

    services.set_employment(person_id=ada().pk, employment="employed", by=by)
    assert ada().employment == Employment.EMPLOYED


def test_what_a_source_gives_is_not_changed_by_hand(hr: Hr) -> None:
    hr.send(event("joiner", 5, name="Ada", department="Legal"))

    with pytest.raises(services.people.Invalid) as refused:  # type: ignore[attr-defined]
        services.update_person(
            person_id=ada().pk, by=security(), department="Sales", zone="Europe/Paris"
        )

    assert refused.value.code == "given_by_source"
    assert refused.value.fields == {"department": ["It comes from workday. Change it there."]}
    sources.end_webhook(source_id=Source.objects.get().pk, by=security())
    assert services.update_person(person_id=ada().pk, by=security(), department="Sales")


def test_one_wrong_event_stops_no_other(hr: Hr) -> None:
    wrong = event("leaver", 1, person="9", last_day="soon")
    answer = hr.send(event("joiner", 3, name="Ada"), wrong)

    assert (answer.status_code, outcomes(answer)) == (207, ["taken", "refused"])
    mended = hr.send(event("joiner", 3, person="9"), {**wrong, "last_day": "2126-01-01"})
    assert (mended.status_code, outcomes(mended)) == (200, ["taken", "taken"])


def test_only_wrong_events(hr: Hr) -> None:
    answer = hr.send(event("joiner", 1, person=Person().pid), event("joiner", -1), {"a": 1})

    assert (answer.status_code, outcomes(answer)) == (422, ["refused"] * 3)
    assert not ExternalIdentity.objects.exists()


def test_an_event_id_is_for_one_event(hr: Hr) -> None:
    hr.send(event("joiner", 3, id="once"))

    answer = hr.send(event("joiner", 1, id="once"), event("joiner", 1, person="8", id="once"))

    assert [each["code"] for each in answer.json()["events"]] == ["event.id_used"] * 2


def test_the_same_message_is_answered_as_the_first_time(hr: Hr) -> None:
    body = json.dumps(event("joiner", 3, name="Ada")).encode()

    first = hr.send_raw(body, message="m1")
    again = hr.send_raw(body, message="m1")
    other = hr.send_raw(body + b" ", message="m1")

    assert (first.status_code, again.content) == (200, first.content)
    assert (other.status_code, other.json()["code"]) == (409, "webhook.id_used")


def test_secrets_are_rotated_with_an_overlap(hr: Hr) -> None:
    source = Source.objects.get()
    new = Hr(sources.rotate_secret(source_id=source.pk, by=security())[1])

    assert [each.send(event("joiner", 1)).status_code for each in (hr, new)] == [200, 200]

    Source.objects.update(previous_until=database_now() - timedelta(seconds=1))
    assert [each.send(event("joiner", 1)).status_code for each in (hr, new)] == [401, 200]

    sources.end_webhook(source_id=source.pk, by=security())
    assert new.send(event("joiner", 1)).status_code == 401


def test_no_secret_is_stored(hr: Hr) -> None:
    kept = Source.objects.get()

    assert hr.key not in bytes(kept.secret)
    assert sources.keys_of(kept, database_now()) == [hr.key]


def _stamp(minutes: float) -> str:
    return str(int((database_now() + timedelta(minutes=minutes)).timestamp()))


@pytest.mark.parametrize(
    ("send", "status", "code"),
    [
        (lambda hr: hr.send_raw(b"{}", stamp=_stamp(-6)), 401, "webhook.timestamp"),
        (lambda hr: hr.send_raw(b"{}", stamp=_stamp(6)), 401, "webhook.timestamp"),
        (lambda hr: Hr(signing.new_secret()).send_raw(b"{}"), 401, "webhook.signature"),
        (lambda hr: Hr(signing.new_secret(), "nobody").send_raw(b"{}"), 401, "webhook.signature"),
        (lambda hr: hr.send_raw(b"{}", kind="text/plain"), 415, "unsupported_media_type"),
        (lambda hr: hr.send_raw(b""), 400, "bad_json"),
        (lambda hr: hr.send_raw(b"\xff"), 400, "bad_json"),
        (lambda hr: hr.send_raw(b'{"type": "joiner", "type": "leaver"}'), 400, "bad_json"),
        (lambda hr: hr.send_raw(b'{"id": "\\u0000"}'), 400, "bad_json"),
        (lambda hr: hr.send_raw(b'{"id": "\\ud800"}'), 400, "bad_json"),
        (lambda hr: hr.send_raw(b"[" * 5000), 400, "bad_json"),
        (lambda hr: hr.send_raw(b'{"a": "' + b"x" * 2**18 + b'"}'), 400, "too_large"),
        (lambda hr: hr.send_raw(b"[]"), 400, "event.invalid"),
        (lambda hr: hr.send_raw(b'{"events": []}'), 400, "event.invalid"),
    ],
)
def test_what_is_no_message(hr: Hr, send: Callable[[Hr], Any], status: int, code: str) -> None:
    answer = send(hr)

    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert not HeardEvent.objects.exists()


def test_the_databases_time_decides(hr: Hr) -> None:
    body = json.dumps(event("joiner", 3)).encode()
    now = _stamp(0)

    with time_machine.travel(database_now() + timedelta(minutes=10)):
        assert hr.send_raw(body, stamp=now).status_code == 200


@pytest.mark.django_db(transaction=True)
def test_eight_times_at_once_it_happens_once() -> None:
    hr = Hr(sources.open_webhook(slug=SLUG, title="Workday", by=security())[1])
    hr.send(event("joiner", 3, name="Ada", email="ada@example.org"))
    body = json.dumps(event("leaver", 1, last_day="2126-12-31")).encode()
    start = Barrier(8)

    def send(_: int) -> tuple[int, bytes]:
        start.wait()
        try:
            answer = hr.send_raw(body, message="m1")
            return answer.status_code, answer.content
        finally:
            connection.close()

    with ThreadPoolExecutor(8) as threads:
        answers = set(threads.map(send, range(8)))

    assert [status for status, _ in answers] == [200]
    told = ada()
    assert (told.employment, told.history.filter(employment="leaving").count()) == ("leaving", 1)
    assert (HeardEvent.objects.count(), WebhookAnswer.objects.filter(webhook_id="m1").count()) == (
        2,
        1,
    )


def test_only_from_its_networks() -> None:
    networks = ["10.1.0.0/16"]
    made, secret = sources.open_webhook(
        slug=SLUG, title="Workday", by=security(), networks=networks
    )
    hr, joins = Hr(secret), event("joiner", 1)

    answers = [hr.send(joins, address=each) for each in ("10.2.2.3", "", "::ffff:10.1.2.3")]

    assert [each.status_code for each in answers] == [403, 403, 200]
    assert answers[0].json()["code"] == "source.network"
    told = SourceEvent.objects.filter(source=made, did="refused").values_list("status", "outcome")
    assert list(told) == [(403, "network")] * 2
    sources.set_webhook_networks(source_id=made.pk, networks=[], by=security())
    assert hr.send(event("joiner", 1, "8"), address="10.2.2.3").status_code == 200


def test_failures_are_limited_and_the_right_signature_is_not(hr, mark, records_after) -> None:
    marked, wrong = mark(), Hr(signing.new_secret())

    answers = [wrong.send(event("joiner", 1)).status_code for _ in range(25)]

    assert (answers[:20], set(answers[20:])) == ([401] * 20, {429})
    assert len(records_after(marked)) == 1
    assert hr.send(event("joiner", 1)).status_code == 200
