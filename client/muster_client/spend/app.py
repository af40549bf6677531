"""The proxy as an ASGI application: who calls, what for, and the answer in the provider's shape."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from http.cookiejar import CookieJar, DefaultCookiePolicy
from typing import Any

import httpx
from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from ..errors import MusterError, NotSignedIn
from . import refusals
from .asking import Desk
from .calls import ANTHROPIC, OPENAI, OPERATIONS, BadCall, Call, read_call
from .config import Config, Provider
from .keys import Keys
from .refusals import Refusal
from .upstream import Broken, Exchange, Head

Json = Any

MODELS = "/v1/models"
BODY_WITHIN = 30
STOP_WITHIN = 20
_TOKEN = re.compile(r"[A-Za-z0-9._~+/=-]{1,8192}")
_VERSION = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_SESSION = re.compile(r"[\x21-\x7e]{1,200}")
_ANTHROPIC_VERSION = "2023-06-01"
# Anthropic's library adds this, and nothing is meant by it that the headers do not say.
_QUERIES = (b"", b"beta=true")
# A header that is said twice is read differently by different readers.
_ONCE = (
    "authorization",
    "x-api-key",
    "content-type",
    "content-length",
    "content-encoding",
    "anthropic-version",
    "muster-session",
)


class Proxy:
    """The calls of one configuration. `desk`, `keys` and `http` are given by whoever starts it."""

    def __init__(self, config: Config, desk: Desk, keys: Keys, http: httpx.AsyncClient) -> None:
        self._config = config
        self._desk = desk
        self._keys = keys
        self._http = http
        self._running: set[asyncio.Task[None]] = set()

    async def answer(self, request: Request) -> Response:
        """The answer to any request; what is not known is refused."""
        provider, path, shape = self._place(request)
        try:
            if provider is None:
                raise BadCall("There is nothing at this address.", status=404)
            return await self._answer(request, provider, path)
        except BadCall as error:
            return refusals.of_call(error).response(shape)
        except MusterError as error:
            return refusals.of_error(error).response(shape)
        except Broken as error:
            return Refusal(502, "upstream", str(error)).response(shape)

    def _place(self, request: Request) -> tuple[Provider | None, str, str]:
        """The provider, the path at it, and the shape in which the caller is answered."""
        # Compared as it came: nothing is decoded that another reader might not decode.
        path = request.scope.get("raw_path", b"").partition(b"?")[0].decode("latin-1")
        name, _, rest = path.removeprefix("/").partition("/")
        named = self._config.providers.get(name)
        if named:
            return named, f"/{rest}", named.shape
        shape = ANTHROPIC if (ANTHROPIC, path) in OPERATIONS or _speaks(request) else OPENAI
        found = [one for one in self._config.providers.values() if one.shape == shape]
        return (found[0] if len(found) == 1 else None), path, shape

    async def _answer(self, request: Request, provider: Provider, path: str) -> Response:
        operation = OPERATIONS.get((provider.shape, path))
        listing = path == MODELS and request.method == "GET"
        if not listing and (operation is None or request.method != "POST"):
            raise BadCall("There is nothing at this address.", status=404)
        if request.scope["query_string"] not in _QUERIES:
            raise BadCall("No query is passed on.")
        token = _token(request)
        version = _version(request, provider)
        agent = await self._desk.agent_of(token)
        if listing or operation is None:
            return JSONResponse(_models(provider))
        raw = await self._body(request)
        call = read_call(raw, operation, provider.name, provider.models)
        return await self._call(agent, call, provider, version, _session(request))

    async def _body(self, request: Request) -> bytes:
        """The body, within its bounds of size and time. Raises `BadCall`."""
        kind = _header(request, "content-type").partition(";")[0].strip().lower()
        if kind != "application/json" or _header(request, "content-encoding"):
            raise BadCall("The body must be application/json, not compressed.")
        body = bytearray()
        try:
            async with asyncio.timeout(BODY_WITHIN):
                async for chunk in request.stream():
                    body += chunk
                    if len(body) > self._config.max_body:
                        raise BadCall(
                            f"The body is over {self._config.max_body} bytes.", status=413
                        )
        except (TimeoutError, ClientDisconnect) as error:
            raise BadCall("The body did not come.") from error
        return bytes(body)

    async def _call(
        self, agent: str, call: Call, provider: Provider, version: Mapping[str, str], session: str
    ) -> Response:
        key = await self._keys.key(provider)
        decision = await self._desk.ask(agent, call, provider, session)
        if not decision.allowed:
            return refusals.of_decision(decision).response(provider.shape)
        exchange = Exchange(
            http=self._http,
            desk=self._desk,
            provider=provider,
            granted=self._desk.granted(agent, call, decision),
            key=key,
            version=version,
            timeout=self._config.timeout,
        )
        # From here on the task settles it, whatever becomes of this request.
        task = asyncio.create_task(exchange.run())
        self._running.add(task)
        task.add_done_callback(self._running.discard)
        try:
            head = await asyncio.shield(exchange.head)
        except asyncio.CancelledError:
            exchange.leave()
            raise
        return await _handed_on(exchange, head)

    async def stop(self) -> None:
        """Let what runs come to its end for a while, then end it; each is settled."""
        if not self._running:
            return
        _, left = await asyncio.wait(self._running, timeout=STOP_WITHIN)
        for task in left:
            task.cancel()
        await asyncio.gather(*left, return_exceptions=True)


class Passing(StreamingResponse):
    """Events as they come. Whoever has asked may be gone before the first, so it says when."""

    def __init__(self, exchange: Exchange, head: Head) -> None:
        super().__init__(_events(exchange), head.status, dict(head.headers))
        self._exchange = exchange

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send them, and let go of the exchange whatever becomes of that."""
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._exchange.leave()


async def _events(exchange: Exchange) -> AsyncIterator[bytes]:
    """Whole events; where they end too early, one that says so in the provider's own form."""
    try:
        async for block in exchange.blocks():
            yield block
    except Broken as error:
        yield Refusal(502, "upstream", str(error)).event(exchange.provider.shape)


async def _handed_on(exchange: Exchange, head: Head) -> Response:
    if head.streamed:
        return Passing(exchange, head)
    body = b"".join([block async for block in exchange.blocks()])
    return Response(body, head.status, dict(head.headers))


def _speaks(request: Request) -> bool:
    return "anthropic-version" in request.headers


def _header(request: Request, name: str) -> str:
    """What a header says. Raises `BadCall` where it is said twice."""
    values = request.headers.getlist(name)
    if len(values) > 1:
        raise BadCall(f"The header {name} came twice.")
    return values[0] if values else ""


def _token(request: Request) -> str:
    """The agent's own token, as either kind of client sends it."""
    for name in _ONCE:
        _header(request, name)
    scheme, _, bearer = _header(request, "authorization").partition(" ")
    key = _header(request, "x-api-key")
    given = {key} if key else set()
    if scheme:
        given.add(bearer.strip() if scheme.lower() == "bearer" else "")
    if len(given) != 1 or not _TOKEN.fullmatch(token := given.pop()):
        raise NotSignedIn(
            "Send the agent's own Muster token, as the API key of your client. "
            "The provider's key is the proxy's alone."
        )
    return token


def _version(request: Request, provider: Provider) -> dict[str, str]:
    """The headers that say which form of Anthropic's API is spoken."""
    if provider.shape != ANTHROPIC:
        return {}
    version = _header(request, "anthropic-version") or _ANTHROPIC_VERSION
    if not _VERSION.fullmatch(version):
        raise BadCall("anthropic-version must be a date.")
    said = ",".join(request.headers.getlist("anthropic-beta"))
    betas = [beta.strip() for beta in said.split(",") if beta.strip()]
    if unknown := [beta for beta in betas if beta not in provider.betas]:
        raise BadCall(
            f"The beta {unknown[0][:80]!r} is not passed on: it may change what a call costs. "
            "Whoever runs the proxy can list it under betas."
        )
    return {"anthropic-version": version} | ({"anthropic-beta": ",".join(betas)} if betas else {})


def _session(request: Request) -> str:
    session = _header(request, "muster-session")
    if session and not _SESSION.fullmatch(session):
        raise BadCall("Muster-Session must be the id of a session.")
    return session


def _models(provider: Provider) -> Json:
    """The models that have a price, as each API lists them."""
    names = sorted(provider.models)
    if provider.shape == ANTHROPIC:
        listed = [
            {
                "type": "model",
                "id": name,
                "display_name": name,
                "created_at": "1970-01-01T00:00:00Z",
            }
            for name in names
        ]
        return {"data": listed, "has_more": False, "first_id": names[0], "last_id": names[-1]}
    told = [
        {"id": name, "object": "model", "created": 0, "owned_by": provider.name} for name in names
    ]
    return {"object": "list", "data": told}


def make_app(
    config: Config,
    *,
    to_muster: httpx.AsyncBaseTransport | None = None,
    to_providers: httpx.AsyncBaseTransport | None = None,
) -> Starlette:
    """The application. The transports are for whoever reaches Muster or the providers otherwise."""
    proxy: list[Proxy] = []

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        muster = to_muster or httpx.AsyncHTTPTransport()
        desk = Desk(config, muster)
        http = httpx.AsyncClient(
            transport=to_providers or httpx.AsyncHTTPTransport(limits=httpx.Limits()),
            timeout=httpx.Timeout(config.timeout, connect=10),
            follow_redirects=False,
            # One agent's call tells the next one's nothing.
            cookies=CookieJar(DefaultCookiePolicy(allowed_domains=())),
        )
        proxy.append(Proxy(config, desk, Keys(config, muster), http))
        try:
            yield
        finally:
            await proxy.pop().stop()
            await http.aclose()
            await desk.close()

    async def answer(request: Request) -> Response:
        return await proxy[0].answer(request)

    methods = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]
    return Starlette(routes=[Route("/{path:path}", answer, methods=methods)], lifespan=lifespan)
