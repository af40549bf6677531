"""`@governed("refund.issue")`: a function that runs where Muster says that it may."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, ParamSpec, TypeVar, cast

from . import obligations, permits
from .aio import AsyncMuster
from .answers import HOLD, Decision, Object
from .client import Muster
from .errors import Denied, Held
from .questions import Asked, Resource

Given = ParamSpec("Given")
Result = TypeVar("Result")
Function = Callable[..., Any]
By = Muster | AsyncMuster | Callable[[], Muster | AsyncMuster]
_OF_A_METHOD = ("self", "cls")


@dataclass(frozen=True, slots=True)
class Rule:
    """How one function is governed."""

    tool: str
    by: By | None
    wait: float
    resource: Callable[[Object], Resource] | None
    fulfil: Mapping[str, obligations.Fulfil]
    send_output: bool
    signature: inspect.Signature
    made: list[Muster | AsyncMuster] = field(default_factory=list)

    def client(self, kind: type[Result]) -> Result:
        found = self.by() if callable(self.by) else self.by or self._from_environment(kind)
        if not isinstance(found, kind):
            raise TypeError(f"{self.tool} wants {kind.__name__} to ask.")
        return found

    def _from_environment(self, kind: type) -> Muster | AsyncMuster:
        if not self.made:
            self.made.append(kind.from_environment())  # type: ignore[attr-defined]
        return self.made[0]

    def parameters(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[str, Any]:
        """What the function is called with, by name; a default of None counts as not sent."""
        bound = self.signature.bind(*args, **kwargs)
        sent = set(bound.arguments)
        bound.apply_defaults()
        found: dict[str, Any] = {}
        for name, value in bound.arguments.items():
            if self.signature.parameters[name].kind is inspect.Parameter.VAR_KEYWORD:
                found |= value
            elif name not in _OF_A_METHOD and (name in sent or value is not None):
                found[name] = value
        return found

    def asked(self, parameters: Object) -> Asked:
        return {"resource": self.resource(parameters)} if self.resource else {}

    def waits(self, decision: Decision) -> bool:
        """Is there a human to wait for, or did one say yes since the call was held before?"""
        request = decision.access_request
        if decision.effect != HOLD or request is None:
            return False
        return self.wait > 0 or request.approval != ""

    def begin(self, decision: Decision) -> None:
        """Raises `Denied`, `Held` or `Unfulfilled` unless the function may run now."""
        if decision.effect == HOLD:
            raise Held(decision)
        if not decision.allowed:
            raise Denied(decision)
        obligations.before(decision, self.fulfil)

    def approved(
        self, decision: Decision, asked: Decision, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """What the function is called with: where a human changed the parameters, theirs.

        Raises `Denied` where the function would not run with exactly those.
        """
        wanted = decision.question.parameters
        if permits.same(wanted, asked.question.parameters):
            return args, kwargs
        bound = self.signature.bind(*args, **kwargs).arguments
        own = tuple(value for name, value in bound.items() if name in _OF_A_METHOD)
        try:
            fits = permits.same(self.parameters(own, wanted), wanted)
        except TypeError:
            fits = False
        if not fits:
            raise Denied(decision, "The function cannot be called with what was approved.")
        return own, wanted

    def output(self, result: Any) -> dict[str, Any]:
        return {"output": result} if self.send_output else {}


def governed(
    tool: str,
    *,
    by: By | None = None,
    wait: float = 0,
    resource: Callable[[Object], Resource] | None = None,
    fulfil: Mapping[str, obligations.Fulfil] | None = None,
    send_output: bool = False,
) -> Callable[[Callable[Given, Result]], Callable[Given, Result]]:
    """Ask before each call of a function, plain or async, and report what became of it.

    The arguments are the parameters, by name. `by` is the client, or gives it; without one it is
    made of the environment. `wait` is for how many seconds a human is waited for; what was
    approved since it was held runs when it is called again. `resource`
    names what the call is about, from its parameters. `fulfil` does what obligations ask for
    (`label`, `redact` and `log` are fulfilled here). `send_output` sends along what it returned.

    The call raises `Denied`, `Held` or `Unfulfilled`, or what `check` raises, and then nothing ran.
    A report that fails is logged: what was done stays done.

    Raises `TypeError` for a function whose parameters have no names, or that is a generator.
    """

    def decorate(function: Callable[Given, Result]) -> Callable[Given, Result]:
        rule = Rule(tool, by, wait, resource, fulfil or {}, send_output, _signature(function))
        if inspect.iscoroutinefunction(function):
            return cast("Callable[Given, Result]", _awaiting(rule, function))
        return cast("Callable[Given, Result]", _blocking(rule, function))

    return decorate


def _signature(function: Function) -> inspect.Signature:
    if inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
        raise TypeError("A generator runs later than it is called, so it cannot be governed.")
    signature = inspect.signature(function)
    nameless = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.POSITIONAL_ONLY)
    if any(each.kind in nameless for each in signature.parameters.values()):
        raise TypeError("Each parameter of a governed function needs a name that callers may use.")
    return signature


def _blocking(rule: Rule, function: Function) -> Function:
    @functools.wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        muster = rule.client(Muster)
        asked = rule.parameters(args, kwargs)
        decision = muster.check(rule.tool, asked, **rule.asked(asked))
        if rule.waits(decision):
            held, decision = decision, muster.wait(decision, rule.wait)
            args, kwargs = rule.approved(decision, held, args, kwargs)
        rule.begin(decision)
        try:
            result = function(*args, **kwargs)
        except BaseException:
            permits.tell(muster, decision, "failure")
            raise
        permits.tell(muster, decision, "success", **rule.output(result))
        return obligations.after(decision, result)

    return call


def _awaiting(rule: Rule, function: Callable[..., Awaitable[Any]]) -> Function:
    @functools.wraps(function)
    async def call(*args: Any, **kwargs: Any) -> Any:
        muster = rule.client(AsyncMuster)
        asked = rule.parameters(args, kwargs)
        decision = await muster.check(rule.tool, asked, **rule.asked(asked))
        if rule.waits(decision):
            held, decision = decision, await muster.wait(decision, rule.wait)
            args, kwargs = rule.approved(decision, held, args, kwargs)
        rule.begin(decision)
        try:
            result = await function(*args, **kwargs)
        except BaseException:
            await permits.tell_soon(muster, decision, "failure")
            raise
        await permits.tell_soon(muster, decision, "success", **rule.output(result))
        return obligations.after(decision, result)

    return call
