"""The id of the request that is being answered: taken from who asks, or made here.

`X-Request-ID` and W3C Trace Context's `traceparent` are carried into every line that the log gets
meanwhile, and each answer has an `X-Request-ID`.
"""

from __future__ import annotations

import itertools
import re
import secrets
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from contextvars import ContextVar
from typing import Any

Scope = dict[str, Any]
Message = Mapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Application = Callable[[Scope, Receive, Send], Coroutine[Any, Any, None]]

REQUEST_ID = b"x-request-id"
TRACEPARENT = b"traceparent"
_LENGTH = len(REQUEST_ID)
# What may stand in a line of a log, whoever wrote it.
_PLAIN = re.compile(rb"[A-Za-z0-9._:/+=@-]{1,128}")
# https://www.w3.org/TR/trace-context/#traceparent-header: version, trace, parent, flags.
_TRACE = re.compile(
    r"(?!ff)[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-[0-9a-f]{2}(?:-.*)?"
)

Asked = tuple[str, str]
Header = tuple[bytes, bytes]
_asked: ContextVar[Asked] = ContextVar("asked", default=("", ""))
_process = secrets.token_hex(6)
_numbers = itertools.count(1)


def request_id() -> str:
    """The id of the request that is answered in this context; empty outside of any."""
    return _asked.get()[0]


def trace() -> tuple[str, str]:
    """The trace and the span that this belongs to, as hex; empty where none was said."""
    found = _TRACE.fullmatch(_asked.get()[1])
    return (found[1], found[2]) if found else ("", "")


def note_span(trace_id: str, span_id: str) -> None:
    """What is said from here on belongs to this span of our own."""
    _asked.set((request_id(), f"00-{trace_id}-{span_id}-01"))


class Tracked:
    """An ASGI application around `inner` that gives every request its id."""

    def __init__(self, inner: Application) -> None:
        self._inner = inner

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        asked = _read(scope["headers"])
        _asked.set(asked)

        async def send_named(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = message["headers"]
                for name, _ in headers:
                    if len(name) == _LENGTH and name.lower() == REQUEST_ID:
                        break
                else:
                    named = (REQUEST_ID, asked[0].encode())
                    message = {**message, "headers": [*headers, named]}
            await send(message)

        await self._inner(scope, receive, send_named)


def _read(headers: list[Header]) -> Asked:
    given, traceparent = b"", b""
    for name, value in headers:
        if name == REQUEST_ID:
            given = value
        elif name == TRACEPARENT:
            traceparent = value
    trace = traceparent.decode("latin-1") if traceparent else ""
    if given and _PLAIN.fullmatch(given):
        return given.decode(), trace
    return f"{_process}-{next(_numbers):x}", trace
