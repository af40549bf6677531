"""What the page of a leaver shows: where each agent stands, and who may answer what."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from governance.kernel import clock
from lifecycle.cases.services import END_ORDERED
from lifecycle.leavers import acting, permissions, selectors
from lifecycle.leavers.days import days_of
from lifecycle.leavers.story import Line, Story, is_end, story_of
from lifecycle.leavers.told import told_of
from lifecycle.models import Case, CaseState, EndRun
from registry.models import Person
from registry.permissions import can


@dataclass(frozen=True, slots=True)
class Row:
    """One agent of a leaver. Each sentence says why this person may not; empty where they may."""

    case: Case
    why_not_accept: str
    why_not_name: str
    why_not_end: str
    end: EndRun | None = None

    @property
    def answerable(self) -> bool:
        """Whether there is anything that this person may tick it for."""
        return self.case.is_open and not (self.why_not_accept and self.why_not_end)


def page_of(leaver: Person, by: Person) -> dict[str, Any]:
    """Everything on the page, as far as this person sees it."""
    cases = _visible(leaver, by)
    ends = _ends(cases)
    rows = [_row(case, by, ends.get(case.agent_id)) for case in cases]
    opened = [row for row in rows if row.case.is_open]
    return {
        "leaver": leaver,
        "rows": rows,
        "open": opened,
        "clocks": list({row.case.due_at: row.case for row in opened}.values()),
        "counted": _counted(cases),
        "may": {
            "accept": any(not row.why_not_accept for row in opened),
            "end": any(not row.why_not_end for row in opened),
        },
        "days": days_of(cases, clock.now()) if cases else None,
        "told": told_of(leaver, cases),
        "grants": acting.grants_of(leaver, by),
        **_story(leaver, cases, acting.sees_grants(leaver, by)),
    }


def _story(leaver: Person, cases: Sequence[Case], with_grants: bool) -> dict[str, Any]:
    """What the record tells: of the leaver, then of each agent."""
    if not cases:
        return {"story": None}
    story: Story = story_of(leaver, cases, cases[-1].opened_at, with_grants=with_grants)
    parts: list[tuple[str, list[Line]]] = [("", story.of_person)]
    parts += [(slug, story.of(slug)) for slug in sorted({case.agent.slug for case in cases})]
    return {"story": story, "parts": parts}


def _ends(cases: Sequence[Case]) -> dict[int, EndRun]:
    """The end of each agent that was ended, with its certificates."""
    ended = [case.agent_id for case in cases if not case.is_open and is_end(case)]
    rows = EndRun.objects.filter(agent__in=ended).prefetch_related("certificates")
    return {run.agent_id: run for run in rows}


def _visible(leaver: Person, by: Person) -> list[Case]:
    cases = selectors.cases_about(leaver)
    if not acting.sees_grants(leaver, by):
        cases = cases.filter(pk__in=selectors.concerning(by).values("pk"))
    return list(cases.prefetch_related("events__by", "events__case__agent"))


def _row(case: Case, by: Person, end: EndRun | None) -> Row:
    return Row(
        case,
        why_not_accept=can(permissions.check_can_accept, case, by),
        why_not_name=can(permissions.check_can_name, case, by),
        why_not_end=can(permissions.check_can_end, case, by),
        end=end,
    )


def _counted(cases: Sequence[Case]) -> list[tuple[str, int]]:
    states = Counter(_word(case) for case in cases)
    words = ("open", "handed over", "to be ended", "ended", "dropped")
    return [(word, states[word]) for word in words]


_CLOSED = {"accepted": "handed over", END_ORDERED: "to be ended"}


def _word(case: Case) -> str:
    if case.state == CaseState.OPEN:
        return "open"
    if case.state == CaseState.DROPPED:
        return "dropped"
    return _CLOSED.get(case.outcome, "ended")
