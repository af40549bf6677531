"""An ASGI application with Muster before it."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx
import pytest

from client.muster_client.adapters.asgi import MusterMiddleware, Route
from tests.client import muster_double as double

REPORTED = {"outcome_id": double.TASK, "decision_id": double.DECISION}
ROUTES = [
    Route("POST", "/refunds/{claim}", "refund.issue"),
    Route("GET", "/refunds", "refund.list"),
    Route("GET", "/a.b/{one}/c/{two}", "a.read"),
]
LINK = f"{double.BASE}/inbox/?item=hold:{double.HOLD}"


class App:
    """Answers a status, or raises; keeps what came through."""

    def __init__(self, answer: int | Exception = 200) -> None:
        self.came: list[str] = []
        self.answer = answer

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        self.came.append(scope.get("path", scope["type"]))
        if isinstance(self.answer, Exception):
            raise self.answer
        await send({"type": "http.response.start", "status": self.answer, "headers": []})
        await send({"type": "http.response.body", "body": b"done"})


def ask(muster: double.Double, app: App, method: str, address: str) -> httpx.Response:
    async def go() -> httpx.Response:
        async with double.async_muster(muster) as client:
            governed = MusterMiddleware(app, client, ROUTES, open_paths=("/health",))
            transport = httpx.ASGITransport(governed)
            async with httpx.AsyncClient(transport=transport, base_url="http://desk") as http:
                return await http.request(method, address)

    return asyncio.run(go())


def reported() -> Any:
    return httpx.Response(201, json=REPORTED)


@pytest.mark.parametrize(
    ("method", "address", "tool", "parameters"),
    [
        ("POST", "/refunds/CL-1?amount=500", "refund.issue", {"claim": "CL-1", "amount": "500"}),
        ("GET", "/refunds?state=", "refund.list", {"state": ""}),
        ("GET", "/a.b/x/c/y%20z", "a.read", {"one": "x", "two": "y z"}),
    ],
)
def test_method_and_path_name_the_tool(
    method: str, address: str, tool: str, parameters: Any
) -> None:
    muster, app = double.Double(double.allow(), reported()), App()

    answer = ask(muster, app, method, address)

    assert (answer.status_code, answer.text, len(app.came)) == (200, "done", 1)
    assert muster.bodies[0]["action"] == {"name": tool, "properties": parameters}
    assert muster.bodies[1] == {"outcome": "success"}


@pytest.mark.parametrize(
    ("given", "status", "code", "more"),
    [
        (double.deny(), 403, "role.none", {"decision_id": double.DECISION}),
        (double.hold(), 409, "gate.amount", {"decision_id": double.DECISION, "hold": LINK}),
        (double.allow(obligations=[{"kind": "redact"}]), 403, "", {"decision_id": double.DECISION}),
        (httpx.ConnectError("no"), 503, "", {}),
        (httpx.Response(500), 503, "", {}),
        (httpx.Response(401, json={"code": "invalid_token"}), 503, "invalid_token", {}),
        (httpx.Response(200, content=b"{"), 503, "", {}),
    ],
)  # fmt: skip
def test_whatever_is_no_allow_does_not_come_through(
    given: Any, status: int, code: str, more: Any
) -> None:
    app = App()

    answer = ask(double.Double(given, given), app, "POST", "/refunds/CL-1")

    told = answer.json()
    assert (answer.status_code, answer.headers["content-type"]) == (
        status,
        "application/problem+json",
    )
    assert {name: told[name] for name in ("status", "code", *more)} == {
        "status": status,
        "code": code,
        **more,
    }
    assert app.came == []


@pytest.mark.parametrize(
    ("method", "address"),
    [("GET", "/refunds/CL-1"), ("POST", "/refunds/CL-1/"), ("POST", "/refunds/a/b"), ("GET", "/"),
     ("POST", "/refunds/a%2Fb"), ("GET", "/aXb/1/c/2"), ("POST", "/refunds/"), ("GET", "/health/")],
)  # fmt: skip
def test_what_no_route_names_does_not_come_through(method: str, address: str) -> None:
    muster, app = double.Double(), App()

    answer = ask(muster, app, method, address)

    assert (answer.status_code, answer.json()["code"]) == (403, "unmapped")
    assert (muster.requests, app.came) == ([], [])


@pytest.mark.parametrize(
    "query", ["amount=1&amount=900", "claim=CL-2", "amount", "a=%ff", "a=1&&b"]
)
def test_an_address_that_can_be_read_in_two_ways_does_not_come_through(query: str) -> None:
    muster, app = double.Double(), App()

    answer = ask(muster, app, "POST", f"/refunds/CL-1?{query}")

    assert (answer.status_code, answer.json()["code"]) == (400, "query")
    assert (muster.requests, app.came) == ([], [])


@pytest.mark.parametrize(
    ("given", "outcome"), [(204, "success"), (404, "failure"), (500, "failure")]
)
def test_the_status_is_what_is_reported(given: int, outcome: str) -> None:
    muster = double.Double(double.allow(), reported())

    assert ask(muster, App(given), "GET", "/refunds").status_code == given
    assert muster.bodies[1] == {"outcome": outcome}


def test_an_application_that_breaks_is_reported() -> None:
    muster = double.Double(double.allow(), reported())

    with pytest.raises(RuntimeError):
        ask(muster, App(RuntimeError("broken")), "GET", "/refunds")
    assert muster.bodies[1] == {"outcome": "failure"}


def test_what_is_open_is_not_asked() -> None:
    muster, app = double.Double(), App()

    assert ask(muster, app, "GET", "/health").status_code == 200
    assert (muster.requests, app.came) == ([], ["/health"])


@pytest.mark.parametrize(("kind", "came"), [("lifespan", ["lifespan"]), ("websocket", [])])
def test_what_is_no_request(kind: str, came: list[str]) -> None:
    app, sent = App(), []

    async def send(message: Any) -> None:
        sent.append(message["type"])

    async def go() -> None:
        async with double.async_muster(double.Double()) as client:
            governed = MusterMiddleware(app, client, ROUTES)
            scope = {"type": kind} | ({"path": "/refunds"} if kind == "websocket" else {})
            await governed(scope, None, send)  # type: ignore[arg-type]

    asyncio.run(go())

    assert app.came == came
    if kind == "websocket":
        assert sent == ["websocket.close"]
