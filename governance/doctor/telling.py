"""How findings are told: to people and to programs, and never with a secret."""

from __future__ import annotations

import json
from collections.abc import Iterator

from governance.doctor.scrub import scrubbed
from governance.doctor.verdict import Finding, State


def is_well(found: list[Finding]) -> bool:
    """Whether nothing failed."""
    return all(each.verdict.state != State.FAIL for each in found)


def as_json(found: list[Finding]) -> str:
    """`{"well": …, "checks": [{"name", "state", "found", "todo"}]}`, without any secret."""
    told = [
        {
            "name": each.name,
            "state": each.verdict.state.value,
            "found": scrubbed(each.verdict.found),
            "todo": scrubbed(each.verdict.todo),
        }
        for each in found
    ]
    return json.dumps({"well": is_well(found), "checks": told}, indent=1, ensure_ascii=False)


def as_text(found: list[Finding]) -> str:
    """A line for each check, what to do below it, and how many there were of each state."""
    return "\n".join(scrubbed(line) for line in _lines(found))


def _lines(found: list[Finding]) -> Iterator[str]:
    width = max(len(each.name) for each in found) + 2
    for each in found:
        verdict = each.verdict
        yield f"{verdict.state.value:<6}{each.name:<{width}}{verdict.found}"
        if verdict.todo:
            yield f"{'':<{6 + width}}→ {verdict.todo}"
    counts = [sum(each.verdict.state == state for each in found) for state in State]
    yield f"{counts[0]} ok, {counts[1]} warn, {counts[2]} fail"
