"""The providers' keys: the proxy's own, or leased from Muster's vault for a short while each."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from urllib.parse import quote

import httpx

from .. import answers
from ..aio import AsyncMuster
from ..errors import MusterError, Unavailable
from ..flows import Flow, Flows
from .config import Config, Provider

_KEY = re.compile(r"[\x21-\x7e]{1,4096}")
_EARLY = timedelta(seconds=30)


@dataclass(slots=True)
class Leased:
    """A key and until when it may be used."""

    value: str = field(repr=False)
    until: datetime


def _now() -> datetime:
    return datetime.now(UTC)


class Keys:
    """The key of a provider, whenever one is needed. Used by the tasks of one loop.

    Gateways are given no credentials, so a lease is asked for by an agent: the row on which the
    providers' keys stand.
    """

    def __init__(
        self,
        config: Config,
        transport: httpx.AsyncBaseTransport,
        now: Callable[[], datetime] = _now,
    ) -> None:
        self._now = now
        self._held: dict[str, Leased] = {}
        self._one = asyncio.Lock()
        self._muster: AsyncMuster | None = None
        if config.lessee is not None:
            client_id, secret = config.lessee
            self._muster = AsyncMuster(
                config.muster_url,
                transport=transport,
                client_id=client_id,
                client_secret=secret,
                allow_http=True,
            )

    async def key(self, provider: Provider) -> str:
        """Raises `Unavailable` where a lease is refused, or Muster cannot be asked."""
        if not provider.lease:
            return provider.key
        async with self._one:
            held = self._held.get(provider.lease)
            if held is None or self._now() >= held.until - _EARLY:
                held = self._held[provider.lease] = await self._leased(provider.lease)
        return held.value

    async def _leased(self, reference: str) -> Leased:
        if self._muster is None:
            raise Unavailable("Nobody is named who may lease the provider's key.")
        try:
            return await self._muster._run(_lease(self._muster._flows, reference))
        except Unavailable:
            raise
        except MusterError as error:
            # An agent that calls can mend nothing of this.
            raise Unavailable(
                f"The provider's key could not be leased: {error.message}", code=error.code
            ) from error


def _lease(flows: Flows, reference: str) -> Flow[Leased]:
    path = f"/api/v1/credentials/{quote(reference, safe=':/')}/lease"
    told = answers.read_object((yield from flows._call("POST", path, "{}", wanted=(201,))), "it")
    value, until = told.get("value"), told.get("expires_at")
    try:
        ends = datetime.fromisoformat(str(until))
    except ValueError as error:
        raise Unavailable("Muster's answer is malformed: that is no lease.") from error
    if not isinstance(value, str) or not _KEY.fullmatch(value) or ends.tzinfo is None:
        raise Unavailable("Muster's answer is malformed: that is no lease of a key.")
    return Leased(value, ends)
