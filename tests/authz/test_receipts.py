"""Every decision's answer carries a receipt, and once its entry is sealed, there is a proof."""

import base64
import json

import pytest

from audit.sealing import receipts
from audit.sealing.receipts import Receipt
from lifecycle.selftest import ways
from tests.factories.authz import bearer, make_desk

pytestmark = pytest.mark.django_db

EVALUATION = "/access/v1/evaluation"
EVALUATIONS = "/access/v1/evaluations"


@pytest.fixture
def ask(client):
    """`ask(path, body, client_row, **headers)`: what is told."""

    def send(path, body, row, **headers):
        answer = client.post(
            path,
            data=json.dumps(body),
            content_type="application/json",
            headers={"authorization": bearer(row), **headers},
        )
        assert answer.status_code == 200, answer.content
        return answer.json()

    return send


def receipt_of(told):
    said = dict(told["context"]["receipt"])
    assert said.pop("record") == told["context"]["decision_id"]
    return Receipt(**{**said, "path": tuple(said["path"])})


def test_a_batch_is_signed_once_and_each_receipt_is_a_place_in_it(ask, mark, records_after):
    desk, before = make_desk(), mark()
    items = {"evaluations": [{"action": {"name": name}} for name in (desk.tool.name, "x", "y")]}

    told = ask(EVALUATIONS, {**desk.body(), **items}, desk.client)["evaluations"]

    given = [receipt_of(each) for each in told]
    kept = {str(each["id"]): bytes(each["leaf"]).hex() for each in records_after(before)}
    assert len({each.note for each in given}) == 1
    assert [each.index for each in given] == [0, 1, 2]
    assert [each.leaf for each in given] == [kept[each["context"]["decision_id"]] for each in told]
    keys = [receipts._signer().verifier]
    assert all(receipts.verify(each, keys) for each in given)
    assert given[0].note.splitlines()[:2] == [keys[0].name, "3"]


def test_no_receipt_stands_for_another_leaf_or_under_another_key():
    given = receipts.sign_batch(["aa" * 32, "bb" * 32, "cc" * 32], "2026-11-27T10:00:00.000000Z")
    (first, second, third), keys = given, [receipts._signer().verifier]

    def forged(one, **changed):
        told = {"leaf": one.leaf, "index": one.index, "path": one.path, "note": one.note}
        return Receipt(**{**told, **changed})

    assert all(receipts.verify(each, keys) for each in given)
    assert not receipts.verify(forged(first, leaf="dd" * 32), keys)
    assert not receipts.verify(forged(first, index=1), keys)
    assert not receipts.verify(forged(third, path=second.path), keys)
    assert not receipts.verify(forged(first, note=first.note.replace("10:00", "10:01")), keys)
    assert not receipts.verify(forged(first, leaf="no hash"), keys)
    assert not receipts.verify(first, [])
    assert receipts.sign_batch([], "now") == []


def test_the_same_question_under_the_same_key_is_signed_for_the_same_entry(ask):
    desk = make_desk()

    first = ask(EVALUATION, desk.body(), desk.client, **{"idempotency-key": "k"})
    again = ask(EVALUATION, desk.body(), desk.client, **{"idempotency-key": "k"})

    assert receipt_of(again).leaf == receipt_of(first).leaf
    assert receipts.verify(receipt_of(again), [receipts._signer().verifier])


def test_what_is_rolled_back_is_never_signed_for(monkeypatch):
    desk = make_desk()

    (written,) = ways.within(judged_of(desk))

    assert written.receipt is None


def judged_of(desk):
    from authz import decide

    work = decide.deciding([desk.ask()], desk.caller)
    return work.send(next(work).at())


def test_a_decision_is_proved_to_who_asked_once_it_is_sealed(ask, client, seal_now):
    desk = make_desk()
    told = ask(EVALUATION, desk.body(), desk.client)
    address = f"/api/v1/decisions/{told['context']['decision_id']}/proof"
    theirs = {"authorization": bearer(desk.client)}

    before = client.get(address, headers=theirs)
    checkpoint = seal_now()
    after = client.get(address, headers=theirs)
    others = client.get(address, headers={"authorization": bearer(make_desk().client)})

    assert (before.status_code, before.json()["code"]) == (409, "not_sealed")
    assert (after.status_code, after["Content-Type"]) == (200, "text/plain; charset=utf-8")
    header, extra, *_ = after.content.decode().split("\n")
    body = base64.b64decode(extra.removeprefix("extra "))
    assert header == "c2sp.org/tlog-proof@v1"
    assert json.loads(body.split(b"\n")[0])["id"] == told["context"]["decision_id"]
    assert after.content.decode().endswith(checkpoint.note)
    assert others.status_code == 404
