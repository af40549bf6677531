"""What a gateway asks of Muster, with the token of the agent that called it and no other."""

from __future__ import annotations

import base64
import binascii
import json
import uuid
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

from .. import questions
from ..aio import AsyncMuster
from ..answers import HOLD, Decision, Object, read_object
from ..errors import NotSignedIn, Unavailable
from ..flows import Flow
from ..questions import Question

Json = Any
SEARCH = "/access/v1/search/action"
CALL = "tools/call"
_PAGE = 200
_MOST_PAGES = 50


@dataclass(frozen=True, slots=True)
class Who:
    """The agent of a token and the person it acts for, "" for none."""

    agent: str
    user: str = ""


@dataclass(frozen=True, slots=True)
class Leased:
    """A credential for a while."""

    value: str = field(repr=False)
    expires_at: datetime


class Asker(AsyncMuster):
    """The client of one agent's token. Nothing that it is told is kept."""

    async def who(self) -> Who:
        """Whom the token names. Raises `NotSignedIn` for one that names no agent."""
        return who_in(await self._run(self._flows.signing.token()))

    async def show_token(self, server: str) -> None:
        """Raises `NotSignedIn` for a token that Muster does not take. Nothing is decided."""
        asked = _subject(await self.who()) | {"resource": {"type": "mcp_server", "id": server}}
        await self._run(self._page({**asked, "page": {"limit": 1}}))

    async def decide(self, tool: str, parameters: Object) -> Decision:
        """May this tool be called now? Where a human has said yes to exactly this, with that."""
        asked = question_of(await self.who(), tool, parameters)
        decision = await self._run(self._flows.ask(asked, str(uuid.uuid4())))
        standing = decision.access_request.approval if decision.access_request else ""
        if decision.effect != HOLD or not standing:
            return decision
        approved = asked.with_approval(standing)
        # Of this call alone: under a shared key two alike calls would both be told the one yes.
        return await self._run(self._flows.ask(approved, str(uuid.uuid4())))

    async def tools(self, server: str) -> frozenset[str]:
        """The names of the tools that the agent may call somehow (AuthZEN, action search)."""
        asked = _subject(await self.who()) | {"resource": {"type": "mcp_server", "id": server}}
        found: set[str] = set()
        page: dict[str, Json] = {"limit": _PAGE}
        for _ in range(_MOST_PAGES):
            names, token = await self._run(self._page({**asked, "page": page}))
            found |= names
            if not token:
                return frozenset(found)
            page = {"limit": _PAGE, "token": token}
        raise Unavailable("Muster's search does not end.")

    async def lease(self, reference: str) -> Leased:
        """One of the agent's own credentials. Raises `NotAllowed` where Muster refuses it."""
        return await self._run(self._lease(reference))

    def _page(self, body: Json) -> Flow[tuple[set[str], str]]:
        told = read_object(
            (yield from self._flows._call("POST", SEARCH, questions.encode(body))), "it"
        )
        results, page = told.get("results"), read_object(told.get("page", {}), "page")
        token = page.get("next_token", "")
        if not isinstance(results, list) or not isinstance(token, str):
            raise Unavailable("Muster's answer is malformed: results are no list.")
        return {_name(each) for each in results}, token

    def _lease(self, reference: str) -> Flow[Leased]:
        path = f"/api/v1/credentials/{quote(reference, safe=':/')}/lease"
        told = read_object((yield from self._flows._call("POST", path, "{}", wanted=(201,))), "it")
        value, until = told.get("value"), told.get("expires_at")
        if not isinstance(value, str) or not value or not isinstance(until, str):
            raise Unavailable("Muster's answer is malformed: that is no lease.")
        try:
            expires = datetime.fromisoformat(until)
        except ValueError as error:
            raise Unavailable("Muster's answer is malformed: expires_at is no time.") from error
        return Leased(value, expires if expires.tzinfo else expires.replace(tzinfo=UTC))


def _name(result: Json) -> str:
    name = read_object(result, "a result").get("name")
    if not isinstance(name, str) or not name:
        raise Unavailable("Muster's answer is malformed: a result has no name.")
    return name


def who_in(token: str) -> Who:
    """Whom an access token names, unverified: Muster verifies it with each question.

    A token that acts for a person has them as `sub` and the agent as `act.sub` (RFC 8693 section
    4.1); without a `grant` its `sub` is the agent that handed on, which Muster reads itself.
    """
    agent = questions.agent_in(token)
    try:
        payload = token.split(".")[1]
        claims = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    except (IndexError, ValueError, binascii.Error) as error:
        raise NotSignedIn("The token cannot be read.") from error
    user = claims.get("sub") if "act" in claims and claims.get("grant") else ""
    return Who(agent, user if isinstance(user, str) else "")


def question_of(who: Who, tool: str, parameters: Object) -> Question:
    """The question, in the shape of whoever is the subject (COAZ-MCP for a person).

    >>> question_of(Who("desk", "p-1"), "refund.issue", {}).body
    '{"subject":{"type":"identity","id":"p-1"},"context":{"agent":"desk"},\
"action":{"name":"tools/call","properties":{}},"resource":{"type":"tool","id":"refund.issue"}}'
    """
    if not who.user:
        return questions.question(who.agent, tool, parameters)
    asked = _subject(who) | {
        "action": {"name": CALL, "properties": dict(parameters)},
        "resource": {"type": "tool", "id": tool},
    }
    return Question(tool, questions.encode(asked))


def _subject(who: Who) -> dict[str, Json]:
    if not who.user:
        return {"subject": {"type": "agent", "id": who.agent}}
    return {"subject": {"type": "identity", "id": who.user}, "context": {"agent": who.agent}}
