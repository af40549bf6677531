"""One call at a provider: sent with the proxy's key, handed on as it comes, settled in any case.

The exchange is a task of its own. A caller who hangs up, or is slow, changes nothing of what is
settled: what still comes is read to its end, within the time that a call may take.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field

import httpx

from . import usage
from .asking import Desk, Granted
from .calls import ANTHROPIC
from .config import Provider
from .events import Splitter, TooLong
from .prices import Usage

logger = logging.getLogger("muster_client.spend")

MAX_ANSWER = 64 * 1024 * 1024
WAITING = 64
EVENTS = "text/event-stream"
# What a provider says of a call that it has not run, and does not bill.
_NOT_RUN = frozenset({400, 401, 402, 403, 404, 405, 409, 413, 415, 422, 429})
# Nothing else of a provider's headers goes on.
PASSED = ("content-type", "request-id", "x-request-id", "retry-after", "retry-after-ms")


class Broken(Exception):
    """The provider's answer is none that can be handed on."""


@dataclass(frozen=True, slots=True)
class Head:
    """Status and headers of an answer, and whether it comes as events."""

    status: int
    headers: Mapping[str, str]
    streamed: bool


@dataclass(slots=True)
class Exchange:
    """One call that Muster has allowed. `run` it as a task; `head` and `blocks` are what came.

    `blocks` ends where the answer does, and raises `Broken` where that was too early.
    """

    http: httpx.AsyncClient
    desk: Desk
    provider: Provider
    granted: Granted
    key: str = field(repr=False)
    version: Mapping[str, str]
    timeout: float
    head: asyncio.Future[Head] = field(init=False)
    _blocks: asyncio.Queue[bytes | Broken | None] = field(init=False)
    _gone: bool = False
    _sent: bool = False
    _whole: bool = False
    _used: Usage | None = None

    def __post_init__(self) -> None:
        self.head = asyncio.get_running_loop().create_future()
        self._blocks = asyncio.Queue(WAITING)

    async def run(self) -> None:
        """Send it, hand on what comes, and settle, whatever happens."""
        failed: Broken | None = Broken("The proxy is stopping.")
        try:
            async with asyncio.timeout(self.timeout):
                await self._send()
            failed = None
        except (httpx.HTTPError, httpx.StreamError, TimeoutError, OSError, TooLong) as error:
            failed = Broken(f"The provider did not answer in full: {type(error).__name__}.")
        except Broken as error:
            failed = error
        finally:
            # A caller hears the end after it is settled, so that the next call is judged by it.
            await self._settle()
            await self._end(failed)

    async def _settle(self) -> None:
        try:
            await self.desk.settle(self.granted, self._used, sent=self._sent, ok=self._whole)
        except Exception:
            logger.exception("A call could not be settled, so what was reserved counts.")

    async def _end(self, failed: Broken | None) -> None:
        if failed is not None and not self.head.done():
            self.head.set_exception(failed)
            # Whoever waited may be gone.
            self.head.exception()
        await self._put(failed)

    async def blocks(self) -> AsyncIterator[bytes]:
        """The body, in the pieces in which it may go on."""
        try:
            while (block := await self._blocks.get()) is not None:
                if isinstance(block, Broken):
                    raise block
                yield block
        finally:
            self.leave()

    def leave(self) -> None:
        """Nobody reads any more: what still comes is only counted."""
        self._gone = True
        while not self._blocks.empty():
            self._blocks.get_nowait()

    async def _put(self, block: bytes | Broken | None) -> None:
        if not self._gone:
            await self._blocks.put(block)

    # Sending

    async def _send(self) -> None:
        call = self.granted.call
        request = self.http.build_request(
            "POST",
            self.provider.url + call.operation.path,
            content=call.body,
            headers=self._headers(),
        )
        try:
            # From here on it may have been run.
            self._sent = True
            response = await self.http.send(request, stream=True)
        except (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout):
            self._sent = False
            raise
        try:
            await self._answered(response)
        finally:
            await response.aclose()

    def _headers(self) -> dict[str, str]:
        """All of them are made here: nothing that the caller sent goes on as a header."""
        anthropic = self.provider.shape == ANTHROPIC
        return {
            "Content-Type": "application/json",
            "Accept": f"application/json, {EVENTS}",
            # Compressed, what is read here and what the caller reads could differ.
            "Accept-Encoding": "identity",
            **({"x-api-key": self.key} if anthropic else {"Authorization": f"Bearer {self.key}"}),
            **self.version,
        }

    async def _answered(self, response: httpx.Response) -> None:
        if response.headers.get("content-encoding", "identity").lower() != "identity":
            raise Broken("The provider's answer is compressed, which was not asked for.")
        if response.is_redirect or response.is_informational:
            raise Broken("The provider answered with a redirect, which is not followed.")
        if response.status_code in _NOT_RUN:
            self._sent = False
        kind = response.headers.get("content-type", "").partition(";")[0].strip().lower()
        passed = {name: response.headers[name] for name in PASSED if name in response.headers}
        following = self.granted.call.operation.following
        if response.is_success and following and kind == EVENTS:
            self.head.set_result(Head(response.status_code, passed, True))
            await self._follow(response, following(self.granted.call.operation.read))
        else:
            await self._whole_body(response, passed)

    async def _follow(self, response: httpx.Response, following: usage.Following) -> None:
        """Events as they come, but for the one that the caller did not ask for."""
        splitter, hides = Splitter(), self.granted.call.hides_usage
        try:
            async for chunk in response.aiter_raw():
                for event in splitter.feed(chunk):
                    if not (following.event(event) and hides):
                        await self._put(event)
            if rest := splitter.rest():
                await self._put(rest)
        finally:
            self._used, self._whole = following.used, following.used is not None

    async def _whole_body(self, response: httpx.Response, passed: Mapping[str, str]) -> None:
        body = bytearray()
        async for chunk in response.aiter_raw():
            body += chunk
            if len(body) > MAX_ANSWER:
                raise Broken("The provider's answer is too long.")
        if response.is_success:
            self._used = usage.of_body(bytes(body), self.granted.call.operation.read)
            self._whole = True
        await self._put(bytes(body))
        self.head.set_result(Head(response.status_code, passed, False))
