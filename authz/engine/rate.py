"""The tenth check: calls a minute and an hour, counted in the transaction of the record.

The walk only knows the limits. `authz.decide_batch` counts and has the last word; a refusal of
its own replaces what this step says.
"""

from __future__ import annotations

from authz.engine.case import Case, not_applicable, passed
from authz.engine.types import Check, Document, Json, Step

WINDOWS = ("minute", "hour")
LIMITS = tuple(f"rate_per_{window}" for window in WINDOWS)


def rate(case: Case) -> Step:
    """A live row has limits; a person has none here."""
    if not case.is_agent:
        return not_applicable(Check.RATE)
    limits_of(case.subject, case.request.tool)
    return passed(Check.RATE)


def limits_of(agent: Document, tool: str) -> dict[str, list[Json]]:
    """Calls a minute and an hour: of the agent, and of this tool (None where it has no own)."""
    whole, entry = agent["limits"], agent["allowlist"][tool]
    if any(not isinstance(whole[name], int) for name in LIMITS):
        raise ValueError("a row without limits is not live")
    return {"agent": [whole[name] for name in LIMITS], "tool": [entry.get(name) for name in LIMITS]}


def limits_of_system(system: Document) -> list[Json]:
    """Calls a minute and an hour of all agents together, None where the system has no limit."""
    return [system.get(name) for name in LIMITS]
