"""Whose name a recorded call was made in, and through whose hands it came."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from audit.explain import Behind
from authz.engine.types import Check, Effect, Status

Body = Mapping[str, Any]

# What stands where a call stopped that was not let through by someone behind it.
_STOPPED = {
    "delegation.ended": "has ended",
    "delegation.expired": "is over",
    "delegation.tool": "not this tool",
    "delegation.parameters": "not these values",
    "delegation.giver_inactive": "is not active",
    "consent.none": "no consent",
    "consent.expired": "is over",
    "consent.replaced": "was replaced",
    "consent.tool": "not this tool",
    "consent.parameters": "not these values",
}
_CALLS = {Effect.ALLOW: "calls", Effect.HOLD: "waits", Effect.DENY: "refused"}
_MAY_NOT = "may not itself"


def chain_of(body: Body, detail: Mapping[str, Any]) -> tuple[Behind, ...]:
    """Who is behind a decision, from the user to the tool; () where an agent called for itself.

    `detail` is what was kept of the deciding step. Agents that the caller named, without a
    delegation that Muster knows, stand there as said.
    """
    agent, user = str(body.get("agent") or ""), str(body.get("user") or "")
    givers = [str(giver) for giver in body.get("judged", {}).get("givers", ())]
    said = [] if givers else [str(each) for each in body.get("asked", {}).get("chain", ())][::-1]
    if not agent or not (user or givers or said):
        return ()
    held = _passed(body)
    lets, hands = ("lets it act" if Check.CONSENT in held else ""), Check.DELEGATION in held
    parts = [
        *([Behind("person", user, lets)] if user else []),
        *(Behind("agent", each, "hands over" if hands else "") for each in givers),
        *(Behind("named", each, "said to hand over") for each in said),
        Behind("agent", agent, _CALLS.get(Effect(str(body.get("effect") or "allow")), "")),
    ]
    stop = _stop(body, detail, parts)
    if stop is not None:
        parts = [_marked(body, place, part, stop) for place, part in enumerate(parts)]
    return (*parts, Behind("tool", str(body.get("tool") or "a call")))


def _passed(body: Body) -> frozenset[str]:
    """The checks that the call passed: only these have looked at what they are about."""
    walk = body.get("judged", {}).get("walk", ())
    return frozenset(str(step[0]) for step in walk if str(step[1]) == Status.PASSED)


def _stop(body: Body, detail: Mapping[str, Any], parts: Sequence[Behind]) -> int | None:
    """At whose hand the call stopped; None where it went on."""
    if body.get("effect") != Effect.DENY:
        return None
    check, last = str(body.get("check") or ""), len(parts) - 1
    if check == Check.CONSENT or body.get("code") == "role.user_none":
        return 0
    if detail.get("behind") == "user":
        return 0
    named = str(detail.get("giver") or detail.get("behind") or detail.get("agent") or "")
    places = (place for place, part in enumerate(parts) if (part.kind, part.id) == ("agent", named))
    found = next(places, last)
    return last - 1 if check == Check.DELEGATION and found == last else found


def _marked(body: Body, place: int, part: Behind, stop: int) -> Behind:
    """What was not looked at beyond where it stopped is not said to have been."""
    if place < stop:
        return part
    if place > stop:
        return replace(part, does="")
    code = str(body.get("code") or "")
    check = str(body.get("check") or "")
    if check in (Check.DELEGATION, Check.CONSENT):
        return replace(part, does=_STOPPED.get(code, "does not hold"), stopped=True)
    is_caller = part.does == _CALLS[Effect.DENY]
    return replace(part, does=part.does if is_caller else _MAY_NOT, stopped=True)
