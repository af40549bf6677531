"""No allow without a record, no record without a commit, no fact from before (promises 1, 2, 8)."""

import json
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from django.db import connection
from django.test import Client

from authz import recorder
from authz.decide import decide
from authz.errors import NotRecorded
from registry.models import Agent
from tests.factories.authz import bearer, caller_of, make_client, make_desk

pytestmark = pytest.mark.django_db(transaction=True)

EVALUATION = "/access/v1/evaluation"


@pytest.fixture
def auditor(login):
    """The owner of the record, as the migrator becomes it."""
    opened = login("muster_migrator")
    opened.execute("SET ROLE muster_audit")
    return opened


@pytest.fixture
def evaluate(client):
    def post(desk):
        return client.post(
            EVALUATION,
            data=json.dumps(desk.body()),
            content_type="application/json",
            headers={"authorization": bearer(desk.client)},
        )

    return post


def _is_recorded(observer, record_id):
    found = observer.execute("SELECT effect FROM audit.record WHERE id = %s", [record_id])
    return found.fetchone() is not None


def _assert_no_decision(answer):
    assert (answer.status_code, answer["Content-Type"]) == (503, "application/problem+json")
    assert "decision" not in answer.json()


# Promise 1


def test_answer_is_committed_when_it_is_given(login):
    desk, observer, seen = make_desk(), login("muster_web"), []

    def watched(batch):
        seen.append(_is_recorded(observer, batch[0].row["id"]))
        return recorder.record(batch)

    (answer,) = decide([desk.ask()], desk.caller, record=watched)

    assert seen == [False]
    assert _is_recorded(observer, answer.id) is True


def test_answer_before_the_commit_would_be_seen(login):
    """The break that the test above must notice: the batch ran, its commit did not."""
    desk, observer, seen = make_desk(), login("muster_web"), []

    def answered_early(batch):
        with connection.cursor() as cursor:
            cursor.execute("BEGIN")
            cursor.execute("SELECT authz.decide_batch(%s::jsonb)::text", [recorder.as_json(batch)])
            told = json.loads(cursor.fetchone()[0])
            answers = [recorder._read(one, None) for one in told["answers"]]
            seen.append(_is_recorded(observer, batch[0].row["id"]))
            cursor.execute("ROLLBACK")
        return answers

    (answer,) = decide([desk.ask()], desk.caller, record=answered_early)

    assert (answer.allowed, seen) == (True, [False])
    assert _is_recorded(observer, answer.id) is False


@pytest.mark.parametrize("role", ["muster_web", "muster_worker"])
def test_commits_are_synchronous(login, role):
    assert login(role).execute("SHOW synchronous_commit").fetchone() == ("on",)


# Promise 2


def test_no_right_to_append_is_no_answer(evaluate, auditor, mark):
    desk = make_desk()
    assert evaluate(desk).json()["decision"] is True
    before = mark()

    auditor.execute("REVOKE EXECUTE ON FUNCTION audit.append(jsonb) FROM muster_web")
    try:
        answer = evaluate(desk)
    finally:
        auditor.execute("GRANT EXECUTE ON FUNCTION audit.append(jsonb) TO muster_web")

    _assert_no_decision(answer)
    assert mark() == before
    assert evaluate(desk).json()["decision"] is True


def test_no_right_to_the_batch_is_no_answer(evaluate, login):
    desk, migrator = make_desk(), login("muster_migrator")

    migrator.execute("REVOKE EXECUTE ON FUNCTION authz.decide_batch(jsonb) FROM muster_web")
    try:
        answer = evaluate(desk)
    finally:
        migrator.execute("GRANT EXECUTE ON FUNCTION authz.decide_batch(jsonb) TO muster_web")

    _assert_no_decision(answer)


@pytest.mark.parametrize("warm", [True, False])
def test_a_read_only_database_is_no_answer(evaluate, warm):
    desk = make_desk()
    if warm:
        evaluate(desk)

    with connection.cursor() as cursor:
        cursor.execute("SET default_transaction_read_only = on")
        try:
            answer = evaluate(desk)
        finally:
            cursor.execute("SET default_transaction_read_only = off")

    _assert_no_decision(answer)


def test_a_cut_connection_is_no_answer(login, mark):
    desk, killer = make_desk(), login("muster_migrator")
    decide([desk.ask()], desk.caller)
    before = mark()

    def cut_first(batch):
        pid = connection.connection.info.backend_pid
        assert killer.execute("SELECT pg_terminate_backend(%s, 5000)", [pid]).fetchone() == (True,)
        return recorder.record(batch)

    with pytest.raises(NotRecorded):
        decide([desk.ask()], desk.caller, record=cut_first)

    connection.close()
    assert mark() == before
    assert decide([desk.ask()], desk.caller)[0].allowed is True


def test_a_record_that_stands_still_is_no_answer(evaluate, auditor):
    desk = make_desk()
    evaluate(desk)

    auditor.execute("BEGIN")
    auditor.execute("LOCK TABLE audit.record IN EXCLUSIVE MODE")
    try:
        answer = evaluate(desk)
    finally:
        auditor.execute("ROLLBACK")

    _assert_no_decision(answer)


def test_denials_need_their_record_too(evaluate, auditor):
    desk = make_desk()
    Agent.objects.filter(pk=desk.agent.pk).update(state="suspended")

    auditor.execute("REVOKE EXECUTE ON FUNCTION audit.append(jsonb) FROM muster_web")
    try:
        answer = evaluate(desk)
    finally:
        auditor.execute("GRANT EXECUTE ON FUNCTION audit.append(jsonb) TO muster_web")

    _assert_no_decision(answer)


# Promise 8


def test_what_changes_between_loading_and_recording_is_seen(login):
    desk, other = make_desk(), login("muster_web")
    decide([desk.ask()], desk.caller)

    def suspend_first(batch):
        other.execute(
            "UPDATE registry_agent SET state = 'suspended' WHERE slug = %s", [desk.agent.slug]
        )
        return recorder.record(batch)

    (answer,) = decide([desk.ask()], desk.caller, record=suspend_first)

    assert answer.decision.code == "identity.not_active"


def test_a_change_that_is_not_committed_is_not_seen(login):
    desk, other = make_desk(), login("muster_web")
    decide([desk.ask()], desk.caller)

    other.execute("BEGIN")
    other.execute(
        "UPDATE registry_agent SET state = 'suspended' WHERE slug = %s", [desk.agent.slug]
    )
    (before,) = decide([desk.ask()], desk.caller)
    other.execute("COMMIT")
    (after,) = decide([desk.ask()], desk.caller)

    assert (before.allowed, after.decision.code) == (True, "identity.not_active")


def test_no_allow_starts_after_a_revocation():
    """Three threads decide all the time; what starts after the change was acknowledged sees it."""
    desk, rounds = make_desk(), 12
    caller, stop, revoked = desk.caller, threading.Event(), threading.Event()
    wrong, decided, given_back = [], [], []

    def ask_all_the_time():
        try:
            while not stop.is_set():
                before, knew = len(given_back), revoked.is_set()
                (answer,) = decide([desk.ask()], caller)
                decided.append(answer.decision.code)
                # It was revoked before asking, and until the answer nothing was given back.
                if knew and len(given_back) == before and answer.allowed:
                    wrong.append(answer.id)
        finally:
            connection.close()

    with ThreadPoolExecutor(3) as pool:
        running = [pool.submit(ask_all_the_time) for _ in range(3)]
        for _ in range(rounds):
            Agent.objects.filter(pk=desk.agent.pk).update(state="suspended")
            revoked.set()
            seen = len(decided)
            while len(decided) < seen + 8:
                threading.Event().wait(0.002)
            given_back.append(True)
            revoked.clear()
            Agent.objects.filter(pk=desk.agent.pk).update(state="active")
            seen = len(decided)
            while len(decided) < seen + 8:
                threading.Event().wait(0.002)
        stop.set()
        for each in running:
            each.result()

    assert wrong == []
    assert {"", "identity.not_active"} <= set(decided)


# Races


def test_one_of_eight_outcomes_is_recorded(mark, records_after):
    desk = make_desk()
    (answer,) = decide([desk.ask()], desk.caller)
    path, token = f"/api/v1/decisions/{answer.id}/outcome", bearer(desk.client)
    barrier, before = threading.Barrier(8), mark()

    def report(number):
        try:
            barrier.wait(10)
            return Client().post(
                path,
                data=json.dumps({"outcome": "success", "output": number}),
                content_type="application/json",
                headers={"authorization": token},
            )
        finally:
            connection.close()

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(report, range(8)))

    assert sorted(each.status_code for each in answers) == [201] + [409] * 7
    assert len(records_after(before, kind="outcome")) == 1


def test_many_threads_decide_at_once(mark, records_after):
    desk, gateway = make_desk(), None
    gateway = caller_of(make_client(gateway=type(desk.gateway).objects.create(slug="g", name="g")))
    before, barrier = mark(), threading.Barrier(8)

    def ask(_):
        try:
            barrier.wait(10)
            return [answer.id for _ in range(5) for answer in decide([desk.ask()] * 3, gateway)]
        finally:
            connection.close()

    with ThreadPoolExecutor(8) as pool:
        ids = [each for batch in pool.map(ask, range(8)) for each in batch]

    assert len(set(ids)) == 8 * 5 * 3
    assert {record["id"] for record in records_after(before, kind="decision")} == set(ids)
