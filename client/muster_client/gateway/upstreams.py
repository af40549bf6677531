"""The servers behind a gateway: connections that are kept, and opened anew where they broke."""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import anyio
import httpx2
from anyio.abc import TaskGroup, TaskStatus
from mcp import Client
from mcp.client.session import ClientSession
from mcp.client.stdio import StdioServerParameters
from mcp.client.streamable_http import streamable_http_client
from mcp_types import CallToolResult, PaginatedRequestParams, Tool

from .asking import Asker, Leased
from .config import Upstream

Json = Any
logger = logging.getLogger("muster_client.gateway")
_MOST_PAGES = 50
_MOST_TOOLS = 2000
_SENDABLE = re.compile(r"[\x21-\x7e](?:[\x20-\x7e]{0,8190}[\x21-\x7e])?")
# A server may hold a stream open for this long without a word.
_SILENT = 300.0
_CLOSING = 5.0


class Broken(Exception):
    """A server does not answer, or not as the protocol has it."""


class Connection:
    """One connection, living in a task of its own: what opens it also closes it."""

    def __init__(self, upstream: Upstream, leased: Leased | None) -> None:
        self.upstream = upstream
        self.leased = leased
        self.definitions: dict[str, Tool] = {}
        self.read_at = float("-inf")
        self._client: Client | None = None
        self._http: httpx2.AsyncClient | None = None
        self._ended = anyio.Event()

    @property
    def is_over(self) -> bool:
        """Ended, or opened with a credential whose time is up."""
        expired = self.leased is not None and self.leased.expires_at <= datetime.now(UTC)
        return self._ended.is_set() or expired

    def end(self) -> None:
        self._ended.set()

    async def live(self, *, task_status: TaskStatus[None]) -> None:
        """Open it, say so, and hold it open until it is to end."""
        try:
            async with self._made() as client:
                self._client = client
                task_status.started()
                await self._ended.wait()
        except Exception as error:  # of any kind: one server's end is not the gateway's
            # Its kind alone: what it says may repeat a header that holds a credential.
            logger.warning("%s: %s", self.upstream.name, ", ".join(kinds_of(error)))
        finally:
            self._ended.set()
            await self._close()

    async def _close(self) -> None:
        if self._http is not None:
            with anyio.move_on_after(_CLOSING, shield=True):
                await self._http.aclose()

    def _made(self) -> Client:
        """A client that answers no request of the server: it asks nothing of an agent's model."""
        given: dict[str, Any] = {
            "read_timeout_seconds": self.upstream.timeout,
            "cache": None,
            "message_handler": self._heard,
        }
        value = self.leased.value if self.leased else ""
        if self.upstream.command:
            command, *arguments = self.upstream.command
            env = {self.upstream.env: value} if value else None
            return Client(StdioServerParameters(command=command, args=arguments, env=env), **given)
        said = f"{self.upstream.scheme} {value}".strip()
        headers = {self.upstream.header: said} if value else {}
        self._http = http_client(self.upstream, headers)
        return Client(streamable_http_client(self.upstream.url, http_client=self._http), **given)

    async def _heard(self, message: object) -> None:
        """What its server says of itself: that its tools changed has them read again."""
        method = getattr(message, "method", "")
        if method == "notifications/tools/list_changed":
            self.read_at = float("-inf")

    @property
    def session(self) -> ClientSession:
        if self._client is None or self.is_over:
            raise Broken(f"{self.upstream.name} is not connected.")
        return self._client.session

    async def tools(self, fresh_for: float) -> dict[str, Tool]:
        """What the server has, by name, read less than so many seconds ago."""
        if time.monotonic() - self.read_at < fresh_for:
            return self.definitions
        self.definitions = await self._listed()
        self.read_at = time.monotonic()
        return self.definitions

    async def _listed(self) -> dict[str, Tool]:
        found: dict[str, Tool] = {}
        cursor: str | None = None
        for _ in range(_MOST_PAGES):
            params = PaginatedRequestParams(cursor=cursor) if cursor else None
            page = await self.session.list_tools(params=params)
            for tool in page.tools:
                if tool.name in found:
                    raise Broken(f"{self.upstream.name} has {tool.name} twice.")
                found[tool.name] = tool
            cursor = page.next_cursor
            if not cursor:
                return found
            if len(found) > _MOST_TOOLS:
                break
        raise Broken(f"The tools of {self.upstream.name} do not end.")

    async def call(self, tool: str, arguments: Mapping[str, Json], progress: Any) -> CallToolResult:
        """Call it, and hold the result against the tool's schema.

        Raises `MCPError` with what the server said, `Broken` for what is no result.
        """
        try:
            found = await self.session.call_tool(
                tool, dict(arguments), progress_callback=progress, allow_input_required=True
            )
        except RuntimeError as error:
            raise Broken(f"The result of {tool} is not what its schema says.") from error
        if not isinstance(found, CallToolResult):
            raise Broken(f"{tool} asks for more input, which is not passed on.")
        return found


def http_client(upstream: Upstream, headers: Mapping[str, str]) -> httpx2.AsyncClient:
    """The way to one server. The protocol's client follows no redirect to elsewhere.

    A proxy that the environment names would read what goes to this machine without TLS.
    """
    return httpx2.AsyncClient(
        headers=dict(headers),
        timeout=httpx2.Timeout(30.0, read=_SILENT),
        trust_env=upstream.url.lower().startswith("https:"),
    )


def kinds_of(error: BaseException) -> list[str]:
    """What went wrong, by the names of its kinds; those of a group one by one."""
    if isinstance(error, BaseExceptionGroup):
        return [kind for each in error.exceptions for kind in kinds_of(each)]
    return [type(error).__name__]


@dataclass(slots=True)
class Connections:
    """Those that are open, by server, and by agent where it needs that agent's credential."""

    group: TaskGroup
    _open: dict[tuple[str, str], Connection] = field(default_factory=dict)
    _locks: dict[tuple[str, str], anyio.Lock] = field(default_factory=dict)

    async def to(self, upstream: Upstream, asker: Asker) -> Connection:
        """A connection that may be used for this agent.

        Raises `Broken`, and what a refused lease raises.
        """
        agent = (await asker.who()).agent if upstream.credential else ""
        key = (upstream.name, agent)
        async with self._locks.setdefault(key, anyio.Lock()):
            found = self._open.get(key)
            if found is None or found.is_over:
                if found is not None:
                    found.end()
                self._open[key] = found = await self._opened(upstream, asker)
        return found

    async def _opened(self, upstream: Upstream, asker: Asker) -> Connection:
        leased = await asker.lease(upstream.credential) if upstream.credential else None
        if leased and upstream.url and not _SENDABLE.fullmatch(leased.value):
            raise Broken(f"The credential of {upstream.name} cannot stand in a header.")
        made = Connection(upstream, leased)
        try:
            with anyio.fail_after(upstream.timeout):
                await self.group.start(_living, made)
        except (RuntimeError, TimeoutError) as error:
            made.end()
            raise Broken(f"{upstream.name} cannot be reached.") from error
        return made


async def _living(connection: Connection, *, task_status: TaskStatus[None]) -> None:
    await connection.live(task_status=task_status)
