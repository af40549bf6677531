"""Idle as a kind of case: until when it holds, who hears of it, and where one answers."""

from __future__ import annotations

from datetime import datetime

from django.urls import reverse

from governance.kernel import clock
from lifecycle.cases import kinds
from lifecycle.cases.rules import said_due
from lifecycle.idle import permissions, selectors, words
from lifecycle.models.cases import Case, CaseKind
from lifecycle.notices import Severity, notify
from registry.enums import AgentState
from registry.models import Person
from registry.permissions import can
from registry.selectors import answering_for

# Business days on which the owner is reminded; the first word is that they are asked.
REMINDED = (5, 8, 9, 10)


def register_kind() -> None:
    """Make it known; called once the models are there."""
    kinds.register(
        kinds.Kind(
            kind=CaseKind.IDLE,
            title="Nobody has heard of it for too long",
            still_true=still_true,
            tell=tell,
            notice_days=REMINDED,
            question=lambda case: f"{case.agent.slug} is idle: is it still needed?",
            why_not=lambda case, person: can(permissions.check_can_answer, case.agent, person),
            place=lambda case: reverse("agent_idle", args=[case.agent.slug]),
        )
    )


def still_true(case: Case) -> bool:
    """Nothing is asked about what runs again, or was suspended meanwhile."""
    if case.agent.state != AgentState.ACTIVE:
        return False
    return selectors.silence_of(case.agent).is_idle(clock.now())


def tell(case: Case, what: str, now: datetime) -> None:
    """Those who answer for it, once for each thing that happens."""
    code = {"opened": "idle.asked"}.get(what, "idle.remind" if ":" in what else "idle.closed")
    context = {
        "agent": case.agent.slug,
        "due": said_due(case),
        "silent": words.silent(selectors.silence_of(case.agent)),
        "outcome": case.outcome.replace("_", " "),
        "reason": case.reason,
    }
    for person in answering_for(case.agent):
        if person != case.closed_by:
            _notify(case, what, code, person, context)


def _notify(case: Case, what: str, code: str, person: Person, context: dict[str, str]) -> None:
    notify(
        person=person,
        severity=Severity.INFO,
        code=code,
        context=context,
        event=f"case:{case.pk}:{what}",
    )
