"""What was found is told to Muster: sent in parts, and taken in once."""

from __future__ import annotations

import json
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from client.muster_client import Unavailable
from client.muster_client.discovery.findings import Finding, Found
from client.muster_client.discovery.reporting import AT_ONCE, Told, report
from lifecycle.models import Discovery
from registry import services as register
from registry.enums import GroupName
from registry.models import UnregisteredCaller
from tests.client.muster_double import Double, muster
from tests.factories.authz import bearer, make_desk, make_person

FOUND = Found(
    "git.example/acme/app", tuple(Finding("agent", f"desk-{n}", "a.json") for n in range(3))
)


def test_findings_are_sent_in_parts_and_counted() -> None:
    double = Double({"new": AT_ONCE, "known": 0}, {"new": 1, "known": 4})
    many = Found("app", tuple(Finding("agent", f"a{n}", "x") for n in range(AT_ONCE + 5)))

    with muster(double) as client:
        told = report(client, many)

    assert told == Told(AT_ONCE + 1, 4)
    assert [len(body["findings"]) for body in double.bodies] == [AT_ONCE, 5]
    assert double.paths == ["/api/v1/discoveries"] * 2


@pytest.mark.parametrize("answer", [{}, [], {"new": "1", "known": 0}, {"new": True, "known": 0}])
def test_an_answer_that_says_nothing_is_no_success(answer: Any) -> None:
    with muster(Double(answer)) as client, pytest.raises(Unavailable):
        report(client, FOUND)


def send(token: str, body: Any, kind: str = "application/json") -> Any:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    headers = {"authorization": token}
    return Client().post(reverse("api_discoveries"), raw, content_type=kind, headers=headers)


def body(**changed: Any) -> dict[str, Any]:
    return {
        "source": FOUND.source,
        "findings": [each.as_object(FOUND.source) for each in FOUND.findings],
    } | changed


@pytest.mark.django_db
def test_each_finding_is_one_unregistered_caller_that_can_be_adopted(settings: Any) -> None:
    settings.MUSTER_APPROVER_MFA = False
    desk = make_desk()
    token = bearer(desk.client)

    first, again = send(token, body()), send(token, body())

    assert (first.status_code, first.json()) == (200, {"new": 3, "known": 0})
    assert again.json() == {"new": 0, "known": 3}
    callers = UnregisteredCaller.objects.filter(source="found:git.example/acme/app")
    assert sorted(callers.values_list("claimed", "count")) == [
        *(("desk-0", 1), ("desk-1", 1), ("desk-2", 1)),
    ]
    guard = make_person(groups=[GroupName.SECURITY])
    client = Client()
    client.force_login(guard)
    page = client.get(reverse("callers")).content.decode()
    assert "agent in a.json" in page
    caller = callers.order_by("claimed")[0]
    assert f"?adopt={caller.pk}" in page
    agent = register.adopt_caller(caller_id=caller.pk, slug="desk-0", owner=guard, by=guard)
    assert agent.state == "draft"


@pytest.mark.django_db
def test_a_report_without_a_good_token_is_refused() -> None:
    desk = make_desk()
    token = bearer(desk.client)
    desk.client.version += 1
    desk.client.save()

    for each in ("", "Bearer x.y.z", token):
        assert send(each, body()).status_code == 401
    assert Discovery.objects.count() == 0


@pytest.mark.django_db
@pytest.mark.parametrize(
    "changed",
    [
        {"source": ""},
        {"source": "a\u0000b"},
        {"findings": [{}]},
        {"findings": "x"},
        {"findings": [{**FOUND.findings[0].as_object("a"), "fingerprint": "A" * 64}]},
        {"findings": [{**FOUND.findings[0].as_object("a"), "kind": "other"}]},
        {"findings": [{**FOUND.findings[0].as_object("a"), "name": "x\u001b"}]},
        {"findings": [{**FOUND.findings[0].as_object("a"), "detail": {"x": "y" * 9000}}]},
        {"findings": [FOUND.findings[0].as_object("a")] * (AT_ONCE + 1)},
        {"findings": [{**FOUND.findings[0].as_object("a"), "detail": {"k": "AKIA" + "Q7" * 8}}]},
    ],
)
def test_what_is_not_right_is_refused_whole(changed: dict[str, Any]) -> None:
    answer = send(bearer(make_desk().client), body(**changed))

    assert answer.status_code == 400
    assert Discovery.objects.count() == 0


@pytest.mark.django_db
def test_what_is_no_json_is_refused() -> None:
    token = bearer(make_desk().client)

    assert send(token, b"[").status_code == 400
    assert send(token, b"[]").status_code == 400
    assert send(token, b"x" * 300_000).status_code == 400
    assert send(token, body(), "text/plain").status_code == 415
