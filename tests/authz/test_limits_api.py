"""Who reads how much of its limits an agent has used, and what they read."""

import json
from concurrent.futures import ThreadPoolExecutor

import pytest
from django.db import connection
from django.test import Client

from authz.decide import decide
from authz.models import Counter
from authz.present import evaluation
from registry.enums import GroupName
from registry.models import AllowlistEntry
from tests.factories.authz import bearer, make_desk, make_person

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def desk():
    made = make_desk(
        tool_fields={"cost_minor": 100},
        system_fields={"rate_per_hour": 900},
        agent_fields={"spend_cap_month_minor": 50_000},
    )
    AllowlistEntry.objects.update(write_quota_per_hour=20, rate_per_minute=5)
    decide([made.ask()] * 2, made.caller)
    return made


def read(desk, client=None, **headers):
    path = f"/api/v1/agents/{desk.agent.slug}/limits"
    return (client or Client()).get(path, headers=headers)


def signed_in(person):
    client = Client()
    client.force_login(person)
    return client


def test_agent_reads_its_own_limits(desk):
    answer = read(desk, authorization=bearer(desk.client))

    assert answer.status_code == 200
    told = {(one["scope"], one["window"], one["unit"]): one for one in answer.json()["limits"]}
    assert {key: (one["used"], one["limit"]) for key, one in told.items()} == {
        ("agent", "minute", "calls"): (2, 60),
        ("agent", "hour", "calls"): (2, 600),
        ("agent", "day", "minor"): (200, 10_000),
        ("agent", "month", "minor"): (200, 50_000),
        ("tool", "minute", "calls"): (2, 5),
        ("tool", "hour", "records"): (2, 20),
        ("system", "hour", "calls"): (2, 900),
    }
    assert told["agent", "day", "minor"] == {
        "scope": "agent",
        "tool": "",
        "system": "",
        "window": "day",
        "unit": "minor",
        "currency": "EUR",
        "limit": 10_000,
        "used": 200,
        "reserved": 200,
        "remaining": 9_800,
    }


@pytest.mark.parametrize("group", [GroupName.SECURITY, GroupName.AUDITOR])
def test_security_and_auditors_read_them(desk, group, settings):
    settings.MUSTER_APPROVER_MFA = False

    assert read(desk, signed_in(make_person(groups=[group]))).status_code == 200


def test_owner_reads_them(desk):
    assert read(desk, signed_in(desk.owner)).status_code == 200


def test_others_do_not(desk):
    other = make_desk()

    assert read(desk).status_code == 401
    assert read(desk, signed_in(make_person())).status_code == 404
    assert read(desk, authorization="Bearer nonsense").status_code == 401
    assert read(desk, authorization=bearer(other.client)).status_code == 403
    assert read(desk, authorization=bearer(desk.gateway_client)).status_code == 403


def test_owner_of_a_system_that_it_uses_does_not(desk):
    desk.system.owner = make_person()
    desk.system.save()

    assert read(desk, signed_in(desk.system.owner)).status_code == 403


def test_every_answer_says_what_remains(desk):
    (answer,) = decide([desk.ask()], desk.caller)
    told = evaluation(answer, bare=False)["context"]["limits"]

    assert {
        (one["scope"], one["window"], one.get("unit", "")): one["remaining"] for one in told
    } == {
        ("agent", "minute", ""): 57,
        ("agent", "hour", ""): 597,
        ("agent", "day", "minor"): 9_700,
        ("agent", "month", "minor"): 49_700,
        ("tool", "minute", ""): 2,
        ("tool", "hour", "records"): 17,
        ("system", "hour", ""): 897,
    }


def test_gauges_stand_on_the_agents_page(desk):
    page = signed_in(desk.owner).get(f"/agents/{desk.agent.slug}/")

    assert page.status_code == 200
    assert "€0.00 + €2.00 of €100.00" in page.text
    assert f"{desk.tool.name}: records this hour" in page.text


# Asking again


def ask_once(desk, key, **changed):
    return Client().post(
        "/access/v1/evaluation",
        json.dumps(desk.body(**changed)),
        content_type="application/json",
        headers={"authorization": bearer(desk.client), "idempotency-key": key},
    )


def spent(desk):
    return Counter.objects.get(key=f"agent:{desk.agent.slug}").day_spent


def test_asking_again_counts_nothing_twice(desk, mark, records_after):
    before, had = mark(), spent(desk)

    answers = [ask_once(desk, "key-1").json() for _ in range(3)]
    # Each answer has a signature of its own, for the same entry.
    receipts = [answer["context"].pop("receipt") for answer in answers]

    assert len({(each["record"], each["leaf"]) for each in receipts}) == 1
    assert answers[0] == answers[1] == answers[2]
    assert answers[0]["decision"] is True
    assert spent(desk) == had + 100
    assert len(records_after(before)) == 1


def test_asking_at_the_same_time_counts_once(desk, mark, records_after):
    before, had = mark(), spent(desk)

    def alone(_):
        try:
            # A busy database answers 503, and a client asks again under the same key.
            asked = (ask_once(desk, "key-1") for _ in range(20))
            told = next(answer for answer in asked if answer.status_code != 503)
            return told.json()["context"]["decision_id"]
        finally:
            connection.close()

    with ThreadPoolExecutor(16) as pool:
        told = list(pool.map(alone, range(32)))

    assert len(set(told)) == 1
    assert spent(desk) == had + 100
    assert len(records_after(before)) == 1


def test_other_question_under_the_same_key_conflicts(desk):
    ask_once(desk, "key-1")

    answer = ask_once(desk, "key-1", context={"session": "another"})

    assert (answer.status_code, answer.json()["code"]) == (409, "idempotency_key_taken")


def test_key_of_one_caller_says_nothing_of_anothers(desk):
    other = make_desk()

    first, second = ask_once(desk, "key-1").json(), ask_once(other, "key-1").json()

    assert first["context"]["decision_id"] != second["context"]["decision_id"]


def test_yes_that_would_be_a_no_by_now_is_not_said_again(desk):
    assert ask_once(desk, "key-1").json()["decision"] is True
    desk.agent.state = "suspended"
    desk.agent.save()

    assert ask_once(desk, "key-1").json()["context"]["code"] == "identity.not_active"


def test_key_is_for_one_evaluation(desk):
    answer = Client().post(
        "/access/v1/evaluations",
        json.dumps({"evaluations": [desk.body()]}),
        content_type="application/json",
        headers={"authorization": bearer(desk.client), "idempotency-key": "key-1"},
    )

    assert answer.status_code == 400
