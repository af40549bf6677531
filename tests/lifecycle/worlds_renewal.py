"""Worlds in which a renewal or a periodic review is due, and what they come to (promise 22)."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

from governance.kernel import clock
from lifecycle.models import Case, Review, ReviewEvent
from lifecycle.models.reviews import EventKind, ReviewKind
from lifecycle.reviews.periodic.services import open_periodic
from registry import services as register
from registry.models import Agent
from registry.permissions import Automatic
from tests.factories.registry import make_agent

DUE = 3
TEST = Automatic("test")
Kept = Callable[[], Any]


def _agents() -> list[Agent]:
    return [make_agent() for _ in range(DUE)]


def renewals() -> Kept:
    """Three agents that are to be renewed in twenty days."""
    made, day = _agents(), clock.now().date() + timedelta(days=20)
    for agent in made:
        register.renew_agent(agent_id=agent.pk, by=TEST, due=day, because="For a test.")
    mine = Case.objects.filter(agent__in=made)
    return lambda: sorted(mine.values_list("kind", "state"))


def periodic() -> Kept:
    """Three agents to be looked at in five days, and three that nobody looked at a month ago."""
    near, late = _agents(), _agents()
    now = clock.now()
    soon, over = (now + timedelta(days=5)).date(), now - timedelta(days=30)
    for agent in near:
        register.set_review_due(agent_id=agent.pk, by=TEST, due=soon, because="For a test.")
    for agent in late:
        open_periodic(agent_id=agent.pk, by=TEST)
    overdue = Review.objects.filter(agent__in=late, kind=ReviewKind.PERIODIC)
    overdue.update(opened_at=over - timedelta(days=14), due_on=over.date(), due_at=over)
    opened = Review.objects.filter(agent__in=near, kind=ReviewKind.PERIODIC)
    agents = Agent.objects.filter(pk__in=[agent.pk for agent in late])
    said = ReviewEvent.objects.filter(review__in=overdue, kind=EventKind.SUSPENDED)
    return lambda: (
        sorted(opened.values_list("state", flat=True)),
        sorted(agents.values_list("state", flat=True)),
        said.count(),
    )


RECORDING = {"before": "audit.services.record"}
RECORDED = {"after": "audit.services.record"}
WORLDS: dict[str, dict[str, Any]] = {
    "renewals": {
        "make": renewals,
        "after": [("renewal", "open")] * DUE,
        "faults": [RECORDING, RECORDED, {"after": "lifecycle.cases.services.open_case"}],
        "told": ("registry", "case_opened", DUE),
    },
    "periodic": {
        "make": periodic,
        "after": (["open"] * DUE, ["suspended"] * DUE, DUE),
        "faults": [
            RECORDING,
            RECORDED,
            {"after": "registry.services.suspend_agent"},
            {"after": "lifecycle.reviews.services.make_steps"},
        ],
        "told": ("registry", "agent_suspended", DUE),
    },
}
