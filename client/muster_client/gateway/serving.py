"""A gateway over HTTP and over standard input and output."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable
from typing import Any

import httpx
from mcp.server.stdio import stdio_server
from mcp.server.transport_security import TransportSecuritySettings
from starlette.applications import Starlette
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from ..errors import MusterError, NotSignedIn
from .asking import Asker
from .config import Config
from .server import Context, Gateway

PATH = "/mcp"
KNOWN_FOR = 60.0
_MOST_KNOWN = 10_000
ByToken = Callable[[str], Asker]


class Bearer:
    """Refuses a request without a bearer token that Muster takes, before a session is opened.

    What is known of a token lets nobody do anything: Muster judges it again with each question.
    So where Muster is away, the request goes on and gets no decision.
    """

    def __init__(self, app: ASGIApp, by_token: ByToken, server: str) -> None:
        self._app = app
        self._by_token = by_token
        self._server = server
        # By the token's digest, until when it need not be shown to Muster again.
        self._known: dict[bytes, float] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and not await self._is_taken(_token_in(scope["headers"])):
            challenge = {"WWW-Authenticate": 'Bearer realm="muster"'}
            await Response("A token of Muster is wanted.", 401, challenge)(scope, receive, send)
            return
        await self._app(scope, receive, send)

    async def _is_taken(self, token: str) -> bool:
        if not token:
            return False
        digest = hashlib.sha256(token.encode()).digest()
        if self._known.get(digest, 0.0) > time.monotonic():
            return True
        try:
            await self._by_token(token).show_token(self._server)
        except NotSignedIn:
            return False
        except MusterError:
            return True
        self._keep(digest)
        return True

    def _keep(self, digest: bytes) -> None:
        now = time.monotonic()
        if len(self._known) >= _MOST_KNOWN:
            self._known = {key: until for key, until in self._known.items() if until > now}
        if len(self._known) < _MOST_KNOWN:
            self._known[digest] = now + KNOWN_FOR


def _token_in(headers: list[tuple[bytes, bytes]]) -> str:
    """The token of a request's headers, "" for none and for more than one."""
    found = [value for name, value in headers if name.lower() == b"authorization"]
    if len(found) != 1:
        return ""
    kind, _, token = found[0].decode("latin-1").partition(" ")
    whole = kind.lower() == "bearer" and token.isascii() and token.isprintable()
    return token if whole and " " not in token else ""


def by_token(config: Config, transport: httpx.AsyncBaseTransport | None = None) -> ByToken:
    """Asks by a token, which goes to Muster and nowhere else."""
    # One for all tokens: it holds the connections, never a token.
    way = transport or httpx.AsyncHTTPTransport(limits=httpx.Limits(max_connections=200))
    return lambda token: Asker(
        config.muster, transport=way, token=token, allow_http=config.allow_http
    )


def by_request(by_token: ByToken) -> Callable[[Context], Asker]:
    """Asks by the token that each request brings."""

    def asker_of(context: Context) -> Asker:
        headers: Any = getattr(context.request, "headers", None)
        token = _token_in(headers.raw) if headers is not None else ""
        if not token:
            raise NotSignedIn("A token of Muster is wanted.")
        return by_token(token)

    return asker_of


def http_app(config: Config, transport: httpx.AsyncBaseTransport | None = None) -> Starlette:
    """The gateway as an ASGI application that answers at /mcp."""
    asker_of = by_token(config, transport)
    gateway = Gateway(config, by_request(asker_of))
    security = None
    if config.allowed_hosts:
        security = TransportSecuritySettings(
            enable_dns_rebinding_protection=True, allowed_hosts=list(config.allowed_hosts)
        )
    app = gateway.server().streamable_http_app(
        streamable_http_path=PATH, transport_security=security, host=config.host
    )
    app.add_middleware(Bearer, by_token=asker_of, server=next(iter(config.upstreams)))
    return app


async def over_stdio(config: Config, asker: Asker) -> None:
    """Serve one agent, whose client this is, until its standard input ends."""
    server = Gateway(config, lambda _: asker).server()
    async with stdio_server() as (incoming, outgoing):
        await server.run(incoming, outgoing, server.create_initialization_options())
