"""The picture of the days of a case."""

from __future__ import annotations

from typing import Any

from django import template

from governance.kernel import clock
from lifecycle.cases import kinds, rules
from lifecycle.models.cases import Case, CaseState
from registry.models import Agent

register = template.Library()


@register.inclusion_tag("lifecycle/cases/_days.html")
def case_days(case: Case) -> dict[str, Any]:
    """Where today stands and when it ends: `{% case_days case %}`."""
    now = clock.now()
    return {
        "case": case,
        "days": rules.days_of(case, now),
        "said": rules.sentence_of(case, now),
        "late": case.is_open and now >= case.due_at,
    }


@register.simple_tag
def case_why(case: Case) -> str:
    """Why it is asked about: `{% case_why case %}`."""
    return kinds.of(case).because(case)


@register.simple_tag
def open_cases(agent: Agent) -> list[dict[str, Any]]:
    """What is asked about an agent now: `{% open_cases agent as cases %}`."""
    rows = Case.objects.filter(agent=agent, state=CaseState.OPEN)
    cases = rows.select_related("agent__owner", "proposed_owner")
    return [_shown(case) for case in cases if not kinds.of(case).own_note]


def _shown(case: Case) -> dict[str, Any]:
    kind = kinds.of(case)
    return {
        "case": case,
        "title": kind.title,
        "unanswered": kind.unanswered,
        "place": kind.place(case),
    }
