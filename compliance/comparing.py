"""One period against the one before it, line by line and figure by figure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from compliance.catalogue import Control, Framework
from compliance.enums import ReportState, Status, Timing
from compliance.evidence import Asking, Found, Look, look_at
from compliance.models import Report
from compliance.period import Period

# From the best to the worst.
_ORDER = (Status.MET, Status.PARTLY, Status.NOT_MET)


@dataclass(frozen=True, slots=True)
class Change:
    """One figure of one line, then and now. `before` None: it was not kept."""

    label: str
    before: int | float | None
    after: int | float | None

    @property
    def by(self) -> int | float | None:
        """How much more it is."""
        if self.before is None or self.after is None:
            return None
        return self.after - self.before


@dataclass(frozen=True, slots=True)
class Line:
    """One line then and now. `before` is empty where how it stood was not kept."""

    control: Control
    before: str
    after: str
    exceptions_before: int | None
    exceptions_after: int
    changes: tuple[Change, ...]

    @property
    def word(self) -> str:
        """Better, worse, the same, or empty where it cannot be said."""
        if not {self.before, self.after} <= set(_ORDER):
            return ""
        then, now = _ORDER.index(Status(self.before)), _ORDER.index(Status(self.after))
        return "the same" if then == now else "better" if now < then else "worse"


@dataclass(frozen=True, slots=True)
class Compared:
    """`kept` is the report from which the earlier period is read; None: it is asked anew."""

    before: Period
    after: Period
    kept: Report | None
    lines: tuple[Line, ...]

    def many(self, word: str) -> int:
        """How many lines are better, worse or the same."""
        return sum(line.word == word for line in self.lines)


def compared(framework: Framework, look: Look) -> Compared:
    """The period of this look against the one before it, about the same agents.

    Of the earlier one the newest report that was made is read. Without one its queries are asked
    anew: what happened then is told as it was, what stood then is not kept, and left out.
    """
    before = look.period.before
    kept = _kept(framework, before, look.scope.key)
    after = Asking(look).framework(framework)
    then = _of_report(kept) if kept else _anew(framework, look_at(before, look.scope, look.now))
    lines = tuple(_line(found, then.get(found.control.id, {})) for found in after)
    return Compared(before, look.period, kept, lines)


def _kept(framework: Framework, before: Period, scope_key: str) -> Report | None:
    rows = Report.objects.filter(
        framework=framework.id, first=before.first, last=before.last, scope=scope_key,
        state=ReportState.DONE, asked_at__gte=before.until,
    )  # fmt: skip
    return rows.order_by("-made_at").first()


Then = Mapping[str, object]


def _of_report(report: Report) -> dict[str, Then]:
    return {
        each["id"]: {
            "status": each["status"],
            "exceptions": sum(len(query["exceptions"]) for query in each["queries"]),
            "figures": {
                (query["id"], one["key"]): one["value"]
                for query in each["queries"]
                for one in query["figures"]
            },
        }
        for each in report.document["controls"]
    }


def _anew(framework: Framework, look: Look) -> dict[str, Then]:
    """Lines that tell of what happened; what stands now says nothing of then."""
    found = Asking(look).framework(framework)
    return {
        each.control.id: {
            "status": str(each.status),
            "exceptions": each.exceptions,
            "figures": _figures(each),
        }
        for each in found
        if each.control.timing == Timing.SPAN
    }


def _figures(found: Found) -> dict[tuple[str, str], int | float | None]:
    return {
        (answer.query.id, one.key): one.value
        for answer in found.answers
        for one in answer.evidence.figures
    }


def _line(found: Found, then: Then) -> Line:
    earlier = then.get("figures", {})
    labels = {
        (answer.query.id, one.key): one.label
        for answer in found.answers
        for one in answer.evidence.figures
    }
    known = earlier if isinstance(earlier, Mapping) else {}
    changes = tuple(
        Change(labels[key], known.get(key), value) for key, value in _figures(found).items()
    )
    exceptions = then.get("exceptions")
    return Line(
        control=found.control,
        before=str(then.get("status", "")),
        after=str(found.status),
        exceptions_before=exceptions if isinstance(exceptions, int) else None,
        exceptions_after=found.exceptions,
        changes=changes,
    )
