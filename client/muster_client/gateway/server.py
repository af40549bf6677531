"""The gateway as an MCP server: what it lists, what it lets through, and what it says to a no."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, NoReturn, TypeVar

import anyio
from mcp import MCPError
from mcp.server.context import CallNext, HandlerResult, ServerRequestContext
from mcp.server.lowlevel import Server
from mcp.shared.exceptions import UrlElicitationRequiredError
from mcp_types import (
    HEADER_MISMATCH,
    INTERNAL_ERROR,
    INVALID_PARAMS,
    INVALID_REQUEST,
    METHOD_NOT_FOUND,
    PARSE_ERROR,
    CallToolRequestParams,
    CallToolResult,
    ElicitRequest,
    ElicitRequestURLParams,
    InputRequiredResult,
    ListToolsResult,
    PaginatedRequestParams,
    TextContent,
    Tool,
)
from mcp_types.version import MODERN_PROTOCOL_VERSIONS

from .. import obligations
from ..answers import HOLD, Decision
from ..errors import (
    BadRequest,
    Conflict,
    MusterError,
    NotSignedIn,
    Unavailable,
    Unfulfilled,
)
from . import results
from .asking import Asker
from .config import TRUSTED, UNTRUSTED, Config, Upstream
from .pins import Pins, PinsUnreadable
from .upstreams import Broken, Connection, Connections

Json = Any
Context = ServerRequestContext[Any, Any]
Answer = CallToolResult | InputRequiredResult
Told = TypeVar("Told")
logger = logging.getLogger("muster_client.gateway")

# What COAZ-MCP says for a call that is refused.
REFUSED = -32001
FAILURE, SUCCESS = "failure", "success"
APPROVAL = "approval"
_CODES = frozenset({PARSE_ERROR, INVALID_REQUEST, METHOD_NOT_FOUND, INVALID_PARAMS, INTERNAL_ERROR})
_MOST_SAID = 2000
# The header that a request carries beside its body, and where the body says the same.
_HEADERS: Mapping[str, tuple[str, ...]] = {
    "tools/call": ("name",),
    "prompts/get": ("name",),
    "resources/read": ("uri",),
}


@dataclass(slots=True)
class Gateway:
    """Stands before the servers of `config`; `asker_of` gives the client of a request's token."""

    config: Config
    asker_of: Callable[[Context], Asker]
    pins: Pins = field(init=False)
    _connections: Connections | None = None
    # By the name that agents see, for headers that repeat a parameter. Without it the SDK would
    # list the tools anew for each call.
    _schemas: dict[str, Mapping[str, Json]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.pins = Pins(self.config.pins)

    def server(self) -> Server[Any]:
        """The server: tools alone. What else a client may ask for is unknown here, so refused."""
        made: Server[Any] = Server(
            "muster-gateway",
            lifespan=self._living,
            on_list_tools=self.list_tools,
            on_call_tool=self.call_tool,
            get_tool_input_schema=self._schemas.get,
        )
        made.middleware.append(headers_match)
        return made

    @asynccontextmanager
    async def _living(self, _: Server[Any]) -> AsyncIterator[dict[str, Any]]:
        async with anyio.create_task_group() as group:
            self._connections = Connections(group)
            try:
                yield {}
            finally:
                self._connections = None
                group.cancel_scope.cancel()

    # Listing

    async def list_tools(
        self, context: Context, params: PaginatedRequestParams | None
    ) -> ListToolsResult:
        """The tools that the agent may call and whose definitions are as they were accepted."""
        asker = self._asker(context)
        found: list[Tool] = []
        for upstream in self.config.upstreams.values():
            allowed = await _asked(asker.tools(upstream.name))
            found += await self._shown(upstream, asker, allowed) if allowed else []
        return ListToolsResult(tools=found)

    async def _shown(self, upstream: Upstream, asker: Asker, allowed: frozenset[str]) -> list[Tool]:
        """Of one server; none where it is away, so that the others stay usable."""
        try:
            connection = await self._to(upstream, asker)
            held = await self._held(connection)
        except (Broken, MCPError, MusterError) as error:
            logger.warning("%s is left out: %s", upstream.name, error)
            return []
        return [
            tool.model_copy(update={"name": self.config.exposed(upstream.name, name)})
            for name, tool in connection.definitions.items()
            if held[name] and self.config.tool_of(upstream, name) in allowed
        ]

    async def _held(self, connection: Connection) -> dict[str, bool]:
        """By tool, whether it is as it was accepted."""
        try:
            found = await connection.tools(self.config.refresh_seconds)
        except (MCPError, Broken, RuntimeError, ValueError) as error:
            connection.end()
            raise Broken(f"{connection.upstream.name} does not list its tools.") from error
        told = {name: definition_of(tool) for name, tool in found.items()}
        server = connection.upstream.name
        for name, tool in found.items():
            self._schemas[self.config.exposed(server, name)] = tool.input_schema
        return self.pins.look(server, told)

    # Calling

    async def call_tool(self, context: Context, params: CallToolRequestParams) -> Answer:
        """Ask Muster, and only then the server. Raises `MCPError` for every no."""
        asker = self._asker(context)
        place = self.config.named(params.name)
        name = self.config.tool_of(*place) if place else params.name
        decision = await _asked(asker.decide(name, params.arguments or {}))
        if not decision:
            return self._refuse(context, decision)
        call = Call(self, asker, decision)
        if place is None:
            await call.fail("unknown_server", f"There is no server for {params.name}.")
        return await call.through(*place, context)

    def _refuse(self, context: Context, decision: Decision) -> InputRequiredResult:
        """A no. A hold is shown to a client that can show people a page, else told as an error."""
        asked = decision.access_request
        if decision.effect != HOLD or asked is None or not _can_show(context):
            raise MCPError(REFUSED, decision.message, refusal(decision, self.config.muster))
        modern = context.protocol_version in MODERN_PROTOCOL_VERSIONS
        page = ElicitRequestURLParams(
            message=decision.message, url=asked.link, elicitation_id=None if modern else asked.hold
        )
        if not modern:
            raise UrlElicitationRequiredError([page], decision.message)
        return InputRequiredResult(
            input_requests={APPROVAL: ElicitRequest(params=page)}, request_state=asked.hold
        )

    def _asker(self, context: Context) -> Asker:
        try:
            return self.asker_of(context)
        except NotSignedIn as error:
            raise MCPError(REFUSED, error.message, {"code": "not_signed_in"}) from error

    async def _to(self, upstream: Upstream, asker: Asker) -> Connection:
        if self._connections is None:
            raise Broken("The gateway is not running.")
        return await self._connections.to(upstream, asker)


@dataclass(frozen=True, slots=True)
class Call:
    """One call that Muster allowed, until its outcome is reported."""

    gateway: Gateway
    asker: Asker
    decision: Decision

    async def through(self, upstream: Upstream, tool: str, context: Context) -> CallToolResult:
        """Call the server with what was decided on, and hand its result on as it may be."""
        try:
            obligations.before(self.decision, {})
        except Unfulfilled as error:
            await self.fail("obligation_unfulfilled", error.message)
        connection, definition = await self._ready(upstream, tool)
        result = await self._called(connection, tool, context)
        try:
            kept = results.measured(results.cut(self.decision, result), self._most)
        except Unfulfilled as error:
            await self.fail("obligation_unfulfilled", error.message)
        except results.TooLarge as error:
            await self.fail("result_too_large", str(error))
        trust = results.trust_of(self.decision, upstream.trust)
        if not await self._reported(kept, trust):
            return _withheld(
                "The call was made. Its result could not be recorded, so it is withheld."
            )
        return results.marked(
            kept, self.decision, trust, has_schema=definition.output_schema is not None
        )

    @property
    def _most(self) -> int:
        return self.gateway.config.max_result_bytes

    async def _ready(self, upstream: Upstream, tool: str) -> tuple[Connection, Tool]:
        """A connection to a server whose tool is as it was accepted."""
        try:
            connection = await self.gateway._to(upstream, self.asker)
            held = await self.gateway._held(connection)
        except MusterError as error:
            await self.fail("no_credential", f"Muster gives no credential: {error.message}")
        except Broken as error:
            await self.fail("server_away", str(error), code=INTERNAL_ERROR)
        except PinsUnreadable as error:
            await self.fail("pins_unreadable", str(error), code=INTERNAL_ERROR)
        if tool not in held:
            await self.fail("unknown_tool", f"{upstream.name} has no tool {tool}.")
        if not held[tool]:
            await self.fail(
                "definition_changed",
                f"{tool} is not what it was when it was accepted. "
                "Look at it with: muster gateway pins list.",
            )
        return connection, connection.definitions[tool]

    async def _called(self, connection: Connection, tool: str, context: Context) -> CallToolResult:
        """Raises `MCPError`: the server's own, or what is said of one that broke off."""
        parameters = self.decision.question.parameters
        try:
            return await connection.call(tool, parameters, context.session.report_progress)
        except MCPError as error:
            trust = results.trust_of(self.decision, connection.upstream.trust)
            await self._report(FAILURE, {"error": error.code}, **_more(trust))
            raise _error_of_server(error, trust) from error
        except Broken as error:
            await self.fail("bad_result", str(error), code=INTERNAL_ERROR)
        except (OSError, anyio.BrokenResourceError, anyio.ClosedResourceError) as error:
            connection.end()
            await self.fail("server_away", f"It broke off: {type(error).__name__}.", INTERNAL_ERROR)

    async def _reported(self, result: CallToolResult, trust: str) -> bool:
        outcome = FAILURE if result.is_error else SUCCESS
        return await self._report(outcome, results.told(result), **_more(trust))

    async def _report(self, outcome: str, output: Json, **more: Json) -> bool:
        """Is it on the record? A result that is not there is not handed on."""
        try:
            await self.asker.report(self.decision, outcome, output=output, **more)
        except (BadRequest, Conflict, Unavailable, MusterError) as error:
            logger.warning("Decision %s is not reported: %s", self.decision.decision_id, error)
            return False
        return True

    async def fail(self, why: str, message: str, code: int = REFUSED) -> NoReturn:
        """Report that it came to nothing, and say so. Raises `MCPError`."""
        await self._report(FAILURE, {"gateway": why, "tool": self.decision.question.tool})
        data = {"code": f"gateway.{why}", "decision_id": self.decision.decision_id}
        raise MCPError(code, message, data)


def _more(trust: str) -> dict[str, Json]:
    """What a report says of trust: Muster knows the rest by itself."""
    return {"trust": UNTRUSTED} if trust == UNTRUSTED else {}


def _error_of_server(error: MCPError, trust: str) -> MCPError:
    """What a server said of a call that failed: text of strangers, like any result.

    Only the protocol's own codes go on. Others would speak for the gateway: that Muster refused
    it, or that a page should be opened.
    """
    code = error.code if error.code in _CODES else INTERNAL_ERROR
    said = str(error.message)[:_MOST_SAID]
    return MCPError(code, said if trust == TRUSTED else results.quoted(said))


def definition_of(tool: Tool) -> dict[str, Json]:
    """A definition as its JSON, by which it is pinned."""
    told: dict[str, Json] = tool.model_dump(mode="json", by_alias=True, exclude_none=True)
    return told


def refusal(decision: Decision, muster: str) -> dict[str, Json]:
    """`data` of the error: why, what would help, and where a human can be asked."""
    told: dict[str, Json] = {
        "decision_id": decision.decision_id,
        "effect": decision.effect,
        "check": decision.check,
        "code": decision.code,
        "remedies": [dict(each) for each in decision.remedies],
    }
    if decision.access_request is not None:
        asked = decision.access_request
        told["access_request"] = {
            "endpoint": f"{muster}/access/v1/requests",
            "hold": asked.hold,
            "form_url": asked.link,
            "expires_at": asked.expires_at,
        }
    return told


async def headers_match(ctx: Context, call_next: CallNext) -> HandlerResult:
    """Refuse a request whose Mcp-Method or Mcp-Name say other than its body (-32020).

    The SDK does so for revision 2026-07-28; a proxy in front may have judged by these headers
    whatever revision the body speaks.
    """
    headers = getattr(ctx.request, "headers", {})
    params = ctx.params or {}
    meant = [params.get(name) for name in _HEADERS.get(ctx.method, ())]
    for header, body in (("mcp-method", [ctx.method]), ("mcp-name", meant)):
        said = headers.getlist(header) if hasattr(headers, "getlist") else []
        if said and said != body:
            raise MCPError(HEADER_MISMATCH, f"{header} and the body say different things.")
    return await call_next(ctx)


async def _asked(question: Any) -> Any:
    """What Muster answers. Raises `MCPError` where that is nothing: there is no yes."""
    try:
        return await question
    except NotSignedIn as error:
        raise MCPError(REFUSED, error.message, {"code": "not_signed_in"}) from error
    except BadRequest as error:
        raise MCPError(INVALID_PARAMS, error.message, {"code": error.code}) from error
    except Unavailable as error:
        said = f"Muster gave no decision. {error.message}"
        raise MCPError(INTERNAL_ERROR, said, {"code": "no_decision"}) from error
    except MusterError as error:
        raise MCPError(REFUSED, error.message, {"code": error.code}) from error


def _can_show(context: Context) -> bool:
    """Can the client show a page to its user (elicitation by URL)?"""
    said = context.session.client_capabilities
    return said is not None and said.elicitation is not None and said.elicitation.url is not None


def _withheld(why: str) -> CallToolResult:
    return CallToolResult(content=[TextContent(type="text", text=why)], is_error=True)
