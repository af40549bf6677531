"""The walk of thirteen checks: as a strip wherever a decision is named, as words for a list."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from django.utils.safestring import SafeString

from governance.pictures.svg import element, joined, number, rect

CHECKS = (
    "identity",
    "delegation",
    "consent",
    "allowlist",
    "parameters",
    "role",
    "policy",
    "flow",
    "taint",
    "rate",
    "spend",
    "quota",
    "gate",
)
_PITCH = 7.5
_DECIDING = ("refused", "error", "held")
_USUAL = {
    "passed": "Passed",
    "refused": "Refused",
    "held": "Held, until a person answers",
    "error": "Failed by error, which is a refusal",
    "not_applicable": "Does not apply",
    "not_built": "Not built yet",
    "not_reached": "Not reached",
}
_COUNTED = {
    "passed": "passed",
    "not_applicable": "not applicable",
    "not_built": "not built yet",
    "not_reached": "not reached",
}
_LINE = {
    "refused": "stop",
    "error": "stop broken",
    "held": "stop hold",
    "not_applicable": "idle",
    "not_built": "idle unbuilt",
    "not_reached": "unreached",
}


@dataclass(frozen=True)
class Step:
    """One check of a walk: its place, its name, how it ended, and the sentence for people."""

    place: int
    check: str
    status: str
    sentence: str = ""

    @property
    def line(self) -> str:
        """The class of its line in the opened walk."""
        return _LINE.get(self.status, "")

    @property
    def says(self) -> str:
        """Its own sentence, or the usual one for its status."""
        return self.sentence or _USUAL.get(self.status, self.status)


def steps_of(walk: Iterable[object]) -> tuple[Step, ...]:
    """A walk as the engine or a record gives it: steps, mappings, objects or pairs.

    Mappings and objects carry `check` (or `name`), `status` and `sentence` (or `message`).
    """
    return tuple(_step(place, given) for place, given in enumerate(walk, start=1))


def steps_from(effect: str, check: str) -> tuple[Step, ...]:
    """The walk that a row of the trail implies, where only its effect and its check are at hand.

    Nothing is known then of checks that do not apply: those that were not reached or that decided
    are told, the others count as passed.
    """
    stop = CHECKS.index(check) if effect != "allow" and check in CHECKS else None
    return tuple(
        Step(place, name, _implied(effect, place - 1, stop))
        for place, name in enumerate(CHECKS, start=1)
    )


def walk_sentence(steps: tuple[Step, ...]) -> str:
    """`7 passed, stopped at check 8 of 13, flow, 5 not reached`."""
    counts = Counter(step.status for step in steps)
    if counts["passed"] == len(steps):
        return f"All {len(steps)} checks passed"
    deciding = _deciding(steps)
    parts = [f"{counts['passed']} passed"] if counts["passed"] else []
    if deciding:
        verb = {"held": "held at", "error": "failed at"}.get(deciding.status, "stopped at")
        parts.append(f"{verb} check {deciding.place} of {len(steps)}, {deciding.check}")
    parts += [
        f"{counts[status]} {words}"
        for status, words in _COUNTED.items()
        if counts[status] and status != "passed"
    ]
    sentence = ", ".join(parts)
    return sentence[:1].upper() + sentence[1:]


def walk_strip(steps: tuple[Step, ...]) -> SafeString:
    """Squares for what passed, one tall bar where it stopped, hollow where it was not reached."""
    marks = [_mark(step, 0.5 + index * _PITCH) for index, step in enumerate(steps)]
    width = number(len(steps) * _PITCH + 0.5)
    return element(
        "svg",
        joined(marks),
        class_="strip",
        viewBox=f"0 0 {width} 16",
        role="img",
        aria_label=walk_sentence(steps),
    )


def _step(place: int, given: object) -> Step:
    if isinstance(given, Step):
        return given
    if isinstance(given, list | tuple):
        return Step(place, *(str(part) for part in given[:3]))
    return Step(
        place,
        _told(given, "check") or _told(given, "name"),
        _told(given, "status"),
        _told(given, "sentence") or _told(given, "message"),
    )


def _told(given: object, key: str) -> str:
    value = given.get(key) if isinstance(given, Mapping) else getattr(given, key, None)
    return str(value) if value else ""


def _implied(effect: str, index: int, stop: int | None) -> str:
    if stop is None or index < stop:
        return "passed"
    if index == stop:
        return "held" if effect == "hold" else "refused"
    return "passed" if effect == "hold" else "not_reached"


def _deciding(steps: tuple[Step, ...]) -> Step | None:
    ranked = sorted(
        (step for step in steps if step.status in _DECIDING),
        key=lambda step: (step.status == "held", step.place),
    )
    return ranked[0] if ranked else None


def _mark(step: Step, x: float) -> SafeString:
    left, second = number(x), number(x + 3)
    paths = {
        "error": ("deny", f"M{left} 0h5v6.5h-5zM{left} 9.5h5v6.5h-5z"),
        "held": ("hold", f"M{left} 0h2v16h-2zM{second} 0h2v16h-2z"),
    }
    rects: dict[str, tuple[str, float, float]] = {
        "passed": ("pass", 5, 6),
        "refused": ("deny", 0, 16),
        "not_applicable": ("pass", 7.25, 1.5),
    }
    if step.status in paths:
        class_, path = paths[step.status]
        return element("path", class_=class_, d=path)
    if step.status in rects:
        class_, y, height = rects[step.status]
        return rect(x, y, 5, height, class_=class_)
    if step.status == "not_built":
        return element("circle", class_="unbuilt", cx=x + 2.5, cy=8, r=1)
    return rect(x + 0.5, 5.5, 4, 5, class_="unreached")
