"""A Muster that answers what a test says, without any network."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any
from uuid import UUID

import httpx

from client.muster_client import AsyncMuster, Decision, Muster

BASE = "https://muster.example"
DECISION = str(UUID(int=7))
HOLD = str(UUID(int=8))
TASK = str(UUID(int=9))
APPROVAL = str(UUID(int=10))

Handler = Callable[[httpx.Request], httpx.Response]


def a_token(agent: str = "refund-desk", **claims: Any) -> str:
    payload = json.dumps({"sub": agent, **claims}).encode()
    return f"h.{base64.urlsafe_b64encode(payload).decode().rstrip('=')}.s"


def context(**changed: Any) -> dict[str, Any]:
    """The context of an allow, changed by `changed`; None takes a member out."""
    whole = {
        "decision_id": DECISION,
        "effect": "allow",
        "check": "",
        "code": "",
        "reason": "",
        "message": "Allowed.",
        "policies": [],
        "obligations": [],
        "remedies": [],
        "classification": "internal",
        **changed,
    }
    return {name: value for name, value in whole.items() if value is not None}


def allow(**changed: Any) -> dict[str, Any]:
    return {"decision": True, "context": context(**changed)}


def deny(**changed: Any) -> dict[str, Any]:
    said = {"effect": "deny", "check": "role", "code": "role.none", "message": "No role."}
    return {"decision": False, "context": context(**(said | changed))}


def hold(**changed: Any) -> dict[str, Any]:
    request = {"endpoint": f"{BASE}/access/v1/requests", "template": "hold", "hold": HOLD}
    said = {"effect": "hold", "check": "gate", "code": "gate.amount", "message": "It waits."}
    said["access_request"] = request | {"expires_at": "2026-11-28T00:00:00Z"}
    return {"decision": False, "context": context(**(said | changed))}


def task(status: str = "pending", **more: Any) -> dict[str, Any]:
    told: dict[str, Any] = {"task": {"id": TASK, "status": status, "display": {}}, **more}
    if status == "approved":
        told.setdefault("result", {"mode": "reevaluate", "approval": {"id": APPROVAL}})
    return told


class Double:
    """Keeps what was sent; `answers` gives what comes back from all but the token endpoint."""

    def __init__(self, *answers: Any, expires_in: Any = 600) -> None:
        self.requests: list[httpx.Request] = []
        self.asked_tokens = 0
        self.expires_in = expires_in
        self._answers: Iterator[Any] = iter(answers)

    def __call__(self, request: httpx.Request) -> httpx.Response:
        if request.url.path == "/oauth/token":
            self.asked_tokens += 1
            token = {"access_token": a_token(jti=self.asked_tokens), "token_type": "Bearer"}
            return httpx.Response(200, json=token | {"expires_in": self.expires_in})
        self.requests.append(request)
        answer = next(self._answers)
        if isinstance(answer, Exception):
            raise answer
        return answer if isinstance(answer, httpx.Response) else httpx.Response(200, json=answer)

    @property
    def paths(self) -> list[str]:
        return [request.url.path for request in self.requests]

    @property
    def bodies(self) -> list[Any]:
        return [json.loads(each.content) if each.content else None for each in self.requests]


def streamed(handler: Handler) -> Handler:
    """The same answers as they come from a network: not read yet."""

    def answer(request: httpx.Request) -> httpx.Response:
        given = handler(request)
        if not given.is_stream_consumed:
            return given
        stream = httpx.ByteStream(given.content)
        return httpx.Response(given.status_code, headers=given.headers, stream=stream)

    return answer


def muster(handler: Handler, **given: Any) -> Muster:
    signing = {"client_id": "desk-1", "client_secret": "mst_x"} | given
    if "token" in given:
        signing = given
    return Muster(BASE, transport=httpx.MockTransport(streamed(handler)), **signing)


def async_muster(handler: Handler, **given: Any) -> AsyncMuster:
    signing = {"client_id": "desk-1", "client_secret": "mst_x"} | given
    return AsyncMuster(BASE, transport=httpx.MockTransport(streamed(handler)), **signing)


def ask(handler: Handler, **given: Any) -> Decision:
    with muster(handler) as client:
        return client.check("refund.issue", {"claim": "CL-1", "amount": 500}, **given)


def ask_async(handler: Handler, **given: Any) -> Decision:
    async def asked() -> Decision:
        async with async_muster(handler) as client:
            return await client.check("refund.issue", {"claim": "CL-1", "amount": 500}, **given)

    return asyncio.run(asked())


ASKING: Mapping[str, Callable[..., Decision]] = {"blocking": ask, "awaiting": ask_async}
