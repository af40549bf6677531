"""A plan as people read it, and as programs do."""

from __future__ import annotations

import difflib
import json
from collections import Counter
from collections.abc import Iterator
from typing import Any

from lifecycle.apply.execute import Outcome
from lifecycle.apply.plan import Difference, Step, Verb

GLYPHS = {Verb.CREATE: "+", Verb.CHANGE: "~", Verb.REMOVE: "-", Verb.KEEP: "="}
WAITS = "!"
LONGEST = 120

Json = Any


def plan_lines(outcome: Outcome) -> Iterator[str]:
    """The plan: + create, ~ change, - remove, = nothing to do, ! waits for someone else."""
    for step in outcome.steps:
        if step.verb != Verb.KEEP or step.waits:
            yield from _step_lines(step)
    yield _summary(outcome)


def _step_lines(step: Step) -> Iterator[str]:
    glyph = WAITS if step.waits else GLYPHS[step.verb]
    yield f"{glyph} {step.item.kind} {step.item.label}"
    for difference in step.differences:
        if difference.before is not None or not _says_nothing(difference.after):
            yield from _difference_lines(difference)
    yield from (f"    ! {sentence}" for sentence in step.waits)
    yield from (f"    ({sentence})" for sentence in step.notes)


def _says_nothing(value: Json) -> bool:
    return value is None or value in ("", [])


def _difference_lines(difference: Difference) -> Iterator[str]:
    before, after = difference.before, difference.after
    if _is_long(before) or _is_long(after):
        yield f"    {difference.field}:"
        lines = difflib.unified_diff(
            str(before or "").splitlines(), str(after or "").splitlines(), lineterm="", n=1
        )
        # Without the names of files, and for what is new without the only position.
        yield from (f"      {_printable(line)}" for line in list(lines)[2 if before else 3 :])
        return
    if before is None:
        yield f"    {difference.field}: {_short(after)}"
    else:
        yield f"    {difference.field}: {_short(before)} → {_short(after)}"


def _is_long(value: Json) -> bool:
    return isinstance(value, str) and "\n" in value.strip()


def _short(value: Json) -> str:
    """One line, of readable length."""
    if value is None:
        return "nothing"
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    text = _printable(text)
    return text if len(text) <= LONGEST else text[: LONGEST - 1] + "…"


def _printable(text: str) -> str:
    """Nothing in a plan may move a terminal's cursor."""
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)


def _summary(outcome: Outcome) -> str:
    if outcome.is_empty:
        return f"Nothing to do: {len(outcome.steps)} unchanged."
    counts = Counter(step.verb for step in outcome.steps)
    words = ("to create", "to change", "to remove")
    if not outcome.dry_run:
        words = ("created", "changed", "removed")
    verbs = (Verb.CREATE, Verb.CHANGE, Verb.REMOVE)
    told = [f"{counts[verb]} {word}" for verb, word in zip(verbs, words, strict=True)]
    told.append(f"= {counts[Verb.KEEP]} unchanged")
    if waiting := sum(bool(step.waits) for step in outcome.steps):
        told.append(f"{waiting} waiting for someone else")
    head = "Plan, nothing was changed" if outcome.dry_run else f"Applied as {outcome.by}"
    return f"{head}: {', '.join(told)}."


def plan_json(outcome: Outcome) -> dict[str, Json]:
    """The same for programs; never a secret."""
    return {
        "dry_run": outcome.dry_run,
        "by": outcome.by,
        "nothing_to_do": outcome.is_empty,
        "secrets": outcome.secrets,
        "issued": list(outcome.issued),
        "steps": [
            {
                "kind": step.item.kind,
                "key": step.item.label,
                "action": str(step.verb),
                "differences": [
                    {"field": one.field, "before": one.before, "after": one.after}
                    for one in step.differences
                ],
                "waits": step.waits,
                "notes": step.notes,
            }
            for step in outcome.steps
        ],
    }
