"""The lean route: decisions answered before Django's handler makes a request object of them.

It takes the plain case alone: POST to a decision address, with no query, no cookie, an allowed
host, over the scheme that is wanted. Everything else is handed on to Django as it came, so what
is odd is answered in one place. Both call the same `answering`; what Django's middleware adds to
an answer is learned from Django itself.
"""

from __future__ import annotations

import logging
from asyncio import get_running_loop
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from dataclasses import dataclass
from functools import partial
from http import HTTPStatus
from typing import Any

from django.conf import settings
from django.db import connections
from django.http.request import split_domain_port, validate_host

from authz import group_commit, recorder
from authz.api.answer import Reply, answering, broken
from authz.api.metadata import EVALUATION, EVALUATIONS, METADATA
from authz.group_commit import GroupCommit
from authz.work import run, run_on_loop
from governance.kernel.strict_json import MAX_BYTES

PATHS = frozenset({EVALUATION, EVALUATIONS})
THREADS = 8
# A longer body takes the loop's time away from everyone else, so a thread reads it.
LONG_BODY = 32 * 1024
# What `answering` says itself, and what is never for everyone.
OWN_HEADERS = frozenset(
    {
        *(b"content-type", b"content-length", b"cache-control", b"allow", b"x-request-id"),
        *(b"www-authenticate", b"set-cookie", b"date", b"server"),
    }
)
ASKED_WITH = frozenset({b"host", b"x-forwarded-proto"})

Scope = dict[str, Any]
Message = Mapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Application = Callable[[Scope, Receive, Send], Coroutine[Any, Any, None]]
Header = tuple[bytes, bytes]

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Plain:
    """A request of the plain case. Names of headers are in lower case."""

    path: str
    headers: dict[str, str]
    peer: str
    secure: bool


class LeanRoute:
    """An ASGI application in front of `django`."""

    def __init__(
        self, django: Application, group: Callable[[], GroupCommit] = group_commit.group
    ) -> None:
        self._django = django
        self._group = group
        self._threads = ThreadPoolExecutor(THREADS, "decisions")
        self._usual: dict[bool, list[Header]] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = plain(scope) if scope["type"] == "http" and scope["path"] in PATHS else None
        if request is None:
            await self._django(scope, receive, send)
            return
        body = await _read(receive)
        if body is None:
            return
        status, headers, content = await self._reply(request, body)
        sent = [(name.lower().encode(), value.encode("latin-1")) for name, value in headers.items()]
        sent.append((b"content-length", str(len(content)).encode()))
        usual = self._usual.get(request.secure) or await self._learn(scope, request)
        await send({"type": "http.response.start", "status": status, "headers": sent + usual})
        await send({"type": "http.response.body", "body": content})

    def close(self) -> None:
        """End the threads."""
        self._threads.shutdown(wait=False)

    async def _reply(self, request: Plain, body: bytes) -> Reply:
        group = self._group()
        try:
            work = answering("POST", request.path, request.headers, body, request.peer)
            if len(body) > LONG_BODY:
                reply: Reply = await self._in_thread(partial(run, work, recorder.record))
                return reply
            return await run_on_loop(work, group.record, self._in_thread)
        except Exception:
            log.exception("A decision could not be answered.")
            return broken()

    async def _in_thread(self, function: Callable[[], Any]) -> Any:
        # The thread's log lines belong to the same request.
        called = partial(copy_context().run, _called, function)
        return await get_running_loop().run_in_executor(self._threads, called)

    async def _learn(self, scope: Scope, request: Plain) -> list[Header]:
        """The headers that Django's middleware adds, seen on an answer that needs nothing."""
        said: list[Message] = []
        bodies: list[Message] = [{"type": "http.request", "body": b""}]

        async def receive() -> Message:
            # The second time, Django waits for the client to go away, which it never does.
            return bodies.pop() if bodies else await get_running_loop().create_future()

        async def send(message: Message) -> None:
            said.append(message)

        asked = [(name, value) for name, value in scope["headers"] if name.lower() in ASKED_WITH]
        metadata = {"method": "GET", "path": METADATA, "headers": asked}
        await self._django({**scope, **metadata}, receive, send)
        named = [(name.lower(), value) for name, value in said[0]["headers"]]
        usual = [(name, value) for name, value in named if name not in OWN_HEADERS]
        if said[0]["status"] == HTTPStatus.OK:
            self._usual[request.secure] = usual
        return usual


def _called(function: Callable[[], Any]) -> Any:
    """Call it, and give back what it took from the pool of connections."""
    try:
        return function()
    finally:
        connections.close_all()


def plain(scope: Scope) -> Plain | None:
    """The request where it is of the plain case; None where Django is to answer it."""
    if scope["method"] != "POST" or scope.get("query_string") or scope.get("root_path"):
        return None
    headers = _joined(scope["headers"])
    if "cookie" in headers or not _is_allowed(headers.get("host", "")):
        return None
    secure = _is_secure(scope, headers)
    if settings.SECURE_SSL_REDIRECT and not secure:
        return None
    client = scope.get("client")
    return Plain(scope["path"], headers, client[0] if client and client[0] else "local", secure)


def _joined(headers: Iterable[Header]) -> dict[str, str]:
    """Headers as Django reads them: repeated ones joined, names with underscores left out."""
    found: dict[str, str] = {}
    for raw_name, raw_value in headers:
        name, value = raw_name.decode("latin-1"), raw_value.decode("latin-1")
        if "_" not in name:
            found[name] = f"{found[name]},{value}" if name in found else value
    return found


def _is_allowed(host: str) -> bool:
    if settings.USE_X_FORWARDED_HOST:
        return False
    domain, _ = split_domain_port(host)
    return bool(domain) and validate_host(domain, settings.ALLOWED_HOSTS)


def _is_secure(scope: Scope, headers: dict[str, str]) -> bool:
    trusted = settings.SECURE_PROXY_SSL_HEADER
    if trusted:
        name = trusted[0].removeprefix("HTTP_").replace("_", "-").lower()
        if name in headers:
            return bool(headers[name].split(",", 1)[0].strip() == trusted[1])
    return bool(scope.get("scheme") == "https")


async def _read(receive: Receive) -> bytes | None:
    """The body, read no further than to see that it is too long; None if the client went."""
    parts: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            return None
        parts.append(message.get("body", b""))
        size += len(parts[-1])
        if size > MAX_BYTES or not message.get("more_body"):
            return b"".join(parts)
