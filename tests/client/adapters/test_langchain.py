"""A real LangChain agent, whose model says what the test says, with Muster before its tools."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from langchain.agents import create_agent
from langchain.agents.middleware import AgentMiddleware
from langchain_core.language_models.fake_chat_models import GenericFakeChatModel
from langchain_core.messages import AIMessage, ToolMessage
from langchain_core.tools import ToolException, tool

from client.muster_client.adapters.langchain import MusterMiddleware
from tests.client import muster_double as double

REPORTED = {"outcome_id": double.TASK, "decision_id": double.DECISION}
CALL = {"name": "issue_refund", "args": {"claim": "CL-1", "amount": 500}, "id": "call_1"}
LINK = f"{double.BASE}/inbox/?item=hold:{double.HOLD}"


class Model(GenericFakeChatModel):
    """Calls the tool once, then says that it is done."""

    def bind_tools(self, tools: Any, **_: Any) -> Any:
        return self


def model() -> Model:
    return Model(messages=iter([AIMessage("", tool_calls=[CALL]), AIMessage("Done.")]))


def names(name: str) -> str:
    return {"issue_refund": "refund.issue"}[name]


def blocking(muster: double.Double, tools: list[Any], *more: Any) -> list[ToolMessage]:
    with double.muster(muster) as client:
        agent = create_agent(
            model(), tools, middleware=[*more, MusterMiddleware(client, tool=names)]
        )
        return _results(agent.invoke({"messages": [("user", "Refund it.")]}))


def awaiting(muster: double.Double, tools: list[Any]) -> list[ToolMessage]:
    async def go() -> Any:
        async with double.async_muster(muster) as client:
            agent = create_agent(
                model(), tools, middleware=[MusterMiddleware(async_muster=client, tool=names)]
            )
            return await agent.ainvoke({"messages": [("user", "Refund it.")]})

    return _results(asyncio.run(go()))


def _results(state: Any) -> list[ToolMessage]:
    return [each for each in state["messages"] if isinstance(each, ToolMessage)]


Way = Callable[[double.Double, list[Any]], list[ToolMessage]]
both = pytest.mark.parametrize("way", [blocking, awaiting])


@pytest.fixture
def ran() -> list[int]:
    return []


@pytest.fixture
def tools(ran: list[int]) -> list[Any]:
    @tool
    def issue_refund(claim: str, amount: int) -> str:
        """Pay a refund."""
        ran.append(amount)
        return f"paid {claim}"

    return [issue_refund]


@both
def test_an_allow_runs_and_is_reported(way: Way, tools: list[Any], ran: list[int]) -> None:
    muster = double.Double(double.allow(), double.httpx.Response(201, json=REPORTED))

    (result,) = way(muster, tools)

    assert (result.content, result.status, ran) == ("paid CL-1", "success", [500])
    asked, reported = muster.bodies
    assert asked["action"] == {"name": "refund.issue", "properties": CALL["args"]}
    assert reported == {"outcome": "success"}


@both
@pytest.mark.parametrize(
    ("given", "said"),
    [
        (double.deny(), "Muster denies refund.issue (role.none): No role."),
        (
            double.hold(),
            f"They decide at {LINK}. Once they have, make exactly the same call again.",
        ),
        (double.allow(obligations=[{"kind": "redact", "paths": ["/iban"]}]), "obligation redact"),
        (double.httpx.ConnectError("no"), "Muster did not decide on refund.issue"),
        (double.httpx.Response(500), "so it does not run"),
        (double.httpx.Response(200, content=b"{}"), "so it does not run"),
    ],
)
def test_whatever_is_no_allow_runs_nothing(
    way: Way, tools: list[Any], ran: list[int], given: Any, said: str
) -> None:
    (result,) = way(double.Double(given), tools)

    assert (result.status, ran) == ("error", [])
    assert said in str(result.content)


@both
def test_a_tool_that_fails_is_reported_as_one(way: Way) -> None:
    @tool
    def issue_refund(claim: str, amount: int) -> str:
        """Pay a refund."""
        raise RuntimeError("The bank is closed.")

    muster = double.Double(double.allow(), double.httpx.Response(201, json=REPORTED))

    with pytest.raises(RuntimeError):
        way(muster, [issue_refund])
    assert muster.bodies[1] == {"outcome": "failure"}


@both
def test_a_tool_that_answers_with_an_error_is_reported_as_one(way: Way) -> None:
    @tool
    def issue_refund(claim: str, amount: int) -> str:
        """Pay a refund."""
        raise ToolException("The bank is closed.")

    issue_refund.handle_tool_error = True
    muster = double.Double(double.allow(), double.httpx.Response(201, json=REPORTED))

    (result,) = way(muster, [issue_refund])

    assert (result.content, result.status) == ("The bank is closed.", "error")
    assert muster.bodies[1] == {"outcome": "failure"}


def test_a_report_that_is_lost_leaves_what_was_done(tools: list[Any], ran: list[int]) -> None:
    muster = double.Double(double.allow(), double.httpx.ConnectError("no"))

    (result,) = blocking(muster, tools)

    assert (result.content, ran) == ("paid CL-1", [500])


def test_what_another_middleware_changes_is_what_is_asked(tools: list[Any], ran: list[int]) -> None:
    class Doubling(AgentMiddleware[Any, Any]):
        def wrap_tool_call(self, request: Any, handler: Any) -> Any:
            args = {**request.tool_call["args"], "amount": 1000}
            return handler(request.override(tool_call={**request.tool_call, "args": args}))

    muster = double.Double(double.deny())

    blocking(muster, tools, Doubling())

    assert (muster.bodies[0]["action"]["properties"]["amount"], ran) == (1000, [])


@both
def test_without_a_client_of_its_kind_nothing_runs(
    way: Way, tools: list[Any], ran: list[int]
) -> None:
    agent = create_agent(model(), tools, middleware=[MusterMiddleware()])
    asked: Any = {"messages": [("user", "Refund it.")]}

    with pytest.raises(TypeError, match="MusterMiddleware wants"):
        agent.invoke(asked) if way is blocking else asyncio.run(agent.ainvoke(asked))
    assert ran == []
