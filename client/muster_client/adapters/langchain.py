"""LangChain 1.x: a middleware that asks Muster before each call of a tool.

    agent = create_agent(model, tools, middleware=[..., MusterMiddleware(muster)])

Stand it last, next to the tools: whatever another middleware changes or repeats is asked about.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from langchain.agents.middleware import AgentMiddleware
from langchain.agents.middleware.types import ToolCallRequest
from langchain_core.messages import ToolMessage
from langgraph.types import Command

from .. import permits
from ..aio import AsyncMuster
from ..client import Muster
from ..errors import MusterError

Result = ToolMessage | Command[Any]


class MusterMiddleware(AgentMiddleware[Any, Any]):
    """Lets a tool run where Muster allows it; the model reads a refusal as the tool's result.

    `muster` is asked by `invoke` and `stream`, `async_muster` by `ainvoke` and `astream`; one that
    is missing refuses. `tool` makes Muster's name of LangChain's.
    """

    def __init__(
        self,
        muster: Muster | None = None,
        async_muster: AsyncMuster | None = None,
        *,
        tool: Callable[[str], str] = str,
    ) -> None:
        super().__init__()
        self._muster = muster
        self._async_muster = async_muster
        self._tool = tool

    def wrap_tool_call(
        self, request: ToolCallRequest, handler: Callable[[ToolCallRequest], Result]
    ) -> Result:
        """Ask, run, report. Without an allow the tool is not called."""
        if self._muster is None:
            raise TypeError("MusterMiddleware wants a Muster to ask where it may not await.")
        tool = self._tool(request.tool_call["name"])
        try:
            decision = permits.before(self._muster, tool, request.tool_call["args"])
        except MusterError as error:
            return _refusal(request, tool, error)
        outcome = "failure"
        try:
            result = handler(request)
            outcome = _outcome(result)
        finally:
            permits.tell(self._muster, decision, outcome)
        return result

    async def awrap_tool_call(
        self, request: ToolCallRequest, handler: Callable[[ToolCallRequest], Awaitable[Result]]
    ) -> Result:
        """`wrap_tool_call`, awaited."""
        if self._async_muster is None:
            raise TypeError("MusterMiddleware wants an AsyncMuster to ask where it awaits.")
        tool = self._tool(request.tool_call["name"])
        try:
            decision = await permits.before_soon(
                self._async_muster, tool, request.tool_call["args"]
            )
        except MusterError as error:
            return _refusal(request, tool, error)
        outcome = "failure"
        try:
            result = await handler(request)
            outcome = _outcome(result)
        finally:
            await permits.tell_soon(self._async_muster, decision, outcome)
        return result


def _refusal(request: ToolCallRequest, tool: str, error: MusterError) -> ToolMessage:
    return ToolMessage(
        content=permits.sentence(tool, error),
        name=request.tool_call["name"],
        tool_call_id=request.tool_call["id"],
        status="error",
    )


def _outcome(result: Result) -> str:
    failed = isinstance(result, ToolMessage) and result.status == "error"
    return "failure" if failed else "success"
