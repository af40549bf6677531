"""OpenAI Agents SDK: guardrails that ask Muster before a function tool runs, and report after it.

agent = Agent(name="desk", tools=govern([issue_refund], muster))
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any
from weakref import WeakKeyDictionary

from agents import (
    FunctionTool,
    Tool,
    ToolGuardrailFunctionOutput,
    ToolInputGuardrail,
    ToolInputGuardrailData,
    ToolOutputGuardrail,
    ToolOutputGuardrailData,
)

from .. import permits, strict_json
from ..aio import AsyncMuster
from ..answers import Decision
from ..errors import BadRequest, MusterError

Verdict = ToolGuardrailFunctionOutput


def govern(
    tools: Sequence[Tool], muster: AsyncMuster, *, tool: Callable[[str], str] = str
) -> list[Tool]:
    """The same tools, each asking Muster first. `tool` makes Muster's name of the SDK's.

    Raises `TypeError` for a tool on which the SDK runs no guardrail, such as a hosted one: it would
    run unasked.
    """
    guard = Guard(muster, tool=tool)
    return [guard.on(each) for each in tools]


class Guard:
    """One pair of guardrails, for as many tools as you like.

    The model reads a refusal as the tool's result, and the run goes on. The SDK turns what a tool
    raises into text, so such a call is reported as done.
    """

    def __init__(self, muster: AsyncMuster, *, tool: Callable[[str], str] = str) -> None:
        self._muster = muster
        self._tool = tool
        self._decisions: WeakKeyDictionary[Any, Decision] = WeakKeyDictionary()
        self.input: ToolInputGuardrail[Any] = ToolInputGuardrail(self._before, name="muster")
        self.output: ToolOutputGuardrail[Any] = ToolOutputGuardrail(self._after, name="muster")

    def on(self, tool: Tool) -> FunctionTool:
        """The tool with both guardrails; Muster is asked last, about what would run."""
        if not isinstance(tool, FunctionTool):
            raise TypeError(f"{tool.name} is no function tool, so no guardrail stands before it.")
        return dataclasses.replace(
            tool,
            tool_input_guardrails=[*(tool.tool_input_guardrails or []), self.input],
            tool_output_guardrails=[self.output, *(tool.tool_output_guardrails or [])],
        )

    async def _before(self, data: ToolInputGuardrailData) -> Verdict:
        name = self._tool(data.context.tool_name)
        try:
            parameters = read_arguments(data.context.tool_arguments)
            decision = await permits.before_soon(self._muster, name, parameters)
        except MusterError as error:
            return Verdict.reject_content(permits.sentence(name, error), {"code": error.code})
        self._decisions[data.context] = decision
        return Verdict.allow({"decision_id": decision.decision_id})

    async def _after(self, data: ToolOutputGuardrailData) -> Verdict:
        decision = self._decisions.pop(data.context, None)
        if decision is not None:
            await permits.tell_soon(self._muster, decision, "success")
        return Verdict.allow()


def read_arguments(text: str) -> dict[str, Any]:
    """A call's arguments, which the SDK holds as JSON. Raises `BadRequest`.

    >>> read_arguments('{"claim": "CL-1"}')
    {'claim': 'CL-1'}
    >>> read_arguments('')
    {}
    >>> read_arguments('{"amount": 1, "amount": 900}')
    Traceback (most recent call last):
    ...
    muster_client.errors.BadRequest: The arguments are no JSON object, read in one way alone.
    """
    try:
        whole = strict_json.read(text or "{}")
    except ValueError:
        whole = None
    if not isinstance(whole, dict):
        raise BadRequest("The arguments are no JSON object, read in one way alone.")
    return whole
