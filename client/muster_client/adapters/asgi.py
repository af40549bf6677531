"""Any ASGI application: Muster is asked before it is called.

    app = MusterMiddleware(app, muster, [Route("POST", "/refunds/{claim}", "refund.issue")])

Method and path name the tool. What stands in the path and in the query are the parameters; a body
is not looked at, and nothing that a route does not name comes through.
"""

from __future__ import annotations

import json
import re
from collections.abc import Awaitable, Callable, Collection, MutableMapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl

from .. import permits
from ..aio import AsyncMuster
from ..answers import Decision
from ..errors import BadRequest, Held, MusterError, Refused

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

MAX_FIELDS = 100
_PART = re.compile(r"\{([a-z_][a-z0-9_]*)\}")


@dataclass(frozen=True, slots=True)
class Route:
    """Requests of one method to one path, and the tool that they are.

    >>> Route("POST", "/refunds/{claim}", "refund.issue").match("POST", "/refunds/CL-1")
    {'claim': 'CL-1'}
    >>> Route("POST", "/refunds/{claim}", "refund.issue").match("POST", "/refunds/CL-1/") is None
    True
    """

    method: str
    path: str
    tool: str
    _pattern: re.Pattern[str] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        words = _PART.split(self.path)
        names, literal = words[1::2], [re.escape(each) for each in words[::2]]
        parts = [f"(?P<{name}>[^/]+)" for name in names] + [""]
        pattern = "".join(f"{text}{part}" for text, part in zip(literal, parts, strict=True))
        object.__setattr__(self, "_pattern", re.compile(pattern))

    def match(self, method: str, path: str) -> dict[str, str] | None:
        """What stands in the named places of the path, None where this is another request."""
        found = self._pattern.fullmatch(path) if method == self.method else None
        return found.groupdict() if found else None


class MusterMiddleware:
    """Calls the application where Muster allows it.

    403 is a refusal, 409 a hold, 400 a request that can be read in two ways, 503 no decision; each
    is a problem (RFC 9457). `open_paths` come through unasked. Web sockets are refused.
    """

    def __init__(
        self,
        app: App,
        muster: AsyncMuster,
        routes: Sequence[Route],
        *,
        open_paths: Collection[str] = (),
    ) -> None:
        self._app = app
        self._muster = muster
        self._routes = tuple(routes)
        self._open = frozenset(open_paths)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan" or (scope["type"] == "http" and scope["path"] in self._open):
            await self._app(scope, receive, send)
        elif scope["type"] == "http":
            await self._governed(scope, receive, send)
        else:
            # Closed before it was accepted: the server answers 403.
            await send({"type": "websocket.close", "code": 1008})

    async def _governed(self, scope: Scope, receive: Receive, send: Send) -> None:
        route, in_path = self._route(scope)
        if route is None:
            told = f"No route names {scope['method']} {scope['path']}, so it is not let through."
            await _problem(send, 403, "unmapped", told)
            return
        try:
            parameters = _parameters(in_path, scope.get("query_string", b""))
            decision = await permits.before_soon(self._muster, route.tool, parameters)
        except MusterError as error:
            await _refuse(send, route.tool, error)
            return
        await self._run(decision, scope, receive, send)

    def _route(self, scope: Scope) -> tuple[Route | None, dict[str, str]]:
        for route in self._routes:
            found = route.match(scope["method"], scope["path"])
            if found is not None:
                return route, found
        return None, {}

    async def _run(self, decision: Decision, scope: Scope, receive: Receive, send: Send) -> None:
        """Call the application, and report by the status that it answered."""
        statuses: list[int] = []

        async def sending(message: Message) -> None:
            if message["type"] == "http.response.start":
                statuses.append(message["status"])
            await send(message)

        outcome = "failure"
        try:
            await self._app(scope, receive, sending)
            outcome = "success" if statuses and statuses[-1] < 400 else "failure"
        finally:
            await permits.tell_soon(self._muster, decision, outcome)


def _parameters(in_path: dict[str, str], query: bytes) -> dict[str, Any]:
    """Path and query as one object. Raises `BadRequest` where a name stands there twice."""
    try:
        fields = parse_qsl(
            query.decode("ascii"),
            keep_blank_values=True,
            strict_parsing=bool(query),
            errors="strict",
            max_num_fields=MAX_FIELDS,
        )
    except ValueError as error:
        raise BadRequest("The query cannot be read.", code="query") from error
    names = [*in_path, *(name for name, _ in fields)]
    if len(set(names)) != len(names):
        raise BadRequest("A parameter stands in the address twice.", code="query")
    return {**in_path, **dict(fields)}


async def _refuse(send: Send, tool: str, error: MusterError) -> None:
    more: dict[str, Any] = {}
    if isinstance(error, Held):
        more["hold"] = error.link
    if isinstance(error, Refused):
        more["decision_id"] = error.decision.decision_id
    await _problem(send, _status(error), error.code, permits.sentence(tool, error), **more)


def _status(error: MusterError) -> int:
    if isinstance(error, Held):
        return 409
    if isinstance(error, Refused):
        return 403
    return 400 if isinstance(error, BadRequest) else 503


async def _problem(send: Send, status: int, code: str, detail: str, **more: Any) -> None:
    body = {"type": "about:blank", "status": status, "code": code, "detail": detail, **more}
    headers = [(b"content-type", b"application/problem+json"), (b"cache-control", b"no-store")]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": json.dumps(body).encode()})
