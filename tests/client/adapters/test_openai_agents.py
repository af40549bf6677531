"""The real Runner of the OpenAI Agents SDK, whose model says what the test says."""

from __future__ import annotations

import asyncio
import doctest
import json
from typing import Any

import pytest
from agents import (
    Agent,
    RunConfig,
    Runner,
    ToolGuardrailFunctionOutput,
    ToolInputGuardrail,
    WebSearchTool,
    function_tool,
)
from agents.testing import ScriptedModel, assistant_message, function_call

from client.muster_client.adapters import openai_agents
from client.muster_client.adapters.openai_agents import govern
from tests.client import muster_double as double

REPORTED = {"outcome_id": double.TASK, "decision_id": double.DECISION}
ARGUMENTS = '{"claim": "CL-1", "amount": 500}'
LINK = f"{double.BASE}/inbox/?item=hold:{double.HOLD}"


@pytest.fixture
def ran() -> list[int]:
    return []


@pytest.fixture
def tool(ran: list[int]) -> Any:
    @function_tool
    def issue_refund(claim: str, amount: int) -> str:
        """Pay a refund."""
        ran.append(amount)
        return f"paid {claim}"

    return issue_refund


def run(muster: double.Double, tool: Any, arguments: str = ARGUMENTS) -> str:
    """What the model reads as the tool's result."""

    async def go() -> Any:
        async with double.async_muster(muster) as client:
            call = function_call("issue_refund", arguments, call_id="call_1")
            model = ScriptedModel([[call], [assistant_message("Done.")]])
            tools = govern([tool], client, tool={"issue_refund": "refund.issue"}.__getitem__)
            agent = Agent(name="desk", model=model, tools=tools)
            return await Runner.run(
                agent, "Refund it.", run_config=RunConfig(tracing_disabled=True)
            )

    items = asyncio.run(go()).new_items
    (output,) = [each.output for each in items if each.type == "tool_call_output_item"]
    return str(output)


def test_an_allow_runs_and_is_reported(tool: Any, ran: list[int]) -> None:
    muster = double.Double(double.allow(), double.httpx.Response(201, json=REPORTED))

    assert run(muster, tool) == "paid CL-1"

    assert ran == [500]
    asked, reported = muster.bodies
    assert asked["action"] == {"name": "refund.issue", "properties": json.loads(ARGUMENTS)}
    assert reported == {"outcome": "success"}


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (double.deny(), "Muster denies refund.issue (role.none): No role."),
        (
            double.hold(),
            f"They decide at {LINK}. Once they have, make exactly the same call again.",
        ),
        (double.allow(obligations=[{"kind": "mfa"}]), "obligation mfa"),
        (double.httpx.ConnectError("no"), "Muster did not decide on refund.issue"),
        (double.httpx.Response(503), "so it does not run"),
        (double.httpx.Response(200, content=b"[]"), "so it does not run"),
    ],
)
def test_whatever_is_no_allow_runs_nothing(
    tool: Any, ran: list[int], given: Any, said: str
) -> None:
    assert said in run(double.Double(given), tool)
    assert ran == []


@pytest.mark.parametrize(
    "arguments", ["[]", "{", '{"claim": "CL-1", "amount": 1, "amount": 900}', "1"]
)
def test_arguments_that_can_be_read_in_two_ways_run_nothing(
    tool: Any, ran: list[int], arguments: str
) -> None:
    muster = double.Double()

    assert "no JSON object" in run(muster, tool, arguments)
    assert (ran, muster.requests) == ([], [])


def test_other_guardrails_stand_before_muster(tool: Any, ran: list[int]) -> None:
    def never(_: Any) -> ToolGuardrailFunctionOutput:
        return ToolGuardrailFunctionOutput.reject_content("Not today.")

    tool.tool_input_guardrails = [ToolInputGuardrail(never)]
    muster = double.Double()

    assert run(muster, tool) == "Not today."
    assert (ran, muster.requests) == ([], [])


def test_a_tool_without_guardrails_is_not_taken() -> None:
    with pytest.raises(TypeError, match="no function tool"):
        govern([WebSearchTool()], double.async_muster(double.Double()))


def test_what_the_docstrings_show() -> None:
    found = doctest.testmod(openai_agents, optionflags=doctest.IGNORE_EXCEPTION_DETAIL)

    assert (found.failed, found.attempted) == (0, 3)
