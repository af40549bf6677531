"""What stands before a call that is made elsewhere: by a framework, a server or a coding agent.

Asks once, uses what a human approved meanwhile, and raises unless the call may be made exactly as
it was asked about. `before` blocks, `before_soon` awaits; both refuse the same.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Collection
from typing import Unpack

from .aio import AsyncMuster
from .answers import APPROVED, HOLD, Decision, Object, Task
from .client import Muster
from .errors import Denied, Held, MusterError, Refused, Unfulfilled
from .questions import Asked, Told

logger = logging.getLogger("muster_client")

# Whoever only lets a call through can do these: the label goes on with the decision, and the
# reason of a log goes wherever the caller writes.
FULFILLED: Collection[str] = ("label", "log")


def before(
    muster: Muster, tool: str, parameters: Object, *, key: str = "", **asked: Unpack[Asked]
) -> Decision:
    """The allow under which this call may be made now, once.

    `key` stands for this one call. Raises `Denied`, `Held`, `Unfulfilled`, or what kept Muster
    from answering.
    """
    decision = muster.check(tool, parameters, idempotency_key=key, **asked)
    if released(decision):
        check_unchanged(decision, muster.ask_a_human(decision))
        held, decision = decision, muster.wait(decision, 0, idempotency_key=_again(key))
        check_same(decision, held)
    return begin(decision)


async def before_soon(
    muster: AsyncMuster, tool: str, parameters: Object, *, key: str = "", **asked: Unpack[Asked]
) -> Decision:
    """`before`, awaited."""
    decision = await muster.check(tool, parameters, idempotency_key=key, **asked)
    if released(decision):
        check_unchanged(decision, await muster.ask_a_human(decision))
        held, decision = decision, await muster.wait(decision, 0, idempotency_key=_again(key))
        check_same(decision, held)
    return begin(decision)


def released(decision: Decision) -> bool:
    """Did a human say yes since the same call was held before?"""
    request = decision.access_request
    return decision.effect == HOLD and request is not None and request.approval != ""


def _again(key: str) -> str:
    """The key of the second question about one call: its own, and the same whenever it is asked."""
    return f"{key}-approved" if key else ""


def check_unchanged(decision: Decision, task: Task) -> None:
    """Raises `Held` where a human approved another call than the one that is about to be made."""
    if task.status == APPROVED and task.parameters is not None:
        _check_alike(decision, task.parameters)


def check_same(decision: Decision, held: Decision) -> None:
    """Raises `Held` where the answer is about another call than the one that was held."""
    _check_alike(held, decision.question.parameters)


def _check_alike(decision: Decision, approved: Object) -> None:
    if not same(approved, decision.question.parameters):
        changed = json.dumps(approved, ensure_ascii=False)
        raise Held(decision, f"A human approved it with other parameters: {changed}.")


def same(one: Object, other: Object) -> bool:
    """Are they the same JSON? To Python, `True` and 1 are."""
    return json.dumps(one, sort_keys=True) == json.dumps(other, sort_keys=True)


def begin(decision: Decision) -> Decision:
    """The decision, where the call may be made. Raises `Denied`, `Held` or `Unfulfilled`."""
    if decision.effect == HOLD:
        raise Held(decision)
    if not decision.allowed:
        raise Denied(decision)
    for each in decision.obligations:
        if each["kind"] not in FULFILLED:
            raise Unfulfilled(decision, f"Nothing here fulfils the obligation {each['kind']}.")
    return decision


def tell(muster: Muster, decision: Decision, outcome: str, **told: Unpack[Told]) -> None:
    """Report what became of it. What cannot be reported is logged: what was done stays done."""
    try:
        muster.report(decision, outcome, **told)
    except MusterError as error:
        _unreported(decision, error)


async def tell_soon(
    muster: AsyncMuster, decision: Decision, outcome: str, **told: Unpack[Told]
) -> None:
    """`tell`, awaited."""
    try:
        await muster.report(decision, outcome, **told)
    except MusterError as error:
        _unreported(decision, error)


def _unreported(decision: Decision, error: MusterError) -> None:
    logger.warning("Decision %s could not be reported: %s", decision.decision_id, error)


def sentence(tool: str, error: MusterError) -> str:
    """What whoever wanted the call is told, and how it may go on.

    >>> from muster_client import Unavailable
    >>> sentence("refund.issue", Unavailable("Muster could not be asked: ConnectError."))
    'Muster did not decide on refund.issue, so it does not run: Muster could not be asked: ConnectError.'
    """  # noqa: E501 - the sentence is one line
    if isinstance(error, Held):
        return (
            f"Muster holds {tool} until a human releases it: {error.message} "
            f"They decide at {error.link}. Once they have, make exactly the same call again."
        )
    if isinstance(error, Refused):
        remedies = (each.get("message") for each in error.decision.remedies)
        ways = " ".join(each for each in remedies if isinstance(each, str))
        return f"Muster denies {tool} ({error.code or 'no code'}): {error.message} {ways}".rstrip()
    return f"Muster did not decide on {tool}, so it does not run: {error.message}"
