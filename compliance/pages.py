"""What the pages of evidence show."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from urllib.parse import urlencode

from django.urls import reverse

from compliance.catalogue import Framework, frameworks
from compliance.enums import Status
from compliance.evidence import Answered, Asking, Figure, Found, Look
from compliance.evidence.status import NOTHING_REGISTERED
from compliance.reports.document import status_counts

# What is asked, whatever the framework: the rows of the matrix.
THEMES = {
    "owned": "Every agent known and owned",
    "least": "Access as small as the task",
    "recorded": "Each action on record",
    "proven": "Who acted is proven",
    "human": "A person can step in",
    "two": "Changes seen by two",
    "tiers": "Data stays at its tier",
    "contained": "Damage is limited",
    "watched": "What is unusual is seen",
    "kept": "Kept long enough",
    "safeguard": "Data leaves with a safeguard",
    "forgotten": "A person can be forgotten",
}


@dataclass(frozen=True, slots=True)
class Standing:
    """One framework and how each of its lines stands."""

    framework: Framework
    found: tuple[Found, ...]

    @property
    def counts(self) -> Mapping[str, int]:
        return status_counts(self.found)

    @property
    def sentence(self) -> str:
        """In words, the unusual first."""
        counts, total = self.counts, len(self.found)
        named = ((Status.NOT_MET, "not met"), (Status.PARTLY, "partly"), (Status.MET, "met"))
        said = [f"{counts[str(status)]} {word}" for status, word in named if counts[str(status)]]
        if not said:
            return self.found[0].why if self.found else "No line."
        return f"Of {total} lines {', '.join(said)}."


def standings(asking: Asking) -> list[Standing]:
    """Every framework."""
    return [Standing(each, tuple(asking.framework(each))) for each in frameworks()]


def matrix(found: Iterable[Standing]) -> list[tuple[str, list[list[Found]]]]:
    """Themes down, frameworks across; in a cell the lines of both."""
    columns = list(found)
    return [
        (title, [[each for each in one.found if each.control.theme == theme] for one in columns])
        for theme, title in THEMES.items()
    ]


def title_of(found: Iterable[Standing], registered: int) -> str:
    """The answer of the page, in a sentence."""
    if not registered:
        return NOTHING_REGISTERED
    lines = [each for one in found for each in one.found]
    counts = status_counts(lines)
    broken = counts[Status.NOT_MET]
    if broken:
        verb = "line is" if broken == 1 else "lines are"
        return f"{broken} {verb} not met"
    partly = counts[Status.PARTLY]
    if partly:
        verb = "line is" if partly == 1 else "lines are"
        return f"{partly} {verb} partly met"
    return "Every line that applies is met"


def lede_of(look: Look, found: Iterable[Standing]) -> str:
    """Of when, of whom, and how many."""
    lines = [each for one in found for each in one.found]
    counts = status_counts(lines)
    return (
        f"{look.period.name}, {look.scope.title}. Of {len(lines)} lines {counts['met']} are met, "
        f"{counts['partly']} partly, {counts['not_met']} not; {counts['not_applicable']} do not "
        "apply. Each is a live query with its exceptions."
    )


def query_string(look: Look) -> str:
    """Period and scope, as they stand in an address."""
    return urlencode({"period": look.period.key, "scope": look.scope.key})


def control_url(look: Look, found: Found) -> str:
    """The page of a line, in the same period and scope."""
    args = [found.control.framework, found.control.id]
    return f"{reverse('evidence_control', args=args)}?{query_string(look)}"


def rows_url(look: Look, framework: Framework, answered: Answered, figure: Figure) -> str:
    """Where the rows behind a figure are: its own place, the annex of its query, its exceptions."""
    if figure.link:
        return figure.link
    if name := answered.query.annex:
        address = reverse("evidence_annex", args=[framework.id, name])
        return f"{address}?{query_string(look)}"
    return f"#x-{answered.query.id}" if answered.evidence.exceptions else ""


def said_value(figure: Figure) -> str:
    """A figure as a page shows it."""
    if figure.value is None:
        return "none"
    number = f"{figure.value:,}" if isinstance(figure.value, int | float) else str(figure.value)
    return f"{number} {figure.unit}".strip()
