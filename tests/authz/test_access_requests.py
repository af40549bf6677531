"""The access request flow over HTTP, as AuthZEN's profile says it."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from typing import Any
from uuid import uuid4

import pytest
from django.db import connections
from django.test import Client as Browser

from authz.enums import HoldState
from authz.models import AccessRequest, Callback, Hold
from authz.services import holds
from registry.enums import GroupName
from tests.factories.authz import Desk, age, bearer, make_desk, make_person

pytestmark = pytest.mark.django_db(transaction=True)

EVALUATION = "/access/v1/evaluation"
REQUESTS = "/access/v1/requests"
ERROR = "urn:openid:authzen:access-request:error:"
GATES = {"amount": {"above": 400, "currency": "EUR"}}


@pytest.fixture(autouse=True)
def _settings(settings: Any) -> None:
    settings.MUSTER_APPROVER_MFA = False
    settings.MUSTER_BASE_URL = "https://muster.example"


def gated() -> Desk:
    return make_desk(tool_fields={"gates": GATES, "effect": "financial"})


def send(path: str, body: Any, row: Any, method: str = "POST", **headers: str) -> Any:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode() if body else b""
    return Browser().generic(
        method,
        path,
        raw,
        content_type="application/json",
        headers={"authorization": bearer(row), **headers},
    )


def denied(desk: Desk, row: Any = None, **changed: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    """What was asked, and the context of the denial that came."""
    body = desk.body(**changed)
    answer = send(EVALUATION, body, row or desk.client).json()
    assert answer["decision"] is False
    return body, answer["context"]


def request_of(body: dict[str, Any], context: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {
        **{name: body[name] for name in ("subject", "action", "resource")},
        "denial": {
            "evaluation_id": context["evaluation_id"],
            "evaluated_at": context["evaluated_at"],
            "expires_at": context["access_request"]["expires_at"],
            "reason": context["reason"],
        },
        **more,
    }


def submitted(desk: Desk, **more: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    body, context = denied(desk)
    answer = send(REQUESTS, request_of(body, context, **more), desk.client)
    assert answer.status_code == 202, answer.content
    return body, answer.json()["task"]


def status(desk: Desk, task: dict[str, Any]) -> Any:
    return send(f"{REQUESTS}/{task['id']}", None, desk.client, "GET").json()


def test_the_flow_step_by_step() -> None:
    approver, desk = make_person(groups=[GroupName.SECURITY]), gated()

    body, context = denied(desk)
    assert (context["effect"], context["reason"]) == ("hold", "approval_required")
    assert context["evaluation_id"] == context["decision_id"]
    assert context["access_request"]["endpoint"] == "https://muster.example/access/v1/requests"

    answer = send(REQUESTS, request_of(body, context), desk.client)
    task = answer.json()["task"]
    assert (answer.status_code, answer["Location"]) == (202, task["status_endpoint"])
    assert task["status_endpoint"] == f"https://muster.example/access/v1/requests/{task['id']}"
    assert task["links"] == {"cancel": f"{task['status_endpoint']}/cancel"}
    assert status(desk, task)["task"]["status"] == "pending"

    holds.approve_hold(hold_id=Hold.objects.get().pk, by=approver)
    told = status(desk, task)
    assert told["task"]["status"] == "approved"
    assert told["result"]["mode"] == "reevaluate"
    approval = told["result"]["approval"]

    again = {**body, "context": {"approval": approval}}
    allowed = send(EVALUATION, again, desk.client).json()
    assert allowed["decision"] is True
    assert allowed["context"]["approval"] == {"id": approval["id"]}

    second = send(EVALUATION, again, desk.client).json()
    assert second["decision"] is False
    assert second["context"]["reason"] == "approval_used"
    assert second["context"]["next_action"] == "request"
    assert second["context"]["access_request"]["hold"] != str(Hold.objects.earliest("made_at").pk)


def test_another_amount_is_out_of_scope_and_can_be_requested_anew() -> None:
    approver, desk = make_person(groups=[GroupName.SECURITY]), gated()
    _, task = submitted(desk)
    holds.approve_hold(hold_id=Hold.objects.get().pk, by=approver)
    approval = status(desk, task)["result"]["approval"]

    changed = desk.body(
        action={"name": desk.tool.name, "properties": {"claim": "CL-1", "amount": 501}},
        context={"approval": approval},
    )
    answer = send(EVALUATION, changed, desk.client).json()["context"]

    assert (answer["effect"], answer["reason"], answer["next_action"]) == (
        "hold",
        "out_of_scope",
        "request",
    )
    assert send(REQUESTS, request_of(changed, answer), desk.client).status_code == 202


@pytest.mark.parametrize("approval", [{"id": "nonsense"}, {"id": str(uuid4())}])
def test_an_approval_that_nobody_gave_ends_there(approval: dict[str, str]) -> None:
    desk = gated()

    answer = send(EVALUATION, desk.body(context={"approval": approval}), desk.client).json()

    assert answer["decision"] is False
    context = answer["context"]
    assert (context["code"], context["reason"], context["next_action"]) == (
        "gate.release_unknown",
        "approval_unverifiable",
        "none",
    )
    assert "access_request" not in context


def test_a_request_that_waits_is_no_approval_yet() -> None:
    desk = gated()
    _, context = denied(desk)

    body = desk.body(context={"approval": {"id": context["access_request"]["hold"]}})
    answer = send(EVALUATION, body, desk.client).json()["context"]

    assert (answer["reason"], answer["next_action"]) == ("grant_pending", "retry")
    assert answer["retry_after"] > 0


def test_a_refusal_with_an_approval_is_final() -> None:
    approver, desk = make_person(groups=[GroupName.SECURITY]), gated()
    body, task = submitted(desk)
    holds.approve_hold(hold_id=Hold.objects.get().pk, by=approver)
    approval = status(desk, task)["result"]["approval"]
    desk.role.agents.clear()

    answer = send(EVALUATION, {**body, "context": {"approval": approval}}, desk.client).json()

    assert (answer["context"]["code"], answer["context"]["next_action"]) == ("role.none", "none")


@pytest.mark.parametrize("approval", [1, "x", [], {}, {"id": 1}, {"id": None}])
def test_an_approval_of_another_shape_is_a_bad_request(approval: Any) -> None:
    desk = gated()

    answer = send(EVALUATION, desk.body(context={"approval": approval}), desk.client)

    assert answer.status_code == 400


def test_an_edit_is_told_with_its_parameters() -> None:
    approver, desk = make_person(groups=[GroupName.SECURITY]), gated()
    body, task = submitted(desk)
    edited = {"claim": "CL-1", "amount": 450}
    holds.edit_hold(hold_id=Hold.objects.get().pk, by=approver, parameters=edited)

    result = status(desk, task)["result"]

    assert result["edited"] == {"parameters": edited}
    again = {
        **body,
        "action": {"name": desk.tool.name, "properties": edited},
        "context": {"approval": result["approval"]},
    }
    assert send(EVALUATION, again, desk.client).json()["decision"] is True
    assert send(EVALUATION, again, desk.client).json()["decision"] is False


def test_a_rejection_reaches_the_agent_with_its_reason() -> None:
    approver, desk = make_person(groups=[GroupName.SECURITY]), gated()
    _, task = submitted(desk)
    holds.reject_hold(hold_id=Hold.objects.get().pk, by=approver, reason="Not this customer.")

    told = status(desk, task)

    assert told["task"]["status"] == "denied"
    assert told["task"]["display"] == {
        "title": "It was rejected.",
        "description": "Not this customer.",
    }
    assert "result" not in told


def test_cancelling_ends_the_hold_once() -> None:
    desk = gated()
    _, task = submitted(desk)
    address = f"{REQUESTS}/{task['id']}/cancel"

    first = send(address, {"reason": "not_needed"}, desk.client)
    second = send(address, None, desk.client, "DELETE")

    assert (first.status_code, first.json()["task"]["status"]) == (200, "cancelled")
    assert (second.status_code, second.json()["type"]) == (409, f"{ERROR}invalid_task_state")
    assert Hold.objects.get().state == HoldState.CANCELLED


def test_a_decided_hold_is_answered_at_once() -> None:
    approver, desk = make_person(groups=[GroupName.SECURITY]), gated()
    body, context = denied(desk)
    holds.approve_hold(hold_id=Hold.objects.get().pk, by=approver)

    answer = send(REQUESTS, request_of(body, context), desk.client)

    assert (answer.status_code, answer.json()["task"]["status"]) == (201, "approved")
    assert answer.json()["result"]["approval"]["id"] == str(Hold.objects.get().release.pk)


# What is refused


def _refused(desk: Desk, change: Callable[[dict[str, Any]], None], row: Any = None) -> Any:
    body, context = denied(desk)
    sent = request_of(body, context)
    change(sent)
    return send(REQUESTS, sent, row or desk.client)


@pytest.mark.parametrize(
    "change",
    [
        lambda sent: sent["action"]["properties"].update(amount=501),
        lambda sent: sent["action"].update(name="other"),
        lambda sent: sent["denial"].update(evaluation_id=str(uuid4())),
        lambda sent: sent["denial"].update(evaluation_id="nonsense"),
        lambda sent: sent["denial"].pop("evaluation_id"),
        lambda sent: sent.pop("denial"),
    ],
)
def test_what_cannot_be_bound_to_its_denial_is_refused(
    change: Callable[[dict[str, Any]], None],
) -> None:
    answer = _refused(gated(), change)

    assert (answer.status_code, answer["Content-Type"]) == (400, "application/problem+json")
    assert answer.json()["type"] == f"{ERROR}invalid_denial_binding"
    assert not AccessRequest.objects.exists()


def test_the_denial_of_another_caller_is_none() -> None:
    desk = gated()

    answer = _refused(desk, lambda _: None, row=desk.gateway_client)

    assert (answer.status_code, answer.json()["type"]) == (400, f"{ERROR}invalid_denial_binding")


def test_a_denial_that_is_no_hold_is_not_requestable() -> None:
    desk = gated()
    desk.role.agents.clear()
    body, context = denied(desk)
    sent = {
        **{name: body[name] for name in ("subject", "action", "resource")},
        "denial": {"evaluation_id": context["decision_id"], "expires_at": "2999-01-01T00:00:00Z"},
    }

    answer = send(REQUESTS, sent, desk.client)

    assert (answer.status_code, answer.json()["type"]) == (400, f"{ERROR}not_requestable")


def test_a_denial_whose_time_is_over_has_gone() -> None:
    desk = gated()

    as_sent = _refused(desk, lambda sent: sent["denial"].update(expires_at="2020-01-01T00:00:00Z"))
    body, context = denied(desk)
    age(Hold.objects.get())
    as_it_is = send(REQUESTS, request_of(body, context), desk.client)

    for answer in (as_sent, as_it_is):
        assert (answer.status_code, answer.json()["type"]) == (410, f"{ERROR}expired_denial")


@pytest.mark.parametrize("expires", [None, 5, "soon", "2999-01-01T00:00:00", ""])
def test_a_denial_says_when_it_ends(expires: Any) -> None:
    answer = _refused(gated(), lambda sent: sent["denial"].update(expires_at=expires))

    assert answer.status_code == 400


def test_a_task_is_its_callers_alone() -> None:
    desk, other = gated(), gated()
    _, task = submitted(desk)

    for row in (other.client, desk.gateway_client):
        answer = send(f"{REQUESTS}/{task['id']}", None, row, "GET")
        assert (answer.status_code, answer.json()["type"]) == (404, f"{ERROR}unknown_task")
        assert send(f"{REQUESTS}/{task['id']}/cancel", None, row).status_code == 404
    assert Hold.objects.get().state == HoldState.OPEN


@pytest.mark.parametrize(
    "raw",
    [b"", b"[]", b"{", b'{"subject":{}}', b'{"items":[]}', b'{"items":[1]}', b'{"a":1,"a":1}'],
)
def test_what_is_no_request_is_a_bad_one(raw: bytes) -> None:
    answer = send(REQUESTS, raw, gated().client)

    assert (answer.status_code, answer["Content-Type"]) == (400, "application/problem+json")


# Repeating


def test_the_same_key_and_body_is_the_same_request() -> None:
    desk = gated()
    body, context = denied(desk)
    sent = request_of(body, context)
    reordered = dict(reversed(sent.items()))

    first = send(REQUESTS, sent, desk.client, idempotency_key="k1")
    second = send(REQUESTS, reordered, desk.client, idempotency_key="k1")
    other = send(REQUESTS, sent | {"context": {"x": 1}}, desk.client, idempotency_key="k1")
    another = send(REQUESTS, sent, desk.client, idempotency_key="k2")

    assert (first.status_code, first.content) == (second.status_code, second.content)
    assert (other.status_code, other.json()["type"]) == (409, f"{ERROR}duplicate_request")
    assert another.json()["task"]["id"] != first.json()["task"]["id"]
    assert AccessRequest.objects.count() == 2


def test_thirty_two_with_one_key_are_one(mark: Any, records_after: Any) -> None:
    desk = gated()
    body, context = denied(desk)
    sent, before = request_of(body, context), mark()
    answers: list[tuple[int, str]] = []
    barrier = threading.Barrier(32)

    def post() -> None:
        try:
            barrier.wait()
            answer = send(REQUESTS, sent, desk.client, idempotency_key="once")
            answers.append((answer.status_code, answer.json()["task"]["id"]))
        finally:
            connections.close_all()

    threads = [threading.Thread(target=post) for _ in range(32)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(answers) == 32
    assert set(answers) == {(202, str(AccessRequest.objects.get().pk))}
    assert len(records_after(before, kind="hold")) == 1


# Several at once


def test_a_bundle_is_told_item_by_item() -> None:
    approver, desk = make_person(groups=[GroupName.SECURITY]), gated()
    items = []
    for amount in (501, 502):
        action = {"name": desk.tool.name, "properties": {"claim": "CL-1", "amount": amount}}
        body, context = denied(desk, action=action)
        sent = request_of(body, context)
        items.append({name: sent[name] for name in ("resource", "action", "denial")})
    bundle = {"subject": desk.body()["subject"], "items": items}
    task = send(REQUESTS, bundle, desk.client).json()["task"]
    first, second = Hold.objects.order_by("made_at")

    holds.approve_hold(hold_id=first.pk, by=approver)
    waiting = status(desk, task)
    holds.reject_hold(hold_id=second.pk, by=approver, reason="no")
    done = status(desk, task)

    assert waiting["task"]["status"] == "pending"
    assert (done["task"]["status"], "result" in done) == ("partial", False)
    assert [item["status"] for item in done["task"]["items"]] == ["approved", "denied"]
    assert done["task"]["items"][0]["result"]["approval"]["id"] == str(first.release.pk)


# Callbacks


def test_a_callback_goes_to_the_registered_address_or_nowhere() -> None:
    approver, desk = make_person(groups=[GroupName.SECURITY]), gated()
    desk.client.callback_url = "https://hooks.example.com/muster"
    desk.client.save()
    body, context = denied(desk)
    endpoint = {"endpoint": "https://hooks.example.com/muster", "state": "s1"}

    other = send(
        REQUESTS,
        request_of(body, context, callback={"endpoint": "https://evil.example/"}),
        desk.client,
    )
    right = send(
        REQUESTS,
        request_of(body, context, callback=endpoint | {"events": ["approved"]}),
        desk.client,
    )
    quiet = send(
        REQUESTS,
        request_of(body, context, callback=endpoint | {"events": ["denied"]}),
        desk.client,
    )
    holds.approve_hold(hold_id=Hold.objects.get().pk, by=approver)

    assert (other.status_code, other.json()["code"]) == (400, "callback_not_registered")
    assert (right.status_code, quiet.status_code) == (202, 202)
    (callback,) = Callback.objects.all()
    assert (str(callback.request_id), callback.event) == (right.json()["task"]["id"], "approved")


def test_a_gateway_asks_for_its_agents() -> None:
    approver, desk = make_person(groups=[GroupName.SECURITY]), gated()
    body, context = denied(desk, row=desk.gateway_client)
    answer = send(REQUESTS, request_of(body, context), desk.gateway_client)
    holds.approve_hold(hold_id=Hold.objects.get().pk, by=approver)
    approval = send(
        f"{REQUESTS}/{answer.json()['task']['id']}", None, desk.gateway_client, "GET"
    ).json()["result"]["approval"]

    again = send(EVALUATION, {**body, "context": {"approval": approval}}, desk.gateway_client)

    assert again.json()["decision"] is True


def test_an_ended_token_asks_nothing() -> None:
    desk = gated()
    body, context = denied(desk)
    sent, old = request_of(body, context), bearer(desk.client)
    desk.client.version += 1
    desk.client.save()

    answer = Browser().post(
        REQUESTS,
        json.dumps(sent),
        content_type="application/json",
        headers={"authorization": old},
    )

    assert answer.status_code == 401
