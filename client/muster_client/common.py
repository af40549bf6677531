"""What the blocking and the awaiting client have in common: all but the waiting."""

from __future__ import annotations

import os
from contextvars import ContextVar
from typing import Any, Self, TypedDict, Unpack

import httpx

from . import questions, transport
from .answers import Decision, Json, Object
from .flows import Flow, Flows, Send, Signing
from .questions import Asked, Told

# The session that calls belong to, where they do not say so themselves.
CURRENT: ContextVar[str] = ContextVar("muster_session", default="")


class Settings(TypedDict, total=False):
    """How a client is set up, besides Muster's address."""

    client_id: str
    client_secret: str
    token: str
    """An access token that you got elsewhere, instead of the two above. It is not renewed."""
    agent: str
    """Whom the questions are about: the token's own agent unless said. A gateway must say it."""
    timeout: float
    """Seconds for one answer; 10 unless said."""
    retries: int
    """How often a call with an idempotency key is repeated; 2 unless said."""
    allow_http: bool
    """Send secrets unencrypted, to an address that is not this machine."""


class Client:
    """Use `Muster` or `AsyncMuster`."""

    def __init__(self, base_url: str, **given: Unpack[Settings]) -> None:
        unknown = set(given) - set(Settings.__annotations__)
        if unknown:
            raise TypeError(f"A client has no {', '.join(sorted(unknown))}.")
        self._timeout = given.get("timeout", 10.0)
        self._flows = Flows(
            base_url=questions.base_of(base_url, allow_http=given.get("allow_http", False)),
            signing=Signing(
                given.get("client_id", ""), given.get("client_secret", ""), given.get("token", "")
            ),
            agent=given.get("agent", ""),
            retries=given.get("retries", 2),
        )

    @classmethod
    def from_environment(cls, **more: Any) -> Self:
        """By MUSTER_URL with MUSTER_TOKEN, or with MUSTER_CLIENT_ID and MUSTER_CLIENT_SECRET.

        Where MUSTER_AGENT is set, the questions are about that agent. Raises `ValueError`.
        """
        names = ("client_id", "client_secret", "token", "agent")
        given = {name: os.environ.get(f"MUSTER_{name.upper()}", "") for name in names}
        return cls(os.environ.get("MUSTER_URL", ""), **(given | more))

    def _request(self, send: Send) -> httpx.Request:
        return transport.timed(transport.request_of(send, self._flows.base_url), self._timeout)

    def _check(self, tool: str, parameters: Object, key: str, asked: Asked) -> Flow[Decision]:
        """The question is made at once: what changes in `parameters` later was not asked."""
        asked = {"session": CURRENT.get(), **asked}
        made = questions.question(self._flows.agent, tool, parameters, **asked)
        return self._flows.check(made, key)

    def _report(self, decision: Decision, outcome: str, told: Told) -> Flow[str]:
        return self._flows.report(decision, questions.report(outcome, **told))


def plan_given(steps: tuple[Object, ...], extracts: Object | None) -> Json:
    """The body of a plan's declaration."""
    return {"plan": questions.plan_of(steps, extracts)}


def extract_given(name: str, value: Json, to: str) -> Json:
    """The body that hands a value over."""
    return {"to": to, "extract": name, "value": value}
