"""The twelfth check: records that an agent changes in an hour, with one tool.

A bulk call counts as its records. `authz.decide_batch` counts; what is above waits for a human.
"""

from __future__ import annotations

from authz.engine.case import Case, not_applicable, passed
from authz.engine.types import Check, Document, Json, Request, Step

QUOTA = "write_quota_per_hour"


def quota(case: Case) -> Step:
    """A quota counts only where the row has one for this tool."""
    if not case.is_agent or case.tool is None:
        return not_applicable(Check.QUOTA)
    if case.subject["allowlist"][case.request.tool].get(QUOTA) is None:
        return not_applicable(Check.QUOTA)
    return passed(Check.QUOTA, records=records_of(case.request, case.tool))


def records_of(request: Request, tool: Document) -> int:
    """How many records the call touches, by the tool's declared parameter.

    A number, or as many as the list has; a call that does not say counts as one. What is
    declared and is neither cannot be counted: that is an error, which refuses.
    """
    name = str(tool.get("count") or "")
    value: Json = request.parameters.get(name) if name else None
    if value is None:
        return 1
    if isinstance(value, list | tuple | dict):
        return max(len(value), 1)
    if isinstance(value, bool) or not isinstance(value, int | float) or value != int(value):
        raise ValueError("the records of the call cannot be counted")
    return max(int(value), 1)
