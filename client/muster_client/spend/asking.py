"""What the proxy asks of Muster: whose token this is, may it go on, and this is what it has cost.

The proxy asks as a gateway. An agent that asked for itself could also report for itself, and
would settle its calls with nothing.
"""

from __future__ import annotations

import asyncio
import logging
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlencode

import httpx

from .. import answers, flows
from ..aio import AsyncMuster
from ..answers import HOLD, Decision
from ..errors import Conflict, MusterError, NotSignedIn, Unavailable, Unfulfilled
from ..flows import Flow, Send
from .calls import Call
from .config import Config, Provider
from .prices import Prices, Usage

logger = logging.getLogger("muster_client.spend")

Json = Any

INTROSPECT = "/oauth/introspect"
REPORTED_BEFORE = "outcome.already_reported"
REPORTS = 4
# What a proxy of streams can fulfil: it cannot take anything out of them.
_FULFILLED = frozenset({"label", "log"})
_GATEWAY = "gateway:"


@dataclass(slots=True)
class Rounding:
    """What was told to Muster beyond what calls have cost, since it counts in whole minor units.

    Kept by agent and day (UTC), and used up by the agent's next calls of that day, so that the sum
    of what is settled is the sum of what was billed, rounded up once. It never falls below that.
    """

    prices: Prices
    today: Callable[[], str] = lambda: datetime.now(UTC).date().isoformat()
    _over: dict[tuple[str, str], int] = field(default_factory=dict)

    def take(self, agent: str, micro: int) -> tuple[int, int, tuple[str, str]]:
        """Minor units to tell for a cost, what they are over it, and whom and when that is for.

        What is taken here is gone until `give` brings back what is over: where a report fails, more
        was told than was due, never less.
        """
        key = (agent, self.today())
        self._forget(key[1])
        had = self._over.pop(key, 0)
        minor = self.prices.in_minor(max(0, micro - had))
        return minor, minor * self.prices.minor + had - micro, key

    def give(self, key: tuple[str, str], over: int) -> None:
        """The report was taken in: so much is over from now on."""
        self._over[key] = self._over.get(key, 0) + over

    def _forget(self, today: str) -> None:
        for key in [key for key in self._over if key[1] != today]:
            del self._over[key]


@dataclass(frozen=True, slots=True)
class Granted:
    """A call that may go on, and the minor units that Muster has reserved for it."""

    agent: str
    call: Call
    decision: Decision
    reserved: int


class Desk:
    """Muster, as the proxy asks it. Used by the tasks of one loop."""

    def __init__(self, config: Config, transport: httpx.AsyncBaseTransport) -> None:
        self._config = config
        self._prices = config.prices
        self._rounding = Rounding(config.prices)
        self._transport = transport
        # The agent is said with each question; this client is for the token's introspection.
        self._muster = self._about("")

    def _about(self, agent: str) -> AsyncMuster:
        """A client that asks about one agent, signed as the proxy."""
        config = self._config
        made = AsyncMuster(
            config.muster_url,
            transport=self._transport,
            client_id=config.client_id,
            client_secret=config.client_secret,
            agent=agent,
            allow_http=True,
        )
        if agent:
            made._flows = _with_signing(made._flows, self._muster._flows.signing)
        return made

    async def close(self) -> None:
        """Let go of the connections."""
        await self._transport.aclose()

    async def agent_of(self, token: str) -> str:
        """The agent whose own live token this is.

        Raises `NotSignedIn` for any other, `Unavailable` where Muster cannot be asked.
        """
        try:
            told = await self._muster._run(_introspected(self._muster._flows, token))
        except NotSignedIn as error:
            # That is about the proxy's own credentials, which no agent can mend.
            raise Unavailable("Muster does not take the proxy's own credentials.") from error
        agent = told.get("sub")
        if told.get("active") is not True or not isinstance(agent, str) or not agent:
            raise NotSignedIn(
                "This token is not good at Muster. Get a new one; an agent that is suspended, "
                "as one is whose spend cap is used up, has none."
            )
        if agent.startswith(_GATEWAY) or told.get("act") is not None:
            raise NotSignedIn("An agent's own token is wanted, and no other.")
        return agent

    async def ask(self, agent: str, call: Call, provider: Provider, session: str) -> Decision:
        """Muster's answer, with what the call may cost at the most reserved where it is a yes.

        Raises `Unfulfilled` for a yes that cannot be kept, and what a client's `check` raises.
        """
        most = self._prices.in_minor(call.most)
        muster = self._about(agent)
        decision = await muster.check(
            provider.tool.replace("{provider}", provider.name).replace("{model}", call.model),
            parameters_of(call, self._prices.major(most)),
            idempotency_key=str(uuid.uuid4()),
            estimate={"cost_minor": most, "currency": self._prices.currency},
            session=session,
        )
        if decision.effect == HOLD and decision.access_request and decision.access_request.approval:
            decision = await self._approved(muster, decision)
        if decision.allowed and not _FULFILLED.issuperset(
            str(each["kind"]) for each in decision.obligations
        ):
            await self._nothing_ran(muster, decision)
            raise Unfulfilled(decision, "This is allowed with an obligation that no proxy fulfils.")
        return decision

    async def _approved(self, muster: AsyncMuster, held: Decision) -> Decision:
        """Asked again with the approval that stands, unless a human changed what it is for."""
        decision = await muster.wait(held, 0)
        if decision.allowed and decision.question.parameters != held.question.parameters:
            await self._nothing_ran(muster, decision)
            raise Unfulfilled(decision, "Another request was approved than this one.")
        return decision

    async def _nothing_ran(self, muster: AsyncMuster, decision: Decision) -> None:
        await self._report(
            muster, decision, "failure", cost_minor=0, currency=self._prices.currency
        )

    def granted(self, agent: str, call: Call, decision: Decision) -> Granted:
        """A call that goes on by this decision."""
        return Granted(agent, call, decision, self._prices.in_minor(call.most))

    async def settle(self, granted: Granted, used: Usage | None, *, sent: bool, ok: bool) -> None:
        """Say what a call has cost: nothing where it was not sent, the most where nobody knows."""
        call = granted.call
        micro = _cost(call, used) if sent else 0
        key: tuple[str, str] | None = None
        if micro is None:
            minor, over = granted.reserved, 0
        else:
            minor, over, key = self._rounding.take(granted.agent, micro)
        output = {"model": call.model, "cost_micro": micro, "known": micro is not None}
        if used is not None:
            output |= {name: getattr(used, name) for name in Usage.__dataclass_fields__}
        told = await self._report(
            self._about(granted.agent),
            granted.decision,
            "success" if ok else "failure",
            cost_minor=min(minor, _MOST_COST),
            currency=self._prices.currency,
            output=output,
        )
        if told and key is not None:
            self._rounding.give(key, over)

    async def _report(
        self, muster: AsyncMuster, decision: Decision, outcome: str, **told: Any
    ) -> bool:
        """Report, again where nothing came; whether Muster has it. Else the reservation stands."""
        for left in reversed(range(REPORTS)):
            try:
                await muster.report(decision, outcome, **told)
            except Conflict as error:
                if error.code == REPORTED_BEFORE:
                    return True
                return _unreported(decision, error)
            except MusterError as error:
                if not left or not getattr(error, "passing", False):
                    return _unreported(decision, error)
                await asyncio.sleep(0.2 * 2 ** (REPORTS - left))
            else:
                return True
        return False


_MOST_COST = 2**53 - 1


def parameters_of(call: Call, amount: float) -> dict[str, Json]:
    """What a tool for models is asked with; `amount` is in major units of the table's currency."""
    return {
        "provider": call.provider,
        "model": call.model,
        "operation": call.operation.name,
        "input_tokens": call.input_tokens,
        "output_tokens": call.output_tokens,
        "amount": amount,
        "request": call.digest,
    }


def _cost(call: Call, used: Usage | None) -> int | None:
    if call.operation.free:
        return 0
    return None if used is None else call.price.cost(used)


def _unreported(decision: Decision, error: MusterError) -> bool:
    logger.warning(
        "Decision %s could not be settled, so what was reserved counts: %s",
        decision.decision_id,
        error,
    )
    return False


def _with_signing(made: flows.Flows, signing: flows.Signing) -> flows.Flows:
    """The same flows with a token that is shared."""
    return flows.Flows(made.base_url, signing, made.agent, made.retries)


def _introspected(made: flows.Flows, token: str) -> Flow[answers.Object]:
    """What stands behind a token now (RFC 7662)."""
    signing = made.signing
    form = urlencode({"token": token}).encode()
    reply = yield Send("POST", INTROSPECT, form, signing._basic())
    return answers.read_object(flows._body(reply, 200), "it")
