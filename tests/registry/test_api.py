"""The register over REST: each operation, who may not, what waits, and bodies meant to break it."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from django.core.management import call_command
from django.db import OperationalError, connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from rest_framework import serializers

from registry import changes, sign_in
from registry.api import serializers as shapes
from registry.enums import AgentState, GroupName
from registry.models import Agent, Person, System
from tests.factories.registry import (
    make_agent,
    make_draft,
    make_person,
    make_system,
    make_tool,
    security,
)

pytestmark = pytest.mark.django_db

Call = Callable[..., Any]
API = "/api/v1/"
PROBLEM = "application/problem+json"


@pytest.fixture(autouse=True)
def one_factor(settings: Any) -> None:
    settings.MUSTER_APPROVER_MFA = False


def as_person(person: Person | None) -> Call:
    """`call("get", "agents", body)`: the answer of the API to this person."""
    client = Client()
    if person:
        client.force_login(person, backend=sign_in.BACKEND)

    def call(method: str, path: str, body: Any = None, *, raw: bytes | None = None) -> Any:
        content = raw if raw is not None else (b"" if body is None else json.dumps(body).encode())
        kind = "application/json"
        return client.generic(method.upper(), API + path, content, content_type=kind)

    return call


def problem_of(answer: Any, status: int) -> dict[str, Any]:
    """The problem that was answered, after a look at its shape."""
    assert (answer.status_code, answer["Content-Type"]) == (status, PROBLEM), answer.content
    body: dict[str, Any] = answer.json()
    assert body["status"] == status
    assert body["type"] == f"urn:muster:problem:{body['code']}"
    return body


def ok(answer: Any, status: int = 200) -> Any:
    assert answer.status_code == status, answer.content
    return answer.json()


@pytest.mark.parametrize("statement", ["SELECT", "INSERT", "UPDATE"])
def test_a_database_that_does_not_answer_is_said_and_nothing_is_kept(statement: str) -> None:
    system, call = make_system(slug="mail", name="Mail"), as_person(security())

    def away(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        if sql.startswith(statement) and '"registry_system"' in sql:
            raise OperationalError("deadlock detected")
        return execute(sql, params, many, context)

    with connection.execute_wrapper(away):
        if statement == "INSERT":
            answer = call("post", "systems", {"slug": "crm", "name": "CRM", "tier": "internal"})
        else:
            answer = call("patch", "systems/mail", {"name": "Post"})

    assert problem_of(answer, 503)["code"] == "database_unavailable"
    system.refresh_from_db()
    assert system.name == "Mail"
    assert not System.objects.filter(slug="crm").exists()


# People


def test_people_are_added_read_changed_and_leave() -> None:
    call = as_person(security())

    added = ok(call("post", "people", {"name": "Ada", "email": "Ada@example.org"}), 201)
    at = f"people/{added['pid']}"
    changed = ok(call("patch", at, {"department": "Claims", "attributes": {"site": "cork"}}))
    left = ok(call("put", f"{at}/employment", {"employment": "left", "last_day": "2026-01-31"}))

    assert (added["email"], added["employment"]) == ("ada@example.org", "employed")
    assert (changed["department"], changed["attributes"]) == ("Claims", {"site": "cork"})
    assert (left["employment"], left["last_day"]) == ("left", "2026-01-31")
    assert ok(call("get", at)) == left


def test_people_change_themselves_and_nobody_else() -> None:
    me, other = make_person(), make_person()
    call = as_person(me)

    renamed = ok(call("patch", f"people/{me.pid}", {"name": "New Name"}))
    refused = call("patch", f"people/{me.pid}", {"department": "Board"})
    added = call("post", "people", {"name": "X", "email": "x@example.org"})
    unseen = call("patch", f"people/{other.pid}", {"name": "Y"})

    assert renamed["name"] == "New Name"
    assert problem_of(refused, 403)["code"] == "not_allowed"
    assert problem_of(added, 403)["code"] == "not_allowed"
    assert unseen.status_code in {403, 404}
    other.refresh_from_db()
    assert other.name != "Y"


def test_an_address_that_is_taken_is_refused_beside_its_field() -> None:
    person = make_person()

    answer = as_person(security())("post", "people", {"name": "Twin", "email": person.email})

    assert list(problem_of(answer, 400)["errors"]) == ["email"]


# Systems and tools


def test_a_system_is_added_read_and_guarded_more() -> None:
    call = as_person(security())
    given = {
        "slug": "claims",
        "name": "Claims",
        "tier": "internal",
        "resources": [{"name": "claims/", "match": "prefix", "tier": "confidential"}],
    }

    added = ok(call("post", "systems", given), 201)
    raised = ok(call("patch", "systems/claims", {"tier": "restricted"}))

    assert [each["name"] for each in added["resources"]] == ["claims/"]
    assert (raised["tier"], raised["effective_tier"]) == ("restricted", "restricted")
    assert ok(call("get", "systems/claims")) == raised
    assert problem_of(call("post", "systems", given), 409)["code"] == "conflict"


def test_a_less_guarded_system_waits_for_a_second_person() -> None:
    make_system(slug="vault", tier="restricted")

    body = ok(as_person(security())("patch", "systems/vault", {"tier": "public"}), 202)

    assert (body["row"]["slug"], body["row"]["tier"]) == ("vault", "restricted")
    (waiting,) = body["proposed"]
    assert (waiting["kind"], waiting["target"]) == ("system.fields", "vault")
    changes.agree(change_id=waiting["id"], by=security())
    assert System.objects.get(slug="vault").tier == "public"


def test_a_tool_is_added_read_and_changed() -> None:
    make_system(slug="mail")
    call = as_person(security())
    given = {
        "name": "mail/send.v2",
        "system": "mail",
        "effect": "external_communication",
        "schema": {"type": "object", "properties": {"to": {"type": "string"}}},
        "recipient_parameter": "to",
        "accesses": [{"system": "mail", "direction": "writes"}],
    }

    added = ok(call("post", "tools", given), 201)
    changed = ok(call("patch", "tools/mail/send.v2", {"title": "Send mail"}))

    assert added["accesses"] == [{"system": "mail", "resource": "", "direction": "writes"}]
    assert (changed["title"], changed["version"]) == ("Send mail", added["version"])
    assert ok(call("get", "tools/mail/send.v2")) == changed
    assert problem_of(call("post", "tools", given), 409)["code"] == "conflict"


def test_a_tool_that_agents_call_widens_only_with_a_second_person() -> None:
    tool = make_tool()
    make_agent(tool=tool)
    anything = {"type": "object", "properties": {"account": {}, "amount": {}, "pin": {}}}

    body = ok(as_person(security())("patch", f"tools/{tool.name}", {"schema": anything}), 202)

    assert body["row"]["schema"] == tool.schema
    assert [each["kind"] for each in body["proposed"]] == ["tool.definition"]


# Agents


def test_an_agent_goes_live_over_rest() -> None:
    owner, tool = make_person(), make_tool()
    call = as_person(owner)
    limits = {"rate_per_minute": 5, "rate_per_hour": 50, "spend_cap_minor": 100}

    draft = ok(call("post", "agents", {"slug": "a1", "name": "A", "purpose": "Reads."}), 201)
    ok(call("patch", "agents/a1", limits))
    entry = ok(call("put", f"agents/a1/allowlist/{tool.name}", {"rate_per_hour": 7}))
    sent = ok(call("post", "agents/a1/submit"))
    back = ok(call("post", "agents/a1/withdraw"))
    ok(call("post", "agents/a1/submit"))
    live = ok(call("post", "agents/a1/attest", {}))
    secret = call("post", "agents/a1/secret")

    assert (draft["state"], draft["owner"], draft["tier"]) == ("draft", owner.email, "public")
    assert [(each["tool"], each["rate_per_hour"]) for each in entry["allowlist"]] == [
        (tool.name, 7)
    ]
    assert (sent["state"], back["state"], live["state"]) == ("in_review", "draft", "active")
    assert ok(call("get", "agents/a1")) == live
    assert live["tier"] == "internal"
    assert set(ok(secret)) == {"client_id", "client_secret"}
    assert secret["Cache-Control"] == "no-store"
    assert ok(call("post", "agents/a1/secret"))["client_secret"] != secret.json()["client_secret"]


def test_an_agent_is_stopped_started_and_loses_a_tool() -> None:
    agent = make_agent()
    call, at = as_person(agent.owner), f"agents/{agent.slug}"
    tool = agent.allowlist.get().tool

    stopped = ok(call("post", f"{at}/suspend", {"reason": "It loops."}))
    started = ok(call("post", f"{at}/resume"))
    less = ok(call("delete", f"{at}/allowlist/{tool.name}"))

    assert (stopped["state"], stopped["state_reason"]) == ("suspended", "It loops.")
    assert (started["state"], less["allowlist"]) == ("active", [])


def test_security_approves_a_confidential_agent() -> None:
    agent = make_agent(AgentState.IN_REVIEW, tier="confidential")
    at = f"agents/{agent.slug}"

    by_owner = as_person(agent.owner)("post", f"{at}/attest", {})
    outdated = as_person(security())("post", f"{at}/approve", {"reach_digest": "0" * 64})
    live = ok(as_person(security())("post", f"{at}/approve", {}))

    assert problem_of(by_owner, 403)["code"] == "not_allowed"
    assert problem_of(outdated, 409)["status"] == 409
    assert live["state"] == "active"


def test_what_widens_a_live_agent_waits_for_a_second_person() -> None:
    agent = make_agent(tier="confidential")
    call, at = as_person(agent.owner), f"agents/{agent.slug}"
    tool = make_tool()

    limits = ok(call("patch", at, {"spend_cap_minor": 900_000}), 202)
    entry = ok(call("put", f"{at}/allowlist/{tool.name}", {}), 202)

    assert limits["row"]["spend_cap_minor"] == 500
    assert tool.name not in [each["tool"] for each in entry["row"]["allowlist"]]
    kinds = [each["kind"] for body in (limits, entry) for each in body["proposed"]]
    assert kinds == ["agent.fields", "agent.allowlist"]


def test_a_state_that_does_not_allow_it_is_a_conflict() -> None:
    agent = make_agent()

    answer = as_person(agent.owner)("post", f"agents/{agent.slug}/submit")

    assert problem_of(answer, 409)["status"] == 409


def test_a_callback_is_registered_and_its_key_told(settings: Any) -> None:
    settings.MUSTER_EGRESS_ALLOWED = frozenset({"localhost:9443"})
    agent, url = make_agent(), "https://localhost:9443/told"
    call = as_person(agent.owner)
    ok(call("post", f"agents/{agent.slug}/secret"))

    told = ok(call("put", f"agents/{agent.slug}/callback", {"url": url}))
    inside = call("put", f"agents/{agent.slug}/callback", {"url": "https://127.0.0.1/"})
    nowhere = ok(call("put", f"agents/{agent.slug}/callback", {"url": ""}))

    assert (told["url"], len(told["callback_key"])) == (url, 64)
    assert problem_of(inside, 400)["code"] == "address_refused"
    assert (nowhere["url"], nowhere["callback_key"]) == ("", "")


# Who may not


ADDRESSES = [
    ("get", "people"), ("post", "people"), ("get", "people/x"), ("patch", "people/x"),
    ("put", "people/x/employment"), ("get", "systems"), ("post", "systems"), ("get", "systems/x"),
    ("patch", "systems/x"), ("get", "tools"), ("post", "tools"), ("get", "tools/x"),
    ("patch", "tools/x"), ("get", "agents"), ("post", "agents"), ("get", "agents/x"),
    ("patch", "agents/x"), ("put", "agents/x/allowlist/y"), ("delete", "agents/x/allowlist/y"),
    ("put", "agents/x/sub-agents/y"), ("delete", "agents/x/sub-agents/y"),
    ("post", "agents/x/submit"), ("post", "agents/x/withdraw"), ("post", "agents/x/attest"),
    ("post", "agents/x/approve"), ("post", "agents/x/suspend"), ("post", "agents/x/resume"),
    ("post", "agents/x/secret"), ("put", "agents/x/callback"), ("put", "gateways/x/callback"),
]  # fmt: skip


# Tested in tests/authz.
OF_OTHER_APPS = {
    *(
        "delegations",
        "decisions",
        "sessions",
        "policies",
        "roles",
        "relationships",
        "signatures",
        "holds",
    ),
    *("previews", "simulations", "coverage", "limits", "probes", "anomalies", "evidence"),
    *("reviews", "absences", "self-audit", "subjects"),
    *("campaigns", "candidates", "registrations", "provisioning", "observe", "check", "templates"),
    *("toxic", "toxic-findings", "cases", "leavers"),
    *("renewals", "renewal", "badge.svg", "badge.json"),
    *("decommissioning", "idle", "due", "strays", "sweeps", "imports"),
    *("records", "streams", "incidents", "grants", "deviations"),
    *("calls-without-decision", "tool-logs", "discoveries"),
    *("me", "holds", "inventory"),
}


@pytest.mark.parametrize(("method", "path"), ADDRESSES)
def test_nobody_gets_nothing(method: str, path: str) -> None:
    answer = as_person(None)(method, path, {} if method in {"post", "put", "patch"} else None)

    assert problem_of(answer, 401)["code"] == "not_authenticated"
    assert answer["WWW-Authenticate"] == 'Session realm="muster"'


@pytest.mark.parametrize(("method", "path"), [each for each in ADDRESSES if "/" in each[1]])
def test_what_is_not_there_is_not_found(method: str, path: str) -> None:
    answer = as_person(security())(method, path, {} if method in {"post", "put", "patch"} else None)

    assert problem_of(answer, 404)["code"] == "not_found"


def test_every_operation_is_in_the_lists_above(capsys: pytest.CaptureFixture[str]) -> None:
    call_command("spectacular", "--format", "openapi-json", "--validate", "--fail-on-warn")

    paths = json.loads(capsys.readouterr().out)["paths"]
    register = {
        (method, len(path.split("/")))
        for path, operations in paths.items()
        if path.startswith("/api/v1/") and OF_OTHER_APPS.isdisjoint(path.split("/"))
        for method in operations
    }
    assert register == {(method, len((API + path).split("/"))) for method, path in ADDRESSES}


def test_what_one_may_not_see_is_not_found() -> None:
    agent = make_agent()
    stranger = as_person(make_person())

    seen = stranger("get", f"agents/{agent.slug}")
    stopped = stranger("post", f"agents/{agent.slug}/suspend", {"reason": "x"})

    assert problem_of(seen, 404)["code"] == "not_found"
    assert problem_of(stopped, 404)["code"] == "not_found"
    agent.refresh_from_db()
    assert agent.state == AgentState.ACTIVE


def test_a_reader_reads_and_changes_nothing() -> None:
    agent, call = make_agent(), as_person(make_person(GroupName.AUDITOR))

    read = ok(call("get", f"agents/{agent.slug}"))
    stopped = call("post", f"agents/{agent.slug}/suspend", {"reason": "x"})
    secret = call("post", f"agents/{agent.slug}/secret")

    assert read["slug"] == agent.slug
    assert problem_of(stopped, 403)["code"] == "not_allowed"
    assert problem_of(secret, 403)["code"] == "not_allowed"


def test_a_write_without_the_csrf_token_is_refused() -> None:
    client = Client(enforce_csrf_checks=True)
    client.force_login(security(), backend=sign_in.BACKEND)

    answer = client.post(f"{API}systems", {"slug": "x"}, content_type="application/json")

    assert problem_of(answer, 403)["code"] == "permission_denied"
    assert not System.objects.filter(slug="x").exists()


def test_an_approver_without_a_second_factor_is_told_so(settings: Any) -> None:
    settings.MUSTER_APPROVER_MFA = True

    answer = as_person(security())("get", "agents")

    assert problem_of(answer, 403)["code"] == "second_factor"


# Lists


def make_rows(count: int) -> None:
    for _ in range(count):
        agent = make_agent()
        agent.owner.manager = make_person(GroupName.AUDITOR)
        agent.owner.save()


@pytest.mark.parametrize("noun", ["people", "systems", "tools", "agents"])
def test_a_list_asks_as_much_for_three_rows_as_for_one(noun: str) -> None:
    call = as_person(security())
    make_rows(1)
    ok(call("get", noun))

    with CaptureQueriesContext(connection) as once:
        ok(call("get", noun))
    make_rows(2)
    with CaptureQueriesContext(connection) as thrice:
        rows = ok(call("get", noun))["results"]

    assert len(rows) >= 3
    assert len(once) == len(thrice), [each["sql"] for each in thrice]


@pytest.mark.parametrize("address", ["/agents/?all=1", "/admin/registry/agent/"])
def test_a_page_of_agents_asks_as_much_for_three_rows_as_for_one(address: str) -> None:
    client = Client()
    client.force_login(_staff(), backend=sign_in.BACKEND)
    make_rows(1)
    client.get(address)

    with CaptureQueriesContext(connection) as once:
        client.get(address)
    make_rows(2)
    with CaptureQueriesContext(connection) as thrice:
        page = client.get(address)

    assert page.status_code == 200
    assert all(slug in page.content.decode() for slug in Agent.objects.values_list("slug", flat=1))
    assert len(once) == len(thrice), [each["sql"] for each in thrice]


def _staff() -> Person:
    person = security()
    person.is_staff = True
    person.save()
    return person


def test_pages_are_bounded() -> None:
    call = as_person(security())
    for number in range(3):
        make_system(slug=f"s{number}")

    first = ok(call("get", "systems?page_size=2"))
    last = ok(call("get", "systems?page_size=2&page=2"))
    most = ok(call("get", "systems?page_size=100000"))

    slugs = [row["slug"] for row in (*first["results"], *last["results"])]
    assert (first["count"], slugs) == (3, ["s0", "s1", "s2"])
    assert (first["previous"], last["next"]) == (None, None)
    assert len(most["results"]) == 3
    for page in ("0", "-1", "99", "x", "1e3", "9" * 400):
        assert problem_of(call("get", f"systems?page={page}"), 404)["code"] == "not_found"


# Hostile bodies


BODIES = {
    "nul": b'{"slug": "x", "name": "a\\u0000b"}',
    "twice": b'{"slug": "x", "slug": "y"}',
    "deep": b'{"slug": ' + b"[" * 5000 + b"]" * 5000 + b"}",
    "surrogate": b'{"slug": "x", "name": "\\ud800"}',
    "not utf-8": b'{"slug": "\xff"}',
    "infinity": b'{"slug": "x", "cost_minor": 1e999}',
    "entity": b'{"slug": "x", "attributes": {"__entity": {}}}',
    "bytes": b"\x00\x01",
    "half": b'{"slug": ',
    "huge": b'{"slug": "' + b"a" * 300_000 + b'"}',
    "empty": b"",
    "list": b"[]",
    "null": b"null",
    "text": b'"x"',
    "number": b"7",
}
WRITES = [
    ("post", "people"), ("patch", "people/{pid}"), ("put", "people/{pid}/employment"),
    ("post", "systems"), ("patch", "systems/{system}"), ("post", "tools"),
    ("patch", "tools/{tool}"), ("post", "agents"), ("patch", "agents/{agent}"),
    ("put", "agents/{agent}/allowlist/{tool}"), ("post", "agents/{agent}/attest"),
    ("post", "agents/{agent}/suspend"),
]  # fmt: skip


def addresses() -> dict[str, str]:
    """What the braces of WRITES stand for: one row of each noun."""
    agent = make_draft()
    tool = agent.allowlist.get().tool
    row = {"agent": agent.slug, "tool": tool.name, "system": tool.system.slug}
    return {**row, "pid": make_person().pid}


def test_bodies_that_are_no_object_are_refused() -> None:
    call, names = as_person(security()), addresses()
    told = {
        (method, path, name): call(method, path.format(**names), raw=body)
        for method, path in WRITES
        for name, body in BODIES.items()
    }

    for (_, path, name), answer in told.items():
        if name == "empty" and answer.status_code in {200, 403}:
            continue  # What needs no body reads none as an empty object.
        assert (path, name, problem_of(answer, 400)["status"]) == (path, name, 400)


SHAPES: dict[str, type[serializers.Serializer[Any]]] = {
    "people": shapes.NewPersonIn,
    "people/{pid}": shapes.PersonIn,
    "people/{pid}/employment": shapes.EmploymentIn,
    "systems": shapes.NewSystemIn,
    "systems/{system}": shapes.SystemIn,
    "tools": shapes.NewToolIn,
    "tools/{tool}": shapes.ToolIn,
    "agents": shapes.NewAgentIn,
    "agents/{agent}": shapes.AgentIn,
    "agents/{agent}/allowlist/{tool}": shapes.EntryIn,
    "agents/{agent}/attest": shapes.ReachDigestIn,
    "agents/{agent}/suspend": shapes.ReasonIn,
}
WRONG: list[Any] = [
    None, True, 0, -1, 2**53 - 1, 1.5, "", "x", "é\u202e\u200b", "\x1b[31m", "a" * 20_000,
    [], [None], [[]], ["x", 7], {}, {"x": None}, {"$ref": "#"}, {"a": {"b": [1]}},
    [{"name": None}], [{"name": "x" * 300, "match": {}}], [{"system": 1, "direction": []}],
    "2026-13-45", "9999999-01-01",
]  # fmt: skip


# A third of the values in each field, another one in the next; all of them under --all.
@pytest.mark.parametrize("step", [3, pytest.param(1, marks=pytest.mark.fuzz)])
@pytest.mark.parametrize(("method", "path"), WRITES)
def test_wrong_types_in_every_field_are_refused_or_read(method: str, path: str, step: int) -> None:
    call, names = as_person(security()), addresses()
    whole = {
        "people": {"name": "Ada", "email": "ada@example.org"},
        "systems": {"slug": "new", "name": "New"},
        "tools": {"name": "new.tool", "system": names["system"], "effect": "read"},
        "agents": {"slug": "new", "name": "New", "purpose": "Reads."},
        "people/{pid}/employment": {"employment": "employed"},
    }.get(path, {})

    for number, name in enumerate(SHAPES[path]().fields):
        for value in WRONG[number % step :: step]:
            answer = call(method, path.format(**names), {**whole, name: value})

            assert answer.status_code in {200, 201, 202, 400, 403, 404, 409}, (name, value)
            if answer.status_code >= 400:
                problem_of(answer, answer.status_code)


def test_another_media_type_is_refused() -> None:
    client = Client()
    client.force_login(security(), backend=sign_in.BACKEND)

    answer = client.post(f"{API}systems", "slug=x", content_type="text/plain")

    assert problem_of(answer, 415)["code"] == "unsupported_media_type"


@pytest.mark.parametrize("path", ["agents/a%00b", "systems?page=%00", "tools/%00"])
def test_nul_in_an_address_is_refused(path: str) -> None:
    answer = as_person(security())("get", path)

    assert problem_of(answer, 400)["code"] == "invalid"


@pytest.mark.parametrize("path", ["/agents/a%00b/", "/trail/?agent=%00", "/admin/?q=%00"])
def test_nul_in_the_address_of_a_page_is_refused(path: str) -> None:
    page = Client().get(path)

    assert page.status_code == 400
    assert "That request cannot be understood" in page.content.decode()


def test_a_number_that_is_none_has_no_page_in_the_admin() -> None:
    client = Client()
    client.force_login(_staff(), backend=sign_in.BACKEND)

    for noun in ("agent", "proposedchange"):
        assert client.get(f"/admin/registry/{noun}/not-a-number/change/").status_code == 302
    assert client.post("/admin/registry/agent/not-a-number/suspend/").status_code == 404


@pytest.mark.parametrize(("noun", "field"), [("person", "manager"), ("system", "owner")])
def test_a_form_of_the_admin_comes_back_with_what_is_wrong(noun: str, field: str) -> None:
    client = Client()
    client.force_login(_staff(), backend=sign_in.BACKEND)

    page = client.post(f"/admin/registry/{noun}/add/", {"name": "N", field: "null"})

    assert page.status_code == 200
    assert field in page.context["adminform"].form.errors
