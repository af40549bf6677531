"""Whatever comes back instead of an answer, it never reads as an allow."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from client.muster_client import (
    BadRequest,
    Conflict,
    Decision,
    MusterError,
    NotAllowed,
    NotFound,
    NotSignedIn,
    Unavailable,
    answers,
    flows,
)
from client.muster_client import client as blocking
from tests.client.muster_double import ASKING, BASE, Double, Handler, allow, ask, context, muster

JSON = {"content-type": "application/json"}
LONG = flows.MAX_ANSWER + 1


def raw(body: bytes, status: int = 200, **headers: str) -> httpx.Response:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return httpx.Response(status, content=body, headers=JSON | named)


def told(whole: Any, status: int = 200) -> httpx.Response:
    return raw(json.dumps(whole).encode(), status)


def squeezed() -> httpx.Response:
    """As a stream, which httpx does not unpack when the answer is made."""
    body = gzip.compress(json.dumps(allow()).encode())
    headers = JSON | {"content-encoding": "gzip"}
    return httpx.Response(200, stream=httpx.ByteStream(body), headers=headers)


def problem(status: int, code: str = "error") -> httpx.Response:
    """An answer that tries to be both a problem and a yes."""
    return told(allow() | {"code": code, "detail": "No."}, status)


GOOD = json.dumps(allow()).encode()
ANSWERS: dict[str, tuple[Callable[[], Any], type[MusterError]]] = {
    "timeout to connect": (lambda: httpx.ConnectTimeout("slow"), Unavailable),
    "timeout to read": (lambda: httpx.ReadTimeout("slow"), Unavailable),
    "refused": (lambda: httpx.ConnectError("refused"), Unavailable),
    "broken off": (lambda: httpx.RemoteProtocolError("gone"), Unavailable),
    "reset": (lambda: ConnectionResetError("reset"), Unavailable),
    "500": (lambda: problem(500), Unavailable),
    "502": (lambda: problem(502), Unavailable),
    "503": (lambda: problem(503), Unavailable),
    "504": (lambda: problem(504), Unavailable),
    "429": (lambda: problem(429), Unavailable),
    "418": (lambda: problem(418), Unavailable),
    "201 with a yes": (lambda: problem(201), Unavailable),
    "204": (lambda: httpx.Response(204), Unavailable),
    "206 with a yes": (lambda: problem(206), Unavailable),
    "301": (lambda: httpx.Response(301, headers={"location": f"{BASE}/other"}), Unavailable),
    "302 elsewhere": (
        lambda: httpx.Response(302, headers={"location": "https://evil.example/yes"}),
        Unavailable,
    ),
    "307 with a yes": (lambda: raw(GOOD, 307, location=f"{BASE}/other"), Unavailable),
    "400": (lambda: problem(400), BadRequest),
    "500 without an object": (lambda: told([True], 500), Unavailable),
    "401": (lambda: problem(401), NotSignedIn),
    "403": (lambda: problem(403), NotAllowed),
    "404": (lambda: problem(404), NotFound),
    "409": (lambda: problem(409), Conflict),
    "empty": (lambda: raw(b""), Unavailable),
    "no JSON": (lambda: raw(b"<html>Allowed</html>"), Unavailable),
    "HTML by its type": (lambda: raw(GOOD, content_type="text/html"), Unavailable),
    "no type": (lambda: httpx.Response(200, content=GOOD), Unavailable),
    "cut off": (lambda: raw(GOOD[:-5]), Unavailable),
    "followed by more": (lambda: raw(GOOD + GOOD), Unavailable),
    "not UTF-8": (lambda: raw(b'{"decision": true, "x": "\xff"}'), Unavailable),
    "UTF-16": (lambda: raw(GOOD.decode().encode("utf-16")), Unavailable),
    "a key twice": (lambda: raw(b'{"decision": false,' + GOOD[1:]), Unavailable),
    "NaN": (lambda: raw(GOOD[:-1] + b', "x": NaN}'), Unavailable),
    "nested without end": (lambda: raw(b"[" * 100_000), Unavailable),
    "too long": (lambda: raw(GOOD + b" " * LONG), Unavailable),
    "compressed": (squeezed, Unavailable),
    "an array": (lambda: told([allow()]), Unavailable),
    "true": (lambda: told(True), Unavailable),
    "null": (lambda: told(None), Unavailable),
    "decision missing": (lambda: told({"context": context()}), Unavailable),
    "decision 1": (lambda: told(allow() | {"decision": 1}), Unavailable),
    "decision 'true'": (lambda: told(allow() | {"decision": "true"}), Unavailable),
    "decision 'false'": (lambda: told(allow() | {"decision": "false"}), Unavailable),
    "decision null": (lambda: told(allow() | {"decision": None}), Unavailable),
    "decision []": (lambda: told(allow() | {"decision": [True]}), Unavailable),
    "decision in capitals": (lambda: told({"Decision": True, "context": context()}), Unavailable),
    "no context": (lambda: told({"decision": True}), Unavailable),
    "context a list": (lambda: told({"decision": True, "context": []}), Unavailable),
    "true, but deny": (lambda: told(allow(effect="deny")), Unavailable),
    "true, but hold": (lambda: told(allow(effect="hold")), Unavailable),
    "false, but allow": (lambda: told(allow() | {"decision": False}), Unavailable),
    "effect unknown": (lambda: told(allow(effect="ALLOW")), Unavailable),
    "effect missing": (lambda: told(allow(effect=None)), Unavailable),
    "no decision_id": (lambda: told(allow(decision_id=None)), Unavailable),
    "decision_id a path": (lambda: told(allow(decision_id="../../x")), Unavailable),
    "message a number": (lambda: told(allow(message=1)), Unavailable),
    "obligations lost": (lambda: told(allow(obligations=None)), Unavailable),
    "obligations a word": (lambda: told(allow(obligations="redact")), Unavailable),
    "obligation without kind": (lambda: told(allow(obligations=[{}])), Unavailable),
    "remedies a word": (lambda: told(allow(remedies="none")), Unavailable),
    "limits a word": (lambda: told(allow(limits="none")), Unavailable),
    "observe a word": (lambda: told(allow(observe="yes")), Unavailable),
    "access_request a word": (lambda: told(allow(access_request="yes")), Unavailable),
}


def endless(make: Callable[[], Any]) -> Handler:
    """A Muster that gives the same answer again and again."""

    def answer(request: httpx.Request) -> httpx.Response:
        if request.url.path == "/oauth/token":
            return Double()(request)
        made = make()
        if isinstance(made, Exception):
            raise made
        assert isinstance(made, httpx.Response)
        return made

    return answer


def must_refuse(
    asking: Callable[..., Decision], make: Callable[[], Any], wanted: type[MusterError]
) -> None:
    with pytest.raises(MusterError) as raised:
        asking(endless(make))

    assert type(raised.value) is wanted


@pytest.mark.parametrize("asking", ASKING)
@pytest.mark.parametrize("case", ANSWERS)
def test_never_an_allow(case: str, asking: str) -> None:
    must_refuse(ASKING[asking], *ANSWERS[case])


@pytest.mark.parametrize("asking", ASKING)
def test_a_good_answer_is_an_allow(asking: str) -> None:
    """So that the cases above are refused for what is wrong with them, and for nothing else."""
    decision = ASKING[asking](endless(lambda: raw(GOOD)))

    assert (decision.allowed, bool(decision), decision.effect) == (True, True, "allow")


TOKENS: dict[str, tuple[Callable[[], Any], type[MusterError]]] = {
    "down": (lambda: httpx.ConnectError("refused"), Unavailable),
    "503": (lambda: told({"error": "temporarily_unavailable"}, 503), Unavailable),
    "wrong secret": (lambda: told({"error": "invalid_client"}, 401), NotSignedIn),
    "too many failures": (lambda: told({"error": "invalid_client"}, 429), Unavailable),
    "suspended": (lambda: told({"error": "unauthorized_client"}, 400), NotSignedIn),
    "no token": (lambda: told({"token_type": "Bearer", "expires_in": 600}), Unavailable),
    "a token with a line": (
        lambda: told({"access_token": "a\r\nX: y", "token_type": "Bearer", "expires_in": 600}),
        Unavailable,
    ),
    "a MAC token": (
        lambda: told({"access_token": "a.b.c", "token_type": "mac", "expires_in": 600}),
        Unavailable,
    ),
    "good for no time": (
        lambda: told({"access_token": "a.b.c", "token_type": "Bearer", "expires_in": 0}),
        Unavailable,
    ),
    "good for true": (
        lambda: told({"access_token": "a.b.c", "token_type": "Bearer", "expires_in": True}),
        Unavailable,
    ),
    "a token of nobody": (
        lambda: told({"access_token": "a.b.c", "token_type": "Bearer", "expires_in": 600}),
        NotSignedIn,
    ),
    "redirected": (lambda: httpx.Response(302, headers={"location": BASE}), Unavailable),
}


@pytest.mark.parametrize("case", TOKENS)
def test_no_token_is_no_allow(case: str) -> None:
    make, wanted = TOKENS[case]

    def answer(request: httpx.Request) -> httpx.Response:
        made = make() if request.url.path == "/oauth/token" else raw(GOOD)
        if isinstance(made, Exception):
            raise made
        assert isinstance(made, httpx.Response)
        return made

    with pytest.raises(wanted) as raised:
        ask(answer)

    assert type(raised.value) is wanted


def test_an_answer_that_drips_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    def drip() -> Any:
        for each in GOOD:
            monkeypatch.setattr("time.monotonic", lambda: 10**9)
            yield bytes([each])

    class Dripping(httpx.SyncByteStream):
        def __iter__(self) -> Any:
            return drip()

    with pytest.raises(Unavailable, match="took too long"):
        ask(endless(lambda: httpx.Response(200, stream=Dripping(), headers=JSON)))


# Mutants: were the client wrong, would the cases above say so?


def red() -> list[str]:
    """The cases that a client fails, as it is now."""
    found = []
    for case, (make, wanted) in ANSWERS.items():
        try:
            must_refuse(ask, make, wanted)
        except (pytest.fail.Exception, AssertionError):
            found.append(case)
    return found


read_decision = answers.read_decision


def an_allow(*_: Any) -> Decision:
    """What a client makes up that goes on when nothing came."""
    return read_decision(allow(), answers.Question("refund.issue", "{}"), BASE)


def test_a_client_that_allows_on_error_is_red(monkeypatch: pytest.MonkeyPatch) -> None:
    run = blocking.Muster._run

    def gullible(self: Any, flow: Any) -> Any:
        try:
            return run(self, flow)
        except MusterError:
            return an_allow()

    monkeypatch.setattr(blocking.Muster, "_run", gullible)

    assert red() == list(ANSWERS)


def truthy(whole: Any, question: Any, base_url: str) -> Decision:
    good = answers.read_object(whole, "it").get("decision")
    return an_allow() if good else read_decision(whole, question, base_url)


def any_status(reply: flows.Reply, *_: int) -> Any:
    return answers.parse(reply.body)


def last_wins(content: bytes) -> Any:
    try:
        return json.loads(content)
    except (ValueError, RecursionError) as error:
        raise Unavailable("no JSON") from error


@pytest.mark.parametrize(
    ("place", "mutant", "wanted"),
    [
        ("answers.read_decision", truthy, {"decision 1", "decision 'false'", "true, but deny"}),
        ("flows._body", any_status, {"500", "307 with a yes", "HTML by its type"}),
        ("answers.parse", last_wins, {"a key twice", "NaN", "UTF-16"}),
        ("transport.MAX_ANSWER", 10**9, {"too long"}),
        ("answers._obligations", lambda _: (), {"obligations lost", "obligations a word"}),
    ],
)
def test_a_looser_reader_is_red(
    place: str, mutant: Any, wanted: set[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(f"client.muster_client.{place}", mutant)

    assert wanted <= set(red())


def test_a_client_that_follows_redirects_is_red() -> None:
    handler = endless(lambda: httpx.Response(302, headers={"location": f"{BASE}/yes"}))

    def answer(request: httpx.Request) -> httpx.Response:
        return raw(GOOD) if request.url.path == "/yes" else handler(request)

    with muster(answer) as client:
        client._http.follow_redirects = True
        assert client.check("refund.issue", {}).allowed is True
    with muster(answer) as client, pytest.raises(Unavailable):
        client.check("refund.issue", {})
