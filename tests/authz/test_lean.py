"""The lean route answers what Django's handler would, byte for byte, and hands on the rest."""

import asyncio
import base64
import json
import re
from dataclasses import dataclass
from functools import partial

import pytest
from django.contrib.auth.models import Group
from django.core.handlers.asgi import ASGIHandler
from django.db import connection

from authz.api import lean
from authz.api.lean import LeanRoute
from authz.group_commit import GroupCommit
from governance.kernel.strict_json import MAX_BYTES
from tests import public
from tests.authz.desk import documents
from tests.authz.test_api_authzen import SOURCE, _load, _person, _plant, _vectors
from tests.factories.authz import bearer, make_client, make_desk, make_gateway

pytestmark = pytest.mark.django_db(transaction=True)

EVALUATION = "/access/v1/evaluation"
EVALUATIONS = "/access/v1/evaluations"
# What is left of a limit falls with each answer.
RECEIPT = re.compile(rb'"receipt":\{[^}]*\}')
LEFT = re.compile(rb'"remaining":[0-9]+')
ID = re.compile(rb"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}")


@dataclass(frozen=True)
class Told:
    """An answer, without the ids of decisions and what is left of limits."""

    status: int
    headers: tuple
    body: bytes


@dataclass
class Routes:
    """Both ways, and whether Django was asked when the lean one was."""

    lean: LeanRoute
    django: object
    handed_on: list

    def both(self, raw, headers, path=EVALUATION, **scope):
        """The two answers to one request; the lean way is taken and not handed on."""
        self.handed_on.clear()
        found = [ask(way, raw, headers, path, **scope) for way in (self.lean, self.django)]
        # What Django adds is learned by a GET.
        assert "POST" not in self.handed_on
        return found


@pytest.fixture
def routes(login_on_loop, monkeypatch):
    monkeypatch.setitem(connection.settings_dict, "CONN_MAX_AGE", 0)
    handler, handed_on = ASGIHandler(), []

    async def django(scope, receive, send):
        handed_on.append(scope["method"])
        await handler(scope, receive, send)

    group = GroupCommit(partial(login_on_loop, "muster_web"))
    route = LeanRoute(django, lambda: group)
    yield Routes(route, handler, handed_on)
    route.close()
    assert asyncio.run(group.flush(10))


def ask(way, raw, headers, path=EVALUATION, *, pieces=(), given=None, **scope):
    """What `way` answers; `pieces` are sent for `raw`, `given` for all headers."""
    waiting = [{"type": "http.request", "body": piece, "more_body": True} for piece in pieces]
    waiting.append({"type": "http.request", "body": b"" if pieces else raw, "more_body": False})
    said = []

    async def receive():
        if waiting:
            return waiting.pop(0)
        await asyncio.sleep(30)
        return {"type": "http.disconnect"}

    async def send(message):
        said.append(message)

    asked = {
        "type": "http",
        "method": "POST",
        "path": path,
        "query_string": b"",
        "root_path": "",
        "scheme": "http",
        "client": ("203.0.113.9", 4711),
        "server": ("127.0.0.1", 8000),
        "headers": [(b"host", b"localhost"), *headers] if given is None else given,
    }
    asyncio.run(way({**asked, **scope}, receive, send))
    start, *rest = said
    return Told(
        start["status"],
        tuple(sorted((name.lower(), value) for name, value in start["headers"])),
        _without_ids(b"".join(each.get("body", b"") for each in rest)),
    )


def _without_ids(body):
    return LEFT.sub(b'"remaining":0', RECEIPT.sub(b'"receipt":0', ID.sub(b"an-id", body)))


def sent(token, *more, content_type=b"application/json"):
    return [(b"content-type", content_type), (b"authorization", token.encode()), *more]


def as_json(value):
    return json.dumps(value).encode()


def test_an_allow_is_answered_alike(routes, mark):
    desk, before = make_desk(), mark()
    headers = sent(bearer(desk.client), (b"x-request-id", b"r-1"))

    ours, theirs = routes.both(as_json(desk.body()), headers)

    assert ours == theirs
    assert json.loads(ours.body)["decision"] is True
    assert dict(ours.headers)[b"x-request-id"] == b"r-1"
    assert dict(ours.headers)[b"x-frame-options"] == b"DENY"
    assert len(mark() - before) == 2


def test_every_authzen_vector_is_answered_alike(routes):
    docs = documents("certification")
    _plant(docs["world"])
    for external_id, person in docs["people"].items():
        for name in person["groups"]:
            Group.objects.get_or_create(name=name)
        _person(external_id, person["roles"], person["groups"])
    token = bearer(make_client(gateway=make_gateway(source=SOURCE)))
    different = []

    for vector in _vectors():
        if vector["path"] not in lean.PATHS:
            continue
        named = dict(vector.get("headers", {}))
        media_type = named.pop("Content-Type", "application/json").encode()
        more = [(name.lower().encode(), value.encode()) for name, value in named.items()]
        raw = as_json(vector["request"]) if "request" in vector else vector["raw_body"].encode()
        ours, theirs = routes.both(raw, sent(token, *more, content_type=media_type), vector["path"])
        assert ours.status == vector["expect_status"]
        if ours != theirs:
            different.append(vector["section"])

    assert different == []


def test_every_todo_decision_is_answered_alike(routes):
    _plant(documents("todo")["world"])
    for external_id, user in _load("todo/users.json").items():
        _person(external_id, user["roles"], name=user["name"], email=user["email"])
    token = bearer(make_client(gateway=make_gateway(source=SOURCE)))
    cases = _load("todo/decisions-1_0-02.json")
    asked = [(EVALUATION, one) for one in cases["evaluation"]]
    asked += [(EVALUATIONS, one) for one in cases["evaluations"]]

    pairs = [routes.both(as_json(one["request"]), sent(token), path) for path, one in asked]

    assert len(pairs) == 43
    assert [ours for ours, theirs in pairs if ours != theirs] == []


@pytest.mark.parametrize("embedded", [False, True])
def test_every_json_text_is_answered_alike(routes, embedded):
    # More than all of them need: a minute that turns between two askers would tell them apart.
    desk = make_desk(agent_fields={"rate_per_minute": 10_000})
    headers = sent(bearer(desk.client))
    lines = public.path("corpora/jsontestsuite_parsing.jsonl").read_text().splitlines()
    corpus = [base64.b64decode(json.loads(line)["b64"]) for line in lines]
    action = {"name": desk.tool.name, "properties": {"claim": "CL-1", "note": "@"}}
    whole = as_json(desk.body(action=action))

    texts = [whole.replace(b'"@"', raw) if embedded else raw for raw in corpus]
    pairs = [routes.both(text, headers) for text in texts]

    assert len(pairs) == 318
    assert [ours for ours, theirs in pairs if ours != theirs] == []
    assert {ours.status for ours, _ in pairs} == ({200, 400} if embedded else {400})


BAD_HEADERS = [
    [],
    [(b"authorization", b"Bearer nonsense"), (b"content-type", b"application/json")],
    [(b"authorization", b"Basic YTpi"), (b"content-type", b"application/json")],
    [(b"authorization", b"TOKEN"), (b"authorization", b"TOKEN")],
    [(b"authorization", b"TOKEN")],
    [(b"authorization", b"TOKEN"), (b"content-type", b"text/plain")],
    [(b"authorization", b"TOKEN"), (b"content-type", b"application/json; charset=nonsense")],
    [(b"authorization", b"TOKEN"), (b"content-type", b'application/json; charset="utf-8"')],
    [(b"authorization", b"TOKEN"), (b"content_type", b"application/json")],
    [(b"authorization", b"TOKEN"), (b"content-type", b"application/json")] * 2,
    [(b"authorization", b"TOKEN"), (b"content-type", b"application/json; \xff=\xfe")],
    *(
        [(b"authorization", b"TOKEN"), (b"content-type", b"application/json"), more]
        for more in (
            (b"x-request-id", b"\xff\xfe"),
            (b"x-request-id", b"a" * 129),
            (b"x_request_id", b"underscored"),
            (b"muster-answer", b" BARE "),
            (b"muster-answer", b"full"),
            (b"accept", b"text/html"),
            (b"accept-encoding", b"gzip, br"),
            (b"x-forwarded-proto", b"https"),
            (b"x-forwarded-host", b"evil.example"),
            (b"origin", b"https://evil.example"),
            (b"content-length", b"nonsense"),
            (b"expect", b"100-continue"),
            (b"hx-request", b"true"),
        )
    ),
]


@pytest.mark.parametrize("headers", BAD_HEADERS)
def test_every_odd_header_is_answered_alike(routes, headers):
    desk = make_desk()
    token = bearer(desk.client).encode()
    given = [(name, token if value == b"TOKEN" else value) for name, value in headers]

    ours, theirs = routes.both(as_json(desk.body()), given)

    assert ours == theirs


def test_over_https_both_send_strict_transport_security(routes, settings):
    settings.SECURE_HSTS_SECONDS = 60
    settings.SECURE_SSL_REDIRECT = True
    settings.SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
    desk = make_desk()
    django = ASGIHandler()
    routes.lean._django = routes.django = django
    headers = sent(bearer(desk.client), (b"x-forwarded-proto", b"https, http"))

    ours, theirs = (ask(way, as_json(desk.body()), headers) for way in (routes.lean, routes.django))

    assert ours == theirs
    assert b"strict-transport-security" in dict(ours.headers)


def test_batches_are_answered_alike(routes):
    desk = make_desk()
    items = [{}, {"action": {"name": "no.such.tool"}}, {"subject": 1}, {}]
    for semantic in ("execute_all", "deny_on_first_deny", "permit_on_first_permit", "nonsense"):
        body = desk.body(evaluations=items, options={"evaluations_semantic": semantic})

        ours, theirs = routes.both(as_json(body), sent(bearer(desk.client)), EVALUATIONS)

        assert ours == theirs


def test_a_long_body_is_judged_in_a_thread_and_answered_alike(routes, monkeypatch):
    desk = make_desk()
    action = {"name": desk.tool.name, "properties": {"claim": "CL-1", "note": "x" * 40_000}}

    ours, theirs = routes.both(as_json(desk.body(action=action)), sent(bearer(desk.client)))

    assert ours == theirs
    assert json.loads(ours.body)["decision"] is True


def test_a_body_that_is_too_long_is_read_no_further(routes):
    desk = make_desk()
    read = []

    class Piece(bytes):
        pass

    def pieces():
        for number in range(100):
            read.append(number)
            yield Piece(b"x" * 16_384)

    waiting = pieces()
    said = []

    async def receive():
        return {"type": "http.request", "body": next(waiting), "more_body": True}

    async def send(message):
        said.append(message)

    scope = {
        "type": "http",
        "method": "POST",
        "path": EVALUATION,
        "headers": [(b"host", b"localhost"), *sent(bearer(desk.client))],
    }
    asyncio.run(routes.lean(scope, receive, send))

    assert said[0]["status"] == 400
    assert json.loads(said[1]["body"])["code"] == "too_large"
    assert len(read) == MAX_BYTES // 16_384 + 1


def test_a_body_in_pieces_is_put_together(routes):
    desk = make_desk()
    raw, token = as_json(desk.body()), bearer(desk.client)

    told = ask(routes.lean, b"", sent(token), pieces=[raw[:9], raw[9:40], b"", raw[40:]])

    assert json.loads(told.body)["decision"] is True


def test_a_client_that_goes_away_is_not_answered(routes, mark):
    desk, before = make_desk(), mark()
    waiting = [
        {"type": "http.request", "body": as_json(desk.body())[:20], "more_body": True},
        {"type": "http.disconnect"},
    ]

    async def receive():
        return waiting.pop(0)

    async def send(message):
        raise AssertionError(message)

    scope = {
        "type": "http",
        "method": "POST",
        "path": EVALUATION,
        "headers": [(b"host", b"localhost"), *sent(bearer(desk.client))],
    }
    asyncio.run(routes.lean(scope, receive, send))

    assert mark() == before


@pytest.mark.parametrize(
    "odd",
    [
        {"method": "GET"},
        {"method": "OPTIONS"},
        {"query_string": b"a=%00"},
        {"path": "/healthz", "method": "GET"},
        {"given": [(b"host", b"evil.example")]},
        {"given": [(b"host", b"localhost/evil")]},
        {"given": []},
        {"given": [(b"host", b"localhost"), (b"cookie", b"muster_session=x")]},
    ],
)
def test_what_is_odd_is_handed_on_to_django(routes, settings, odd):
    settings.ALLOWED_HOSTS = ["localhost"]

    ours = ask(routes.lean, b"{}", [], **odd)
    theirs = ask(routes.django, b"{}", [], **odd)

    assert routes.handed_on == [odd.get("method", "POST")]
    assert ours == theirs


def test_plain_http_is_redirected_where_https_is_wanted(routes, settings):
    settings.SECURE_SSL_REDIRECT = True
    django = ASGIHandler()
    routes.lean._django = django

    ours, theirs = (ask(way, b"{}", []) for way in (routes.lean, django))

    assert ours == theirs
    assert ours.status == 301


def test_an_unauthenticated_call_is_counted_in_a_thread(routes):
    from registry.models import UnregisteredCaller

    ours, theirs = routes.both(b"{}", [(b"content-type", b"application/json")])

    assert (ours.status, ours) == (401, theirs)
    assert UnregisteredCaller.objects.get(source="203.0.113.9").count == 2


def test_an_unknown_agent_is_noted_once_for_each_call(routes):
    from registry.models import UnregisteredCaller

    desk = make_desk()
    body = desk.body(subject={"type": "agent", "id": "newcomer"})
    headers = sent(bearer(desk.gateway_client))

    ours, theirs = routes.both(as_json(body), headers)

    assert ours == theirs
    assert json.loads(ours.body)["context"]["code"] == "identity.unknown_agent"
    assert UnregisteredCaller.objects.get(claimed="newcomer").count == 2


def test_what_nobody_foresaw_is_no_decision(routes, monkeypatch, mark):
    desk, before = make_desk(), mark()
    monkeypatch.setattr(lean, "answering", None)

    told = ask(routes.lean, as_json(desk.body()), sent(bearer(desk.client)))

    assert told.status == 500
    assert "decision" not in json.loads(told.body)
    assert mark() == before


def test_no_right_to_the_batch_is_no_answer(routes, login):
    desk, migrator = make_desk(), login("muster_migrator")

    migrator.execute("REVOKE EXECUTE ON FUNCTION authz.decide_batch(jsonb) FROM muster_web")
    try:
        ours, theirs = routes.both(as_json(desk.body()), sent(bearer(desk.client)))
    finally:
        migrator.execute("GRANT EXECUTE ON FUNCTION authz.decide_batch(jsonb) TO muster_web")

    assert ours == theirs
    assert ours.status == 503
    assert "decision" not in json.loads(ours.body)
