"""The client that awaits: `Muster` word for word, but for the waiting."""

from __future__ import annotations

import asyncio
from contextvars import Token
from typing import Any, Self, TypeVar, Unpack

import httpx

from . import questions, transport
from .answers import Decision, Json, Object, Run, Task
from .common import CURRENT, Client, Settings, extract_given, plan_given
from .errors import MusterError, Unavailable
from .flows import Flow, Pause, Reply, Send
from .questions import Asked, Told
from .transport import DIRECT

Result = TypeVar("Result")


class AsyncMuster(Client):
    """Asks Muster whether a call may happen, and tells it what became of it.

    Safe to share between the tasks of one loop. Nothing is kept but the token: each check is a
    question.
    """

    def __init__(
        self,
        base_url: str,
        *,
        transport: httpx.AsyncBaseTransport | None = None,
        **given: Unpack[Settings],
    ) -> None:
        super().__init__(base_url, **given)
        self._http = httpx.AsyncClient(transport=transport, follow_redirects=False, mounts=DIRECT)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        await self._http.aclose()

    async def check(
        self, tool: str, parameters: Object, *, idempotency_key: str = "", **asked: Unpack[Asked]
    ) -> Decision:
        """May this tool be called with these parameters, now? A denial is an answer.

        `Asked` says what else a question may hold. `idempotency_key` makes asking again safe, so
        it is asked again where nothing came.

        Raises `Unavailable` where no well-formed answer came, `NotSignedIn`, `BadRequest` or
        `Conflict` (the key was used for another question): none of them is a yes.
        """
        return await self._run(self._check(tool, parameters, idempotency_key, asked))

    async def report(self, decision: Decision, outcome: str, **told: Unpack[Told]) -> str:
        """Say what became of a decision, `success` or `failure`, once. Returns the report's id.

        Raises `Conflict` where it was reported before, `BadRequest` where the output holds a
        credential.
        """
        return await self._run(self._report(decision, outcome, told))

    async def ask_a_human(self, decision: Decision, *, why: str = "") -> Task:
        """Request an approval of a held call. Raises `BadRequest` where nobody can be asked."""
        return await self._run(self._flows.request(decision, why))

    async def task(self, task_id: str) -> Task:
        """What has become of such a request."""
        return await self._run(self._flows.task(task_id))

    async def wait(
        self, decision: Decision, seconds: float, *, why: str = "", idempotency_key: str = ""
    ) -> Decision:
        """Ask a human, wait for at most `seconds`, and ask Muster again with their yes.

        A yes is for one call. `idempotency_key` is for who has to learn of the same one again.

        Raises `Held` where there is none. An approver may have changed the parameters: those of
        the answer's `question` are the ones that may be used.
        """
        return await self._run(self._flows.wait(decision, seconds, why, idempotency_key))

    def session(self, *, plan: Json = None, clean: bool = False, agent: str = "") -> AsyncSession:
        """A run, open inside `async with`: `async with muster.session() as run: …`."""
        return AsyncSession(self, plan=plan, clean=clean, agent=agent)

    def plan(self, *steps: Object, extracts: Object | None = None, **given: Any) -> AsyncSession:
        """A run that says beforehand what it will call: `{"tool", "parameters"}` for each step."""
        return self.session(plan=questions.plan_of(steps, extracts), **given)

    async def _run(self, flow: Flow[Result]) -> Result:
        """Do what a flow wants done, and return what it comes to."""
        reply: Reply | None = None
        failed: Unavailable | None = None
        while True:
            try:
                step = flow.throw(failed) if failed else flow.send(reply)  # type: ignore[arg-type]
            except StopIteration as end:
                told: Result = end.value
                return told
            reply = failed = None
            try:
                reply = await self._do(step)
            except Unavailable as error:
                failed = error

    async def _do(self, step: Send | Pause) -> Reply | None:
        if isinstance(step, Pause):
            await asyncio.sleep(step.seconds)
            return None
        body = transport.Body(self._timeout)
        try:
            async with asyncio.timeout(self._timeout):
                response = await self._http.send(self._request(step), stream=True)
                try:
                    transport.check_head(response)
                    async for chunk in response.aiter_raw():
                        body.add(chunk)
                finally:
                    await response.aclose()
        except (httpx.HTTPError, httpx.InvalidURL, httpx.StreamError, OSError) as error:
            raise transport.unavailable(error) from error
        return body.reply(response)


class AsyncSession:
    """One run of an agent. Checks inside its `with` belong to it; its end ends it."""

    def __init__(self, muster: AsyncMuster, *, plan: Json, clean: bool, agent: str) -> None:
        self._muster = muster
        self._given = (agent, clean, plan)
        self._told: Run | None = None
        self._before: list[Token[str]] = []

    async def __aenter__(self) -> Self:
        self._told = await self._muster._run(self._muster._flows.open_session(*self._given))
        self._before.append(CURRENT.set(self._told.session_id))
        return self

    async def __aexit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        """End it. Where the run failed by itself, a failure to end it does not hide that."""
        CURRENT.reset(self._before.pop())
        try:
            await self._in("end")
        except MusterError:
            if error is None:
                raise

    @property
    def told(self) -> Run:
        """The session as Muster told it last."""
        if self._told is None:
            raise RuntimeError("The session is open inside its with only.")
        return self._told

    @property
    def id(self) -> str:
        return self.told.session_id

    async def look(self) -> Run:
        """What counts as read in it now."""
        self._told = await self._muster._run(self._muster._flows.show_session(self.id))
        return self._told

    async def plan(self, *steps: Object, extracts: Object | None = None) -> Run:
        """Declare its plan, once. Raises `Conflict` where it is too late for one."""
        return await self._in("plan", plan_given(steps, extracts))

    async def read(self, *inputs: Object) -> Run:
        """Tell what it has read without asking: `{"system", "resource", "trust"}` each."""
        return await self._in("inputs", {"inputs": [dict(each) for each in inputs]})

    async def hand(self, name: str, value: Json, *, to: str) -> Json:
        """Hand an extract of its plan to another session of the agent; returns what arrived."""
        flow = self._muster._flows.extract(self.id, extract_given(name, value, to))
        return await self._muster._run(flow)

    async def _in(self, verb: str, given: Object | None = None) -> Run:
        self._told = await self._muster._run(self._muster._flows.in_session(self.id, verb, given))
        return self._told
