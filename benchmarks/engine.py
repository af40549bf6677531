"""How long one decision takes in the engine alone: `python -m benchmarks.engine`.

Twenty policies, of which the role's slice leaves what can concern the call; the world compiled
before. Prints medians of interleaved rounds, in microseconds of processor time.
"""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from authz.engine.types import Effect, Request, Slice, Snapshot, SubjectKind, Token
from authz.engine.walk import judge

NOW = datetime(2026, 11, 23, 13, 0, tzinfo=UTC)
ROUNDS = 20


def world(policies: int) -> dict[str, Any]:
    """One system with two tools; every fourth policy is of the agent's role."""
    schema = {
        "type": "object",
        "properties": {"amount": {"type": "number", "maximum": 1000}, "to": {"type": "string"}},
        "required": ["amount"],
        "additionalProperties": False,
    }
    tool = {"system": "pay", "effect": "financial", "version": 1, "schema": schema}
    tool |= {"amount": "amount", "accesses": []}
    return {
        "systems": {"pay": {"tier": "confidential", "categories": [], "resources": []}},
        "tools": {"pay.send": tool, "pay.open": tool},
        "roles": {"clerk": ["pay.send", "pay.open"]},
        "policies": [
            {
                "id": f"cap-{number}@v1",
                "text": f'permit(principal in Muster::Role::"{_role(number)}", '
                'action == Muster::Action::"pay.send", resource) '
                f"when {{ context.parameters.amount <= {50_000 + number} }};",
            }
            for number in range(policies)
        ],
    }


def _role(number: int) -> str:
    return "clerk" if number % 4 == 0 else f"other-{number}"


def asked(tool: str, policies: int) -> tuple[Request, Snapshot]:
    agent = {
        "slug": "payer",
        "state": "active",
        "kind": "agent",
        "pattern": "service",
        "owner": "p1",
        "owner_employment": "employed",
        "owner_zone": "Europe/Copenhagen",
        "tier": "confidential",
        "roles": ["clerk"],
        "allowlist": {name: {"narrowing": {}} for name in ("pay.send", "pay.open")},
        "client_version": 1,
        "revoked": [],
        "limits": {
            "rate_per_minute": 60,
            "rate_per_hour": 600,
            "spend_cap_minor": 10_000,
            "currency": "EUR",
        },
    }
    request = Request(
        kind=SubjectKind.AGENT,
        tool=tool,
        agent="payer",
        token=Token(1, "t"),
        parameters={"amount": 12.5, "to": "x"},
    )
    facts = Slice("global", 1, f"world-{policies}", world(policies))
    return request, Snapshot(world=facts, agent=Slice("agent:payer", 1, "payer", agent))


def microseconds(function: Callable[[], object], seconds: float) -> float:
    """The mean processor time of one call, over about `seconds` of it."""
    calls, started = 0, time.process_time()
    while (spent := time.process_time() - started) < seconds:
        function()
        calls += 1
    return spent / calls * 1e6


def main(seconds: float) -> None:
    """Print one line for each shape of question."""
    shapes = {
        "no policy concerns the call": asked("pay.open", 20),
        "20 policies": asked("pay.send", 20),
        "200 policies": asked("pay.send", 200),
    }
    times: dict[str, list[float]] = {name: [] for name in shapes}
    for name, (request, facts) in shapes.items():
        if judge(request, facts, NOW).effect is not Effect.ALLOW:
            raise SystemExit(f"{name}: not allowed, so this would measure something else")
    for _ in range(ROUNDS):
        for name, (request, facts) in shapes.items():
            once = microseconds(lambda r=request, f=facts: judge(r, f, NOW), seconds / ROUNDS)
            times[name].append(once)
    for name, found in times.items():
        print(f"{name:30} {statistics.median(found):8.0f} µs (best {min(found):.0f})")


if __name__ == "__main__":
    main(float(sys.argv[1]) if len(sys.argv) > 1 else 2.0)
