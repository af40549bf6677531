"""The decision API over HTTP."""

import json
from uuid import UUID

import pytest

from audit.sealing import receipts
from tests.factories.authz import bearer, make_client, make_desk, make_person, make_policy, observed

pytestmark = pytest.mark.django_db

EVALUATION = "/access/v1/evaluation"
EVALUATIONS = "/access/v1/evaluations"


@pytest.fixture
def post(client):
    """`post(path, body, client_row, **headers)`: the response to a JSON request."""

    def send(path, body, row=None, *, content_type="application/json", **headers):
        if row is not None:
            headers["authorization"] = bearer(row)
        raw = body if isinstance(body, bytes) else json.dumps(body).encode()
        return client.post(path, data=raw, content_type=content_type, headers=headers)

    return send


@pytest.fixture
def get(client):
    def ask(path, row):
        return client.get(path, headers={"authorization": bearer(row)})

    return ask


def test_evaluation_allowed(post, mark, records_after):
    desk, before = make_desk(), mark()

    answer = post(EVALUATION, desk.body(), desk.client)

    (record,) = records_after(before, kind="decision")
    assert (answer.status_code, answer["Content-Type"]) == (200, "application/json")
    told = answer.json()
    receipt = told["context"].pop("receipt")
    assert receipt.pop("record") == str(record["id"])
    assert receipt["leaf"] == bytes(record["leaf"]).hex()
    assert receipts.verify(
        receipts.Receipt(**{**receipt, "path": tuple(receipt["path"])}),
        [receipts._signer().verifier],
    )
    assert told == {
        "decision": True,
        "context": {
            "decision_id": str(record["id"]),
            "effect": "allow",
            "check": "",
            "code": "",
            "reason": "",
            "message": "Allowed.",
            "policies": [],
            "obligations": [],
            "remedies": [],
            "classification": "internal",
            "limits": [
                {"scope": "agent", "window": "minute", "limit": 60, "remaining": 59},
                {"scope": "agent", "window": "hour", "limit": 600, "remaining": 599},
                {
                    "scope": "agent",
                    "window": "day",
                    "limit": 10_000,
                    "remaining": 10_000,
                    "unit": "minor",
                    "currency": "EUR",
                },
            ],
        },
    }


def test_evaluation_denied(post):
    desk = make_desk()
    body = desk.body(action={"name": "refund.everything"})

    told = post(EVALUATION, body, desk.client).json()

    assert told["decision"] is False
    assert told["context"]["code"] == "allowlist.not_listed"
    assert told["context"]["message"].startswith(f"{desk.agent.slug} may not call")
    assert told["context"]["remedies"] == [
        {
            "kind": "add_to_allowlist",
            "agent": desk.agent.slug,
            "tool": "refund.everything",
            "message": "Ask the owner to add the tool to the agent's allowlist.",
        }
    ]


def test_evaluation_bare(post):
    desk = make_desk()

    answer = post(EVALUATION, desk.body(), desk.client, muster_answer="bare")

    assert answer.content == b'{"decision":true}'


@pytest.mark.parametrize("sent", ["abc-123", "x" * 128, 'with "quotes" and spaces'])
def test_request_id_is_echoed(post, sent):
    desk = make_desk()

    answer = post(EVALUATION, desk.body(), desk.client, x_request_id=sent)

    assert answer["X-Request-ID"] == sent


@pytest.mark.parametrize("sent", ["x" * 129, "naïve", "tab\there"])
def test_request_id_is_not_echoed(post, sent):
    desk = make_desk()

    answer = post(EVALUATION, desk.body(), desk.client, x_request_id=sent)

    assert (answer.status_code, answer.has_header("X-Request-ID")) == (200, False)


@pytest.mark.parametrize("path", [EVALUATION, EVALUATIONS])
@pytest.mark.parametrize(
    "sent",
    [
        (b"{}", "text/plain", "content_type"),
        (b"{}", "application/x-www-form-urlencoded", "content_type"),
        (b"", "application/json", "empty_body"),
        (b"{", "application/json", "bad_json"),
        (b'{"a":1,"a":2}', "application/json", "bad_json"),
        (b'{"a":"\\u0000"}', "application/json", "bad_json"),
        (b'{"a":"\\ud800"}', "application/json", "bad_json"),
        (b'{"a":{"__entity":1}}', "application/json", "bad_json"),
        (b'{"a":9007199254740992}', "application/json", "bad_json"),
        (b"[" * 33 + b"]" * 33, "application/json", "bad_json"),
        (b'{"a":"' + b"x" * (256 * 1024) + b'"}', "application/json", "too_large"),
        (b"[]", "application/json", "bad_request"),
        (b"null", "application/json", "bad_request"),
    ],
)
def test_evaluation_bad_request(post, mark, path, sent):
    raw, content_type, code = sent
    desk, before = make_desk(), mark()

    answer = post(path, raw, desk.client, content_type=content_type, x_request_id="r-1")

    told = answer.json()
    assert (answer.status_code, answer["Content-Type"]) == (400, "application/problem+json")
    assert (told["status"], told["code"]) == (400, code)
    assert "decision" not in told
    assert answer["X-Request-ID"] == "r-1"
    assert mark() == before


@pytest.mark.parametrize("accept", ["text/html", "application/xml", "image/png;q=1"])
def test_evaluation_whatever_is_accepted(post, accept):
    desk = make_desk()

    answer = post(EVALUATION, desk.body(), desk.client, accept=accept)

    assert (answer.status_code, answer["Content-Type"]) == (200, "application/json")


@pytest.mark.parametrize("authorization", ["", "Bearer nonsense", "Basic YTpi", "Bearer ", "x"])
def test_evaluation_unauthenticated(post, mark, records_after, authorization):
    desk, before = make_desk(), mark()

    answers = [
        post(EVALUATION, desk.body(), authorization=authorization, x_request_id="r") for _ in "12"
    ]

    assert [answer.status_code for answer in answers] == [401, 401]
    assert answers[0]["WWW-Authenticate"].startswith('Bearer realm="muster"')
    assert answers[0]["X-Request-ID"] == "r"
    assert "decision" not in answers[0].json()
    assert [record["code"] for record in records_after(before)] == ["caller.unauthenticated"]


def test_unauthenticated_callers_are_counted(post):
    from registry.models import UnregisteredCaller

    for _ in range(3):
        post(EVALUATION, {})

    (caller,) = UnregisteredCaller.objects.all()
    assert (caller.source, caller.claimed, caller.count) == ("127.0.0.1", "", 3)


def test_unknown_agents_are_recorded_each_time_and_listed(post, mark, records_after):
    from registry.models import UnregisteredCaller

    desk, before = make_desk(), mark()
    body = desk.body(subject={"type": "agent", "id": "sales-forecast"})

    told = [post(EVALUATION, body, desk.gateway_client).json() for _ in "123"]

    (caller,) = UnregisteredCaller.objects.all()
    assert {each["context"]["code"] for each in told} == {"identity.unknown_agent"}
    assert (caller.claimed, caller.gateway, caller.count) == ("sales-forecast", desk.gateway, 3)
    assert len(records_after(before, kind="decision")) == 3


def test_unknown_agents_in_a_batch_are_listed(post):
    from registry.models import UnregisteredCaller

    desk = make_desk()
    subjects = [{"type": "agent", "id": name} for name in ("export-helper", desk.agent.slug)]
    body = {**desk.body(), "evaluations": [{"subject": subject} for subject in subjects]}

    post(EVALUATIONS, body, desk.gateway_client)

    assert [caller.claimed for caller in UnregisteredCaller.objects.all()] == ["export-helper"]


@pytest.mark.parametrize("method", ["get", "put", "patch", "delete", "options"])
def test_evaluation_other_methods(client, method):
    answer = getattr(client, method)(EVALUATION)

    assert (answer.status_code, answer["Allow"]) == (405, "POST")
    assert answer["Content-Type"] == "application/problem+json"


def test_gateway_asks_for_a_person(post):
    desk = make_desk()
    person = make_person()
    desk.role.people.add(person)
    body = desk.body(subject={"type": "user", "id": person.pid})

    told = post(EVALUATION, body, desk.gateway_client).json()

    assert told["decision"] is True


def test_agent_may_not_ask_for_a_person(post):
    desk = make_desk()
    body = desk.body(subject={"type": "user", "id": desk.owner.pid})

    told = post(EVALUATION, body, desk.client).json()

    assert (told["decision"], told["context"]["code"]) == (False, "identity.gateway_required")


def test_agent_may_not_ask_for_another(post):
    desk, other = make_desk(), make_desk()

    told = post(EVALUATION, other.body(), desk.client).json()

    assert (told["decision"], told["context"]["code"]) == (False, "identity.mismatch")


def test_observed_answer_says_go_on(post):
    desk = make_desk(agent_fields=observed())
    desk.agent.clearances.create(
        reach_digest="", tier="internal", basis="security", by=make_person(), at="2026-01-01T00:00Z"
    )
    desk.role.agents.clear()

    told = post(EVALUATION, desk.body(), desk.client).json()

    assert told["decision"] is True
    assert told["context"]["effect"] == "allow"
    assert told["context"]["observe"] == {"would": "deny", "check": "role", "code": "role.none"}


def test_evaluations_execute_all(post, mark, records_after):
    desk, before = make_desk(), mark()
    body = {
        **desk.body(),
        "evaluations": [{}, {"action": {"name": "refund.everything"}}, {"resource": {"type": "x"}}],
    }

    answer = post(EVALUATIONS, body, desk.client)

    told = answer.json()["evaluations"]
    assert [each["decision"] for each in told] == [True, False, False]
    assert told[2]["context"]["code"] == "parameters.malformed"
    assert told[2]["context"]["error"] == {"status": 400, "message": "resource.id is missing."}
    assert [record["code"] for record in records_after(before, kind="decision")] == [
        "",
        "allowlist.not_listed",
        "parameters.malformed",
    ]


@pytest.mark.parametrize(
    "case",
    [
        ("deny_on_first_deny", "yes no yes", [True, False]),
        ("deny_on_first_deny", "yes yes", [True, True]),
        ("permit_on_first_permit", "no yes no", [False, True]),
        ("permit_on_first_permit", "no bad no", [False, False, False]),
        ("deny_on_first_deny", "bad yes", [False]),
    ],
)
def test_evaluations_cut_short(post, mark, records_after, case):
    semantic, names, decisions = case
    desk, before = make_desk(), mark()
    items = {"yes": {}, "no": {"action": {"name": "refund.no"}}, "bad": {"action": {}}}
    body = {
        **desk.body(),
        "evaluations": [items[name] for name in names.split()],
        "options": {"evaluations_semantic": semantic},
    }

    answer = post(EVALUATIONS, body, desk.client, muster_answer="bare")

    assert answer.json() == {"evaluations": [{"decision": each} for each in decisions]}
    assert len(records_after(before, kind="decision")) == len(decisions)


@pytest.mark.parametrize("more", [{}, {"evaluations": []}])
def test_evaluations_without_items(post, more):
    desk = make_desk()

    answer = post(EVALUATIONS, {**desk.body(), **more}, desk.client, muster_answer="bare")

    assert answer.content == b'{"decision":true}'


def test_metadata(client, settings):
    settings.MUSTER_BASE_URL = "https://muster.example"

    answer = client.get("/.well-known/authzen-configuration")

    assert answer.json() == {
        "policy_decision_point": "https://muster.example",
        "access_evaluation_endpoint": "https://muster.example/access/v1/evaluation",
        "access_evaluations_endpoint": "https://muster.example/access/v1/evaluations",
        "search_subject_endpoint": "https://muster.example/access/v1/search/subject",
        "search_resource_endpoint": "https://muster.example/access/v1/search/resource",
        "search_action_endpoint": "https://muster.example/access/v1/search/action",
        "access_request_endpoint": "https://muster.example/access/v1/requests",
        "capabilities": ["urn:openid:authzen:capability:access-request"],
    }


def test_policy_names_are_told(post):
    desk = make_desk()
    make_policy("forbid(principal, action, resource);", slug="freeze")

    told = post(EVALUATION, desk.body(), desk.client).json()

    assert (told["context"]["code"], told["context"]["reason"]) == (
        "policy.forbidden",
        "policy_denied",
    )
    assert told["context"]["policies"] == ["freeze@v1"]


# A decision afterwards


def _decided(post, desk):
    return post(EVALUATION, desk.body(), desk.client).json()["context"]["decision_id"]


def test_decision_is_shown_to_who_asked(post, get):
    desk = make_desk()
    decision = _decided(post, desk)

    told = get(f"/api/v1/decisions/{decision}", desk.client).json()

    assert (told["decision_id"], told["effect"], told["tool"]) == (
        decision,
        "allow",
        desk.tool.name,
    )
    assert len(told["walk"]) == 13
    assert told["outcome_reported"] is False


def test_decision_is_not_shown_to_others(post, get):
    desk, other = make_desk(), make_desk()
    decision = _decided(post, desk)

    answers = [
        get(f"/api/v1/decisions/{decision}", row) for row in (other.client, desk.gateway_client)
    ]

    assert [(a.status_code, a.json()["code"]) for a in answers] == [(404, "unknown_decision")] * 2


@pytest.mark.parametrize("outcome", ["success", "failure"])
def test_outcome_is_a_second_record(post, mark, records_after, outcome):
    desk = make_desk()
    decision = _decided(post, desk)
    before = mark()

    answer = post(
        f"/api/v1/decisions/{decision}/outcome",
        {
            "outcome": outcome,
            "output": {"paid": True},
            "cost_minor": 4,
            "currency": "EUR",
            "records": ["CL-1"],
        },
        desk.client,
    )

    (record,) = records_after(before)
    told = answer.json()
    assert answer.status_code == 201
    assert told == {"outcome_id": str(record["id"]), "decision_id": decision}
    assert (record["kind"], record["code"], record["parent"]) == (
        "outcome",
        f"outcome.{outcome}",
        UUID(decision),
    )
    assert (record["agent"], record["tool"]) == (desk.agent.slug, desk.tool.name)


def test_outcome_only_once(post, mark):
    desk = make_desk()
    path = f"/api/v1/decisions/{_decided(post, desk)}/outcome"
    post(path, {"outcome": "success"}, desk.client)
    before = mark()

    answer = post(path, {"outcome": "failure"}, desk.client)

    assert (answer.status_code, answer.json()["code"]) == (409, "outcome.already_reported")
    assert mark() == before


def test_outcome_only_of_ones_own(post):
    desk, other = make_desk(), make_desk()
    path = f"/api/v1/decisions/{_decided(post, desk)}/outcome"

    answers = [
        post(path, {"outcome": "success"}, row) for row in (other.client, desk.gateway_client)
    ]

    assert [answer.status_code for answer in answers] == [404, 404]


def test_outcome_with_a_credential(post, mark):
    desk = make_desk()
    path = f"/api/v1/decisions/{_decided(post, desk)}/outcome"
    before = mark()

    answer = post(path, {"outcome": "success", "output": {"password": "hunter2-x"}}, desk.client)

    assert (answer.status_code, answer.json()["code"]) == (400, "outcome.secret")
    assert "output.password" in answer.json()["detail"]
    assert mark() == before
    assert post(path, {"outcome": "success"}, desk.client).status_code == 201


@pytest.mark.parametrize(
    "body",
    [
        {},
        [],
        {"outcome": "maybe"},
        {"outcome": []},
        {"outcome": "success", "cost_minor": -1},
        {"outcome": "success", "cost_minor": True},
        {"outcome": "success", "cost_minor": 1.5},
        {"outcome": "success", "currency": "euro"},
        {"outcome": "success", "currency": 5},
        {"outcome": "success", "records": "CL-1"},
        {"outcome": "success", "records": [1]},
        {"outcome": "success", "records": ["x"] * 1001},
    ],
)
def test_outcome_refused(post, mark, body):
    desk = make_desk()
    path = f"/api/v1/decisions/{_decided(post, desk)}/outcome"
    before = mark()

    answer = post(path, body, desk.client)

    assert (answer.status_code, answer.json()["code"]) == (400, "bad_request")
    assert mark() == before


def test_outcome_of_a_suspended_agent(post):
    desk = make_desk()
    path = f"/api/v1/decisions/{_decided(post, desk)}/outcome"
    type(desk.agent).objects.filter(pk=desk.agent.pk).update(state="suspended")

    answer = post(path, {"outcome": "success"}, desk.client)

    assert answer.status_code == 201


def test_outcome_with_an_old_token(client, post):
    desk = make_desk()
    path = f"/api/v1/decisions/{_decided(post, desk)}/outcome"
    old = bearer(desk.client)
    desk.client.version += 1
    desk.client.save()

    answer = client.post(
        path,
        data=b'{"outcome":"success"}',
        content_type="application/json",
        headers={"authorization": old},
    )

    assert (answer.status_code, answer.json()["code"]) == (401, "token_ended")


def test_outcome_of_nothing(post):
    desk = make_desk()

    answer = post(
        "/api/v1/decisions/00000000-0000-0000-0000-000000000000/outcome",
        {"outcome": "success"},
        desk.client,
    )

    assert answer.status_code == 404


def test_outcome_of_an_outcome(post):
    desk = make_desk()
    path = f"/api/v1/decisions/{_decided(post, desk)}/outcome"
    outcome = post(path, {"outcome": "success"}, desk.client).json()["outcome_id"]

    answer = post(f"/api/v1/decisions/{outcome}/outcome", {"outcome": "success"}, desk.client)

    assert answer.status_code == 404


def test_gateway_without_a_client_row_for_agents_is_its_own_caller(post):
    desk = make_desk()
    gateway = type(desk.gateway).objects.create(slug="edge-two", name="Edge two")

    told = post(EVALUATION, desk.body(), make_client(gateway=gateway)).json()

    assert told["decision"] is True
