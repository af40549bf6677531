"""Previews, simulations and coverage over REST: each operation, who may not, bodies to break it."""

import json

import pytest
from django.test import Client

from authz import services
from authz.decide import decide
from registry import sign_in
from registry.enums import GroupName
from tests.factories.authz import make_desk, make_person

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("one_factor")]

API = "/api/v1/"
PROBLEM = "application/problem+json"
LONG = "x" * 100_000


def as_person(person):
    client = Client()
    if person:
        client.force_login(person, backend=sign_in.BACKEND)

    def call(method, path, body=None):
        content = body if isinstance(body, bytes) else json.dumps(body).encode() if body else b""
        return client.generic(method, API + path, content, content_type="application/json")

    return call


@pytest.fixture
def call():
    return as_person(make_person(groups=[GroupName.AUDITOR]))


def ok(answer, status=200):
    assert answer.status_code == status, answer.content
    return answer.json()


def problem(answer, status):
    assert (answer.status_code, answer["Content-Type"]) == (status, PROBLEM), answer.content
    return answer.json()


def change(desk):
    return {"kind": "role", "slug": desk.role.slug, "remove": {"tools": [desk.tool.name]}}


def test_a_preview_is_asked_for_and_read(call, desk):
    (answer,) = decide([desk.ask()], desk.caller)

    made = ok(call("POST", "previews", {"change": change(desk), "days": 7}), 201)
    read = ok(call("GET", f"previews/{made['id']}"))
    differences = ok(call("GET", f"previews/{made['id']}/differences"))

    assert made == read
    assert read["title"] == "It would have denied 1 call by one agent that was allowed"
    assert (read["state"], read["compared"], read["turns"]) == ("done", 1, {"allow>deny": 1})
    (row,) = differences["results"]
    assert (row["record"], row["agent"], row["turn"]) == (
        str(answer.id),
        desk.agent.slug,
        "allow>deny",
    )
    assert (row["before"]["code"], row["after"]["code"]) == ("", "role.none")
    assert [step[1] for step in row["after"]["walk"]][5] == "refused"


def test_a_large_preview_is_answered_before_it_is_done(call, desk, monkeypatch):
    monkeypatch.setattr(services.previews, "AT_ONCE", 0)
    decide([desk.ask()], desk.caller)

    made = ok(call("POST", "previews", {"change": change(desk)}), 201)

    assert (made["state"], made["total"], made["done"]) == ("waiting", 1, 0)
    assert ok(call("GET", f"previews/{made['id']}/differences"))["results"] == []


def test_who_may_not_is_told_who_can(desk):
    admin = as_person(make_person(groups=[GroupName.PLATFORM_ADMIN]))
    owner = as_person(desk.owner)

    assert (
        "so only they may preview"
        in problem(admin("POST", "previews", {"change": change(desk)}), 403)["detail"]
    )
    problem(owner("GET", "previews/01890000-0000-7000-8000-000000000000"), 403)
    problem(owner("GET", "coverage"), 403)
    problem(owner("POST", "simulations", make_desk().body()), 403)
    for method, path in (("POST", "previews"), ("POST", "simulations"), ("GET", "coverage")):
        problem(as_person(None)(method, path, {"change": {}}), 401)


@pytest.mark.parametrize(
    "body",
    [
        b"", b"{", b"[]", b"null", b'"x"', b'{"change": []}', b'{"change": {}}',
        b'{"change": null}',
        b'{"change": {"kind": "\\u0000"}}', b'{"change": {"kind": "role", "kind": "role"}}',
        b'{"change": {"kind": "role", "slug": "\\ud800"}}',
        b'{"change": {"kind": "role", "slug": "nobody"}}',
        b'{"change": {"kind": "policy", "slug": "x", "text": "permit("}}',
        b'{"change": {"kind": "role"}, "days": 0}', b'{"change": {"kind": "role"}, "days": "many"}',
        b'{"change": {"kind": "role"}, "days": 1e400}', b'{"change": {"kind": "role"}, "days": []}',
        b'{"change": {"kind": "role"}, "most": 10001}', b"[" * 50_000,
        json.dumps({"change": {"kind": LONG}}).encode(), json.dumps({"days": LONG}).encode(),
    ],
)  # fmt: skip
def test_a_preview_of_nothing_is_refused_with_a_sentence(call, body):
    said = problem(call("POST", "previews", body), 400)

    assert said["detail"].endswith(".")


def test_a_preview_that_is_not_there_is_404(call):
    for wrong in ("01890000-0000-7000-8000-000000000000", "0", "x" * 3000, "null,null"):
        for path in ("", "/differences"):
            problem(call("GET", f"previews/{wrong}{path}"), 404)


def test_a_simulation_answers_as_the_decision_would(call, desk):
    told = ok(call("POST", "simulations", desk.body()))
    (answer,) = decide([desk.ask(resource_type=desk.system.slug, resource_id="CL-1")], desk.caller)
    denied = ok(call("POST", "simulations", desk.body(action={"name": "no.tool"})))

    assert (told["simulated"], told["decision"]) == (True, answer.allowed)
    assert [[line["check"], line["status"]] for line in told["context"]["walk"]] == [
        [step.check, step.status] for step in answer.decision.walk
    ]
    assert (denied["decision"], denied["context"]["code"]) == (False, "allowlist.not_listed")
    assert denied["context"]["walk"][3]["sentence"] != ""


def test_a_simulation_takes_an_instant_and_a_gateway(call, desk):
    body = desk.body(at="2026-11-23T14:00:00+01:00", gateway=desk.gateway.slug)

    told = ok(call("POST", "simulations", body))

    assert told["at"] == "2026-11-23T13:00:00Z"
    assert told["decision"] is True


@pytest.mark.parametrize(
    "changed",
    [
        {"at": "soon"}, {"at": "2026-11-23T14:00:00"}, {"at": 7}, {"at": LONG},
        {"at": "0001-01-01T00:00:00Z"}, {"at": "9999-12-31T23:59:59Z"}, {"gateway": 7},
        {"gateway": "nowhere"}, {"gateway": LONG}, {"subject": None},
        {"subject": {"type": "agent"}},
        {"action": {"name": LONG}}, {"action": {"name": "x", "properties": []}}, {"context": 7},
        {"resource": {}},
    ],
)  # fmt: skip
def test_a_simulation_of_nothing_is_refused_with_a_sentence(call, desk, changed):
    said = problem(call("POST", "simulations", desk.body(**changed)), 400)

    assert said["detail"].endswith(".")


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"null", b"7", b"[" * 50_000])
def test_a_simulation_of_what_is_no_request_is_refused(call, body):
    problem(call("POST", "simulations", body), 400)


def test_coverage_is_told(call, desk):
    told = ok(call("GET", "coverage"))

    assert {"agent": desk.agent.slug, "tool": desk.tool.name} in told["unused_entries"]
    assert [row["tool"] for row in told["ungoverned"]] == [desk.tool.name]
    assert (told["unheld"], told["unfired"]) == ([], [])
