"""Whatever bytes come: 2xx or 4xx, and nothing is half written (promises 6, 7 and 24)."""

import base64
import json
import urllib.parse

import pytest
from django.db import connection

from audit.leaf import faults
from audit.models import Record
from audit.selectors import AuditScope, read_payload
from tests import public
from tests.factories.authz import bearer, make_desk, make_person

pytestmark = pytest.mark.django_db

EVALUATION = "/access/v1/evaluation"
EVALUATIONS = "/access/v1/evaluations"

SUITE = [
    (entry["name"], entry["expect"], base64.b64decode(entry["b64"]))
    for entry in map(
        json.loads, public.path("corpora/jsontestsuite_parsing.jsonl").read_text().splitlines()
    )
]
NAUGHTY = public.naughty_strings()


@pytest.fixture
def send(client):
    """`send(raw, row, path)`: the response to these very bytes."""

    def post(raw, row, path=EVALUATION):
        return client.post(
            path,
            data=raw,
            content_type="application/json",
            headers={"authorization": bearer(row)},
        )

    return post


@pytest.mark.parametrize("path", [EVALUATION, EVALUATIONS])
def test_json_suite_raw(send, mark, path):
    desk, before = make_desk(), mark()

    statuses = {name: send(raw, desk.client, path).status_code for name, _, raw in SUITE}

    # None of them is a request, so all are refused, and nothing is written.
    assert {name: status for name, status in statuses.items() if status != 400} == {}
    assert len(statuses) == 318
    assert mark() == before


def test_json_suite_as_parameters(send, mark, records_after):
    desk, before = make_desk(), mark()
    whole = json.dumps(
        desk.body(action={"name": desk.tool.name, "properties": {"claim": "CL-1", "note": "@"}})
    ).encode()
    answers = {
        name: (expect, send(whole.replace(b'"@"', raw), desk.client)) for name, expect, raw in SUITE
    }

    wrong = {
        name: answer.status_code
        for name, (expect, answer) in answers.items()
        if answer.status_code not in ((400,) if expect == "reject" else (200, 400))
    }
    decided = [answer for _, answer in answers.values() if answer.status_code == 200]
    records = records_after(before, kind="decision")
    assert wrong == {}
    assert len(decided) > 50
    assert len(records) == len(decided)
    assert [fault for record in records for fault in faults(record)] == []


@pytest.mark.parametrize(
    ("field", "every"),
    [
        *((field, 12) for field in ("parameters", "reasoning", "session", "resource", "tool")),
        pytest.param("parameters", 1, marks=pytest.mark.fuzz),
        pytest.param("reasoning", 1, marks=pytest.mark.fuzz),
    ],
)
def test_naughty_strings(send, mark, records_after, field, every):
    desk, before = make_desk(), mark()
    strings = NAUGHTY[::every]

    answers = [send(_with(desk, field, text), desk.client) for text in strings]

    decided = [answer for answer in answers if answer.status_code == 200]
    assert {answer.status_code for answer in answers} <= {200, 400}
    assert len(decided) > len(strings) * 0.8
    records = records_after(before, kind="decision")
    assert len(records) == len(decided)
    assert [fault for record in records for fault in faults(record)] == []


def _with(desk, field, text):
    body = desk.body()
    if field == "parameters":
        body["action"] = {
            "name": desk.tool.name,
            "properties": {"claim": "CL-1", "note": {"text": text, "list": [text]}},
        }
    elif field == "tool":
        body["action"] = {"name": text}
    elif field == "resource":
        body["resource"] = {"type": desk.system.slug, "id": text}
    else:
        body["context"] = {field: text}
    return json.dumps(body).encode()


def test_naughty_strings_are_kept_as_decided_on(send, mark, records_after):
    desk, auditor = make_desk(), make_person(groups=["auditor"])
    texts = [text for text in NAUGHTY if text][::25]
    before = mark()
    for text in texts:
        assert send(_with(desk, "parameters", text), desk.client).status_code == 200

    kept = []
    for record in records_after(before, kind="decision"):
        row = Record.objects.get(id=record["id"])
        kept.append(read_payload(row, "parameters", by=_Reader(auditor.pid))["note"]["text"])

    assert kept == texts


class _Reader:
    def __init__(self, pid):
        self.pid = pid

    def audit_scope(self):
        return AuditScope(everything=True)


# Forty credentials, in every place and of every type that a caller can put them in.

_AWS = "AKIAIOSFODNN7EXAMPLE"
_GITHUB = "ghp_" + "a1B2c3D4e5F6g7H8i9J0" * 2
_STRIPE = "sk_live_4eC39HqLyjWDarjtT1zdp7dc"
_SLACK = "xoxb-17653672481-19874698323-pdFZKVeTuE8sk7oOHcbrzqgy"
_JWT = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N_XgL0n3I9P"
_KEY = "-----BEGIN PRIVATE KEY-----\nMIIEvQIBADANBgkqhkiG9w0BAQEFAASC\n-----END PRIVATE KEY-----"
_URL = "postgres://admin:Zx81Spectrum48@db.internal/claims"
_FORMS = (_AWS, _GITHUB, _STRIPE, _SLACK, _JWT, _KEY, _URL)
_PIN = 918273645546372

CANARIES = [
    *(({"note": form}, form) for form in _FORMS),
    *(({"note": {"deep": [{"er": [form]}]}}, form) for form in _FORMS),
    *(({"note": {form: 1}}, form) for form in _FORMS[:4]),
    *(({"note": f"https://x.example/?key={form}&a=1"}, form) for form in _FORMS[:4]),
    *(({"note": {"headers": {"Authorization": f"Bearer {form}"}}}, form) for form in _FORMS[:3]),
    *(({"note": f"Traceback: LoginError('{form}') at line 3"}, form) for form in _FORMS[:3]),
    *(({"note": {"password": value}}, str(value)) for value in ("Tr0ub4dor&3", 48151623421)),
    *(({"note": {"api_key": [value]}}, str(value)) for value in ("k-3f9c2a1b77", 3141592653589)),
    ({"note": "password=Correct7Horse"}, "Correct7Horse"),
    ({"note": urllib.parse.quote(_URL, safe="")}, _URL),
    ({"pin": "9182-7364-5546"}, "9182-7364-5546"),
    ({"pin": _PIN}, str(_PIN)),
    ({"pin": {"nested": "4455667788"}}, "4455667788"),
    ({"pin": ["5566778899001"]}, "5566778899001"),
    ({_GITHUB: "as the name of a parameter"}, _GITHUB),
    ({"claim": _STRIPE}, _STRIPE),
]


def _everything():
    """All that the database holds of the record, as one text."""
    tables = ("record", "payload", "wrap", "holder", "slice", "mark")
    with connection.cursor() as cursor:
        texts = []
        for table in tables:
            cursor.execute(f"SELECT row_to_json(t)::text FROM audit.{table} AS t")
            texts += [row[0] for row in cursor.fetchall()]
        cursor.execute("SELECT convert_from(body, 'UTF8') FROM audit.record")
        texts += [row[0] for row in cursor.fetchall()]
        cursor.execute("SELECT convert_from(content, 'UTF8') FROM audit.slice")
        texts += [row[0] for row in cursor.fetchall()]
        for table in ("registry_unregisteredcaller", "authz_reportedoutcome"):
            cursor.execute(f"SELECT row_to_json(t)::text FROM {table} AS t")
            texts += [row[0] for row in cursor.fetchall()]
    return "\n".join(texts)


def _forms_of(secret):
    raw = secret.encode()
    return {
        "clear": secret,
        "json": json.dumps(secret)[1:-1],
        "hex": raw.hex(),
        "base64": base64.b64encode(raw).decode().rstrip("="),
        "urlsafe": base64.urlsafe_b64encode(raw).decode().rstrip("="),
        "url": urllib.parse.quote(secret, safe=""),
    }


def _found(secrets, text):
    return [
        (secret[:12], form)
        for secret in secrets
        for form, written in _forms_of(secret).items()
        if written in text
    ]


def test_canaries_are_forty():
    assert len(CANARIES) == 40


def test_canaries_in_parameters(send, caplog):
    desk = make_desk(tool_fields={"secret_parameters": ["pin"]})

    answers = []
    for parameters, _ in CANARIES:
        properties = {"claim": "CL-1", **parameters}
        body = desk.body(action={"name": desk.tool.name, "properties": properties})
        body["resource"] = {"type": "tool", "id": desk.tool.name}
        answers.append(send(json.dumps(body).encode(), desk.client))

    decisions = [answer.json() for answer in answers]
    secrets = [secret for _, secret in CANARIES]
    declared = {number for number, (given, _) in enumerate(CANARIES) if "pin" in given}
    assert {answer.status_code for answer in answers} == {200}
    assert {
        number
        for number, told in enumerate(decisions)
        if told["context"]["code"] != "parameters.secret"
    } == declared
    assert _found(secrets, _everything()) == []
    assert _found(secrets, json.dumps(decisions)) == []
    assert _found(secrets, caplog.text) == []


def test_canaries_are_sealed_in_declared_fields(send, mark, records_after):
    desk, auditor = make_desk(tool_fields={"secret_parameters": ["pin"]}), make_person()
    before = mark()
    for pin in ("9182-7364-5546", 5):
        properties = {"claim": "CL-1", "pin": pin}
        body = desk.body(action={"name": desk.tool.name, "properties": properties})
        send(json.dumps(body).encode(), desk.client)

    kept = [
        (
            read_payload(row, "parameters", by=_Reader(auditor.pid))["pin"][:12],
            read_payload(row, "secret_verdicts", by=_Reader(auditor.pid)),
        )
        for record in records_after(before, kind="decision")
        for row in [Record.objects.get(id=record["id"])]
    ]

    assert kept == [
        ("hmac-sha256:", [["pin", "valid"]]),
        ("hmac-sha256:", [["pin", "invalid"]]),
    ]


def test_a_password_that_is_declared_secret_is_allowed(send):
    schema = {"type": "object", "properties": {"password": {"type": "string"}}}
    desk = make_desk(
        tool_fields={
            "schema": schema,
            "secret_parameters": ["password"],
            "amount_parameter": "",
            "resource_parameter": "",
        }
    )
    asked = {"name": desk.tool.name, "properties": {"password": "9182-7364-5546"}}
    body = desk.body(action=asked, resource={"type": "tool", "id": desk.tool.name})

    response = send(json.dumps(body).encode(), desk.client)

    assert (response.status_code, response.json()["decision"]) == (200, True)


@pytest.mark.parametrize("secret", _FORMS)
@pytest.mark.parametrize(
    "place",
    [
        "tool",
        "resource",
        "agent",
        "user",
        "session",
        "reasoning",
        "inputs",
        "prompt_digest",
        "subject_properties",
        "resource_properties",
        "request_id",
    ],
)
def test_canaries_elsewhere(client, place, secret):
    desk = make_desk()
    body, headers = desk.body(), {"authorization": bearer(desk.gateway_client)}
    context = {"session", "reasoning", "inputs", "prompt_digest", "user"}
    if place in context:
        body["context"] = {place: secret}
    elif place == "request_id":
        headers["x-request-id"] = secret.replace("\n", " ")
    else:
        body |= {
            "tool": {"action": {"name": secret}},
            "resource": {"resource": {"type": desk.system.slug, "id": secret}},
            "agent": {"subject": {"type": "agent", "id": secret}},
            "subject_properties": {
                "subject": {"type": "agent", "id": desk.agent.slug, "properties": {"x": secret}}
            },
            "resource_properties": {
                "resource": {"type": desk.system.slug, "id": "CL-1", "properties": {"x": secret}}
            },
        }[place]

    answer = client.post(
        EVALUATION, data=json.dumps(body), content_type="application/json", headers=headers
    )

    assert answer.status_code == 200
    assert answer.json()["decision"] is (place == "request_id")
    assert _found([secret], _everything()) == []


def test_canaries_in_outcomes(send):
    desk = make_desk()
    told = send(json.dumps(desk.body()).encode(), desk.client).json()
    path = f"/api/v1/decisions/{told['context']['decision_id']}/outcome"
    undeclared = [(given, secret) for given, secret in CANARIES if "pin" not in given]

    answers = [
        send(json.dumps({"outcome": "success", "output": given}).encode(), desk.client, path)
        for given, _ in undeclared
    ]

    assert {(answer.status_code, answer.json()["code"]) for answer in answers} == {
        (400, "outcome.secret")
    }
    assert _found([secret for _, secret in undeclared], _everything()) == []


def test_canaries_in_tokens(client, mark):
    desk = make_desk()
    secret = bearer(desk.client)

    client.post(
        EVALUATION,
        data=json.dumps(desk.body()),
        content_type="application/json",
        headers={"authorization": secret},
    )
    client.post(
        EVALUATION,
        data=b"{}",
        content_type="application/json",
        headers={"authorization": secret + "x"},
    )

    token = secret.removeprefix("Bearer ")
    assert _found([token, token.split(".")[2]], _everything()) == []


def test_resource_that_is_too_long_for_its_column_is_recorded_by_hash(send, mark, records_after):
    desk, before = make_desk(), mark()
    body = desk.body(action={"name": "nothing"}, resource={"type": "t" * 800, "id": "i" * 800})

    answer = send(json.dumps(body), desk.client)

    (record,) = records_after(before, kind="decision")
    assert (answer.status_code, answer.json()["decision"]) == (200, False)
    assert record["resource"].startswith("hmac-sha256:")
