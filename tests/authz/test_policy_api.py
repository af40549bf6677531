"""Policies, roles and relationships over REST: each operation by each role, hostile bodies."""

import json

import pytest
from django.core.management import call_command
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from authz import services
from authz.models import Policy, Relationship, Role
from authz.services import PolicyDraft
from registry import sign_in
from registry.models import ProposedChange
from tests.factories.authz import make_person

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("one_factor")]

FORBID = "forbid(principal, action, resource);"
PROBLEM = "application/problem+json"
GROUPS = ["security", "platform_admin", "dpo", "auditor", "source_owner", ""]
MAY_WRITE = {"security", "platform_admin"}
TUPLE = {
    "resource_type": "document",
    "resource_id": "17",
    "relation": "owner",
    "subject_type": "person",
    "subject_id": "p_x",
}


def as_person(person, **how):
    client = Client(**how)
    if person:
        client.force_login(person, backend=sign_in.BACKEND)

    def call(method, path, body=None, raw=None):
        content = raw if raw is not None else b"" if body is None else json.dumps(body).encode()
        place = f"/api/v1/{path}"
        return client.generic(method, place, content, content_type="application/json")

    return call


def ok(answer, status=200):
    assert answer.status_code == status, answer.content
    return answer.json()


def problem(answer, status):
    assert (answer.status_code, answer["Content-Type"]) == (status, PROBLEM), answer.content
    return answer.json()


def permit(desk, condition=""):
    return f'permit(principal, action == Muster::Action::"{desk.tool.name}", resource){condition};'


def case(desk, effect="allow", **request):
    asked = {"agent": desk.agent.slug, "tool": desk.tool.name, "parameters": {"claim": "CL-1"}}
    return {"name": "pays", "effect": effect, "request": asked | request}


# The life of a policy


def test_from_draft_to_force_to_the_end(desk, ann, ben):
    call, second = as_person(ann), as_person(ben)
    body = {"text": permit(desk), "description": "Pays", "cases": [case(desk)], "why": "Refunds"}

    drafted = ok(call("PUT", "policies/cap/draft", body))
    again = ok(call("PUT", "policies/cap/draft", body | {"seen": 1}))
    proposed = ok(call("POST", "policies/cap/versions/1/propose", {"seen": 2}))
    agreed = ok(second("POST", "policies/cap/versions/1/agree", {"answer": "Good."}))
    retired = ok(call("POST", "policies/cap/retire", {"why": "Over."}))

    assert (drafted["state"], drafted["edits"], again["edits"]) == ("draft", 1, 2)
    assert (proposed["state"], proposed["proposed_by"]) == ("proposed", ann.email)
    assert (agreed["state"], agreed["agreed_by"], agreed["uid"]) == ("active", ben.email, "cap@v1")
    assert (retired["state"], retired["ended_why"]) == ("retired", "Over.")
    assert retired["cases"] == [case(desk)]


def test_narrowing_is_in_force_at_once(desk, ann):
    call = as_person(ann)

    ok(call("PUT", "policies/freeze/draft", {"text": FORBID}))

    assert ok(call("POST", "policies/freeze/versions/1/propose", {"seen": 1}))["state"] == "active"


def test_draft_that_moved_is_a_conflict(desk, ann, ben):
    ok(as_person(ann)("PUT", "policies/cap/draft", {"text": permit(desk)}))
    ok(as_person(ben)("PUT", "policies/cap/draft", {"text": FORBID, "seen": 1}))

    told = problem(as_person(ann)("PUT", "policies/cap/draft", {"text": "x", "seen": 1}), 409)

    assert told["code"] == "draft_moved"
    assert Policy.objects.get().text == FORBID


def test_failing_cases_are_named_and_stop_it(desk, ann):
    call = as_person(ann)
    ok(call("PUT", "policies/cap/draft", {"text": permit(desk), "cases": [case(desk, "deny")]}))

    run = ok(call("POST", "policies/cap/versions/1/cases"))
    told = problem(call("POST", "policies/cap/versions/1/propose", {"seen": 1}), 409)

    (result,) = run["results"]
    assert (result["passed"], result["wanted"], result["got"]) == (False, "deny", "allow")
    assert told["code"] == "policy_cases_fail"
    assert told["errors"]["cases"] == ["Case “pays” wanted deny and got allow. Allowed."]


def test_check_saves_nothing_and_says_where(desk, ann):
    text = "permit(\n principal, action, resource) when { context.nothing };"

    told = ok(as_person(ann)("POST", "policies/check", {"text": text, "cases": [case(desk)]}))

    assert {(one["line"], one["column"]) for one in told["problems"]} == {(2, 46)}
    assert told["results"][0]["name"] == "pays"
    assert Policy.objects.count() == 0


def test_reject_withdraw_and_discard(desk, ann, ben):
    call, second = as_person(ann), as_person(ben)
    ends = {}
    for number, word in enumerate(["reject", "withdraw", "discard"], 1):
        ok(call("PUT", "policies/cap/draft", {"text": permit(desk)}))
        place = f"policies/cap/versions/{number}"
        if word == "discard":
            ends[word] = ok(call("POST", f"{place}/discard", {"seen": 1}))
            continue
        ok(call("POST", f"{place}/propose", {"seen": 1}))
        who, body = (second, {"answer": "No."}) if word == "reject" else (call, None)
        ends[word] = ok(who("POST", f"{place}/{word}", body))

    assert {word: end["state"] for word, end in ends.items()} == dict.fromkeys(ends, "retired")
    assert ends["reject"]["ended_why"] == "No."


def test_second_agreement_is_too_late(desk, ann, ben):
    policy = services.propose_policy(slug="cap", text=permit(desk), by=ann)
    services.agree_policy(policy_id=policy.pk, by=ben)

    told = problem(as_person(ben)("POST", "policies/cap/versions/1/agree", {}), 409)

    assert told["code"] == "policy_decided"


def test_lists_tell_current_versions_or_one_state(desk, ann):
    services.propose_policy(slug="cap", text=permit(desk), by=ann)
    services.propose_policy(slug="freeze", text=FORBID, by=ann)
    services.save_draft(draft=PolicyDraft("idea", "x"), by=ann)
    call = as_person(ann)

    def uids(path):
        return [one["uid"] for one in ok(call("GET", path))["results"]]

    assert uids("policies") == ["cap@v1", "idea@v1", "freeze@v1"]
    assert uids("policies?state=active") == ["freeze@v1"]
    assert uids("policies?q=cap") == ["cap@v1"]
    assert uids("policies/cap/versions") == ["cap@v1"]
    assert ok(call("GET", "policies/cap/versions/1"))["text"] == permit(desk)


# Roles and relationships


def test_role_is_made_changed_and_what_widens_waits(desk, ann):
    call = as_person(ann)

    made = ok(call("POST", "roles", {"slug": "clerks", "description": "Clerks"}), 201)
    tools = ok(call("PATCH", "roles/clerks", {"tools": [desk.tool.name]}))
    waiting = ok(call("PATCH", "roles/clerks", {"agents": [desk.agent.slug]}), 202)
    taken = ok(call("PATCH", f"roles/{desk.role.slug}", {"tools": []}))

    assert (made["tools"], tools["tools"]) == ([], [desk.tool.name])
    assert waiting["row"]["agents"] == []
    assert [one["kind"] for one in waiting["proposed"]] == ["role.grants"]
    assert taken["tools"] == []
    assert problem(call("POST", "roles", {"slug": "clerks"}), 409)["status"] == 409


def test_relationships_wait_where_a_policy_reads_them(desk, ann, ben):
    call = as_person(ann)

    first = ok(call("POST", "relationships", TUPLE), 201)
    again = ok(call("POST", "relationships", TUPLE))
    text = permit(desk, " when { resource is Muster::System }") + (
        "permit(principal, action, resource) when { resource has owner };"
    )
    Policy.objects.create(
        slug="owned", text=text, state="active", activated_at=desk.agent.activated_at
    )
    waiting = ok(call("POST", "relationships", TUPLE | {"resource_id": "18"}), 202)
    leaving = ok(call("DELETE", f"relationships/{first['id']}"), 202)
    other = ok(call("POST", "relationships", TUPLE | {"relation": "shared-with"}), 201)

    assert (first["id"], other["relation"]) == (again["id"], "shared-with")
    assert waiting["proposed"][0]["kind"] == "relationship.add"
    assert leaving["proposed"][0]["kind"] == "relationship.remove"
    assert Relationship.objects.count() == 2
    ok(call("DELETE", f"relationships/{other['id']}"))
    assert Relationship.objects.count() == 1


# Who may


def _operations(desk):
    return {
        ("PUT", "policies/other/draft"): {"text": FORBID},
        ("POST", "policies/check"): {"text": FORBID},
        ("POST", "policies/cap/versions/1/propose"): {"seen": 1},
        ("POST", "policies/cap/versions/1/discard"): {"seen": 1},
        ("POST", "policies/freeze/retire"): {"why": "x"},
        ("POST", "roles"): {"slug": "clerks"},
        ("PATCH", f"roles/{desk.role.slug}"): {"description": "x"},
        ("POST", "relationships"): TUPLE,
    }


READS = [
    "policies",
    "policies/cap/versions",
    "policies/cap/versions/1",
    "roles",
    "relationships",
]
# Those that have tests of their own: the second person's, one's own, one row.
OTHERS = {
    ("POST", "policies/cap/versions/1/cases"),
    ("POST", "policies/cap/versions/1/agree"),
    ("POST", "policies/cap/versions/1/reject"),
    ("POST", "policies/cap/versions/1/withdraw"),
    ("GET", "roles/clerks"),
    ("DELETE", "relationships/1"),
}


def test_every_operation_that_is_described_is_tested(desk, capsys):
    call_command("spectacular", "--format", "openapi-json")
    paths = json.loads(capsys.readouterr().out)["paths"]
    tested = {*(("GET", path) for path in READS), *_operations(desk), *OTHERS}

    def shape(method, path):
        names = ["" if part.startswith("{") else part for part in path.split("/")]
        return method, *names

    described = {
        shape(method.upper(), path.removeprefix("/api/v1/"))
        for path, operations in paths.items()
        if path.startswith(("/api/v1/policies", "/api/v1/roles", "/api/v1/relationships"))
        for method in operations
    }
    values = {"cap", "other", "freeze", "clerks", "1", desk.role.slug}
    reached = {
        shape(method, "/".join("{x}" if part in values else part for part in path.split("/")))
        for method, path in tested
    }
    assert described == reached


@pytest.mark.parametrize("group", GROUPS)
def test_every_operation_by_every_role(desk, ann, group):
    services.save_draft(draft=PolicyDraft("cap", permit(desk)), by=ann)
    services.propose_policy(slug="freeze", text=FORBID, log_only=True, by=ann)
    call = as_person(make_person(groups=[group] if group else []))

    reads = {path: call("GET", path).status_code for path in READS}
    writes = {place: call(*place, body).status_code for place, body in _operations(desk).items()}

    assert reads == dict.fromkeys(READS, 200)
    if group in MAY_WRITE:
        discard = ("POST", "policies/cap/versions/1/discard")
        assert {code for place, code in writes.items() if place != discard} <= {200, 201, 202}
        assert writes[discard] == 409
    else:
        assert writes == dict.fromkeys(writes, 403)
        assert [one.state for one in Policy.objects.order_by("slug")] == ["draft", "active"]


def test_answers_by_every_role(desk, ann):
    told = {}
    for group in GROUPS:
        policy = services.propose_policy(
            slug=f"cap-{group or 'nobody'}".replace("_", "-"), text=permit(desk), by=ann
        )
        call = as_person(make_person(groups=[group] if group else []))
        told[group] = call("POST", f"policies/{policy.slug}/versions/1/agree", {}).status_code

    assert told == {group: 200 if group == "security" else 403 for group in GROUPS}


def test_nobody_signed_in_is_told_so(desk, ann):
    services.save_draft(draft=PolicyDraft("cap", permit(desk)), by=ann)
    call = as_person(None)
    places = [*(("GET", path) for path in READS), *_operations(desk)]

    told = {place: call(*place, {} if place[0] != "GET" else None).status_code for place in places}

    assert told == dict.fromkeys(places, 401)


def test_writes_want_the_csrf_token(desk, ann):
    call = as_person(ann, enforce_csrf_checks=True)

    told = {place: call(*place, body).status_code for place, body in _operations(desk).items()}

    assert told == dict.fromkeys(told, 403)
    assert Policy.objects.count() == 0


# Hostile bodies


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"text": ""},
        {"text": "x" * 70_000},
        {"text": "permit(", "cases": {}},
        {"text": "permit(", "cases": [None]},
        {"text": "permit(", "cases": [{"name": "x"}]},
        {"text": "permit(", "seen": -1},
        {"text": "permit(", "seen": 2**40},
        {"text": 5, "cases": "x"},
        {"text": "permit(", "description": "\u0007"},
        {"text": "permit(", "why": "x" * 501},
    ],
)
def test_broken_drafts_are_refused(ann, body):
    told = as_person(ann)("PUT", "policies/cap/draft", body)

    assert (told.status_code, told["Content-Type"]) == (400, PROBLEM)
    assert Policy.objects.count() == 0


@pytest.mark.parametrize(
    "raw",
    [
        b'{"text": "a\\u0000b"}',
        b'{"text": "\\ud800"}',
        b'{"text": "a", "text": "b"}',
        b"[" * 5000,
        b'{"text": "x", "cases": [{"name": "n", "request": {"parameters": {"__entity": 1}}}]}',
    ],
)
def test_json_that_two_readers_read_in_two_ways_is_refused(ann, raw):
    told = as_person(ann)("PUT", "policies/cap/draft", raw=raw)

    assert (told.status_code, told["Content-Type"]) == (400, PROBLEM)
    assert Policy.objects.count() == 0


@pytest.mark.parametrize("text", ["(" * 5000, "\n" * 60_000, '"' * 3000, "\u202e", "<script>"])
def test_hostile_texts_are_checked_and_kept_as_drafts(ann, text):
    call = as_person(ann)

    checked = ok(call("POST", "policies/check", {"text": text}))
    kept = ok(call("PUT", "policies/cap/draft", {"text": text}))
    sent = call("POST", "policies/cap/versions/1/propose", {"seen": 1})

    assert checked["problems"] != []
    assert kept["text"] == text
    assert problem(sent, 400)["code"] == "bad_policy"


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "policies/nope/versions"),
        ("GET", "policies/cap/versions/99999999999999999999"),
        ("POST", "policies/nope/retire"),
        ("GET", "roles/nope"),
        ("DELETE", "relationships/99999999999999999999"),
        ("DELETE", "relationships/1"),
    ],
)
def test_what_is_not_there(ann, method, path):
    assert problem(as_person(ann)(method, path, {} if method == "POST" else None), 404)


@pytest.mark.parametrize("slug", ["UPPER", "a b", "new", "é", "a--b"])
def test_names_that_are_none(ann, slug):
    assert problem(as_person(ann)("PUT", f"policies/{slug}/draft", {"text": FORBID}), 400)
    assert problem(as_person(ann)("POST", "roles", {"slug": slug}), 400)


# Lists


def test_lists_run_as_many_queries_for_three_rows_as_for_one(desk, ann):
    call = as_person(ann)

    def queries():
        counted = {}
        for path in ("policies", "roles", "relationships", "policies/cap/versions"):
            with CaptureQueriesContext(connection) as caught:
                ok(call("GET", path))
            counted[path] = len(caught)
        return counted

    def more(number):
        services.propose_policy(slug=f"freeze-{number}", text=FORBID, by=ann)
        Role.objects.create(slug=f"role-{number}").tools.add(desk.tool)
        services.save_relationship(**(TUPLE | {"resource_id": str(number)}), by=ann)

    services.propose_policy(slug="cap", text=FORBID, log_only=True, by=ann)
    more(1)
    call("GET", "policies")
    one = queries()
    services.propose_policy(slug="cap", text=permit(desk), by=ann)
    more(2)
    more(3)

    assert queries() == one


def test_changes_of_a_widening_role_are_counted_once(desk, ann):
    call = as_person(ann)
    services.save_role(slug="clerks", tools=[desk.tool], by=ann)

    for _ in range(2):
        ok(call("PATCH", "roles/clerks", {"agents": [desk.agent.slug]}), 202)

    assert ProposedChange.objects.filter(kind="role.grants").count() == 1
