"""The gateway in front of a real Muster: who gets what, and what stands on the record."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from mcp import MCPError

from authz.models import Hold, ReportedOutcome
from authz.services import holds
from client.muster_client.gateway.results import META
from registry.enums import AgentState, GroupName
from registry.identity import tokens
from registry.models import Agent
from tests.client.gateway.reference import Reference, placed
from tests.factories.authz import Desk, bearer, make_desk, make_person

pytestmark = pytest.mark.django_db(transaction=True)

SMALL = {"claim": "CL-1", "amount": 300}
LARGE = {"claim": "CL-1", "amount": 500}

SCHEMA = {
    "type": "object",
    "properties": {"claim": {"type": "string"}, "amount": {"type": "integer"}},
    "required": ["claim", "amount"],
    "additionalProperties": False,
}


@pytest.fixture(autouse=True)
def _settings(settings: Any, live_server: Any) -> Iterator[None]:
    settings.MUSTER_BASE_URL = live_server.url
    settings.MUSTER_APPROVER_MFA = False
    tokens.forget()
    yield
    tokens.forget()


@pytest.fixture
def desk() -> Desk:
    gates = {"amount": {"above": 40_000, "currency": "EUR"}}
    return make_desk(tool_fields={"gates": gates, "effect": "financial", "schema": SCHEMA})


@pytest.fixture
def through(
    desk: Desk, live_server: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., Any]:
    """List the tools and call the desk's, as the agent whose token it is."""
    reference = Reference()
    upstream = {"url": "http://127.0.0.1:9000/mcp", "tools": {"pay": desk.tool.name}}
    more = {"base": live_server.url, "upstreams": {"desk": upstream}}

    async def go(token: str, arguments: Any) -> tuple[list[str], Any, int]:
        way = httpx.AsyncHTTPTransport()
        made = placed(tmp_path, monkeypatch, reference=reference, transport=way, **more)
        async with made as place, place.client(token) as client:
            names = await _caught(_names(client))
            found = await _caught(client.call_tool("pay", arguments))
        await way.aclose()
        return names, found, len(reference.calls)

    def run(arguments: Any, token: str = "") -> tuple[list[str], Any, int]:
        token = token or bearer(desk.client).removeprefix("Bearer ")
        return asyncio.run(go(token, arguments))

    return run


async def _names(client: Any) -> list[str]:
    return [tool.name for tool in (await client.list_tools()).tools]


async def _caught(asked: Any) -> Any:
    try:
        return await asked
    except MCPError as error:
        return error


def test_an_allow_is_recorded_with_its_outcome(through: Callable[..., Any]) -> None:
    names, result, calls = through(SMALL)

    assert not isinstance(result, MCPError), (result.message, result.data)
    outcome = ReportedOutcome.objects.get()
    assert (names, calls) == (["pay"], 1)
    assert str(outcome.decision) == result.meta[META]["decision"]
    assert result.meta[META]["tier"] == "internal"


def test_a_tool_that_is_not_in_the_row_is_denied(desk: Desk, through: Callable[..., Any]) -> None:
    desk.agent.allowlist.all().delete()

    names, error, calls = through(SMALL)

    assert (names, calls) == ([], 0)
    assert (error.code, error.data["code"]) == (-32001, "allowlist.not_listed")


def test_a_hold_lets_the_call_through_once_when_a_human_said_yes(
    through: Callable[..., Any],
) -> None:
    approver = make_person(groups=[GroupName.SECURITY])

    _, error, calls = through(LARGE)
    held = Hold.objects.get()
    holds.approve_hold(hold_id=held.pk, by=approver)
    _, result, after = through(LARGE)
    _, again, last = through(LARGE)

    assert (error.data["code"], calls) == ("gate.amount", 0)
    assert error.data["access_request"]["hold"] == str(held.pk)
    assert (result.is_error, after) == (False, 1)
    assert (again.data["effect"], last) == ("hold", 1)


@pytest.mark.parametrize(
    "state", [AgentState.SUSPENDED, AgentState.DECOMMISSIONING, AgentState.DECOMMISSIONED]
)
def test_an_agent_that_is_not_active_gets_nothing(
    desk: Desk, through: Callable[..., Any], state: AgentState
) -> None:
    Agent.objects.filter(pk=desk.agent.pk).update(state=state)

    names, error, calls = through(SMALL)

    assert (names, calls) == ([], 0)
    assert (error.code, error.data["check"]) == (-32001, "identity")


@pytest.mark.parametrize("kind", ["of.no.agent", "gateway", "forged", "good"])
def test_a_token_that_is_no_agents_is_not_let_in(
    live_server: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    desk = make_desk()
    own = bearer(desk.client).removeprefix("Bearer ")
    head, _, signature = own.rpartition(".")
    tokens = {
        "of.no.agent": kind,
        "gateway": bearer(desk.gateway_client).removeprefix("Bearer "),
        "forged": f"{head}.{signature[::-1]}",
        "good": own,
    }

    async def go() -> int:
        way = httpx.AsyncHTTPTransport()
        made = placed(tmp_path, monkeypatch, transport=way, base=live_server.url)
        async with made as place, place.http(tokens[kind]) as http:
            answer = await http.post("http://127.0.0.1:8765/mcp", json={"method": "initialize"})
        await way.aclose()
        return answer.status_code

    # What the good one gets is said of the request, which is none.
    assert asyncio.run(go()) == (400 if kind == "good" else 401)


@pytest.mark.parametrize("trust", ["trusted", "untrusted"])
def test_what_a_systems_row_says_of_its_trust_is_what_a_result_is_tagged_with(
    live_server: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, trust: str
) -> None:
    desk = make_desk(tool_fields={"effect": "read"}, system_fields={"trust": trust})
    upstream = {"url": "http://127.0.0.1:9000/mcp", "tools": {"read": desk.tool.name}}

    async def go() -> Any:
        way = httpx.AsyncHTTPTransport()
        more = {"base": live_server.url, "upstreams": {"desk": upstream}}
        made = placed(tmp_path, monkeypatch, transport=way, **more)
        token = bearer(desk.client).removeprefix("Bearer ")
        async with made as place, place.client(token) as client:
            result = await client.call_tool("read", SMALL)
        await way.aclose()
        return result

    result = asyncio.run(go())

    assert result.meta[META]["trust"] == trust
    assert result.content[0].text.startswith("<<<untrusted") is (trust == "untrusted")
