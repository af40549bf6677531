"""Looking at a live agent again, in time: by whom, what is asked, until when. No queries.

It is beside renewal: there an agent's owner says that it is still needed, here others look whether
it should still be what it is. Security does at every tier; the DPO as well where the data asks
for it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from governance.kernel import business_days
from governance.kernel.tiers import RESTRICTED
from lifecycle.models.reviews import ReviewOutcome
from registry.reach import Reach
from registry.signing import DPO, SECURITY, Step

# So many days before it is due it is opened, and who looks is told.
OPENS_BEFORE = timedelta(days=14)
# Business days in which a mover's agents are looked at; after which an overdue review suspends.
DAYS = 10
SUSPENDS_AFTER = 5
# The strictest answer of several counts.
ORDER = (
    ReviewOutcome.KEEP,
    ReviewOutcome.NARROW,
    ReviewOutcome.SUSPEND,
    ReviewOutcome.END,
)


@dataclass(frozen=True, slots=True)
class Question:
    """One thing that whoever looks answers with yes or no."""

    name: str
    asks: str


QUESTIONS = (
    Question("purpose", "Does it do what its row says, and nothing else?"),
    Question("reach", "Is what it reads and writes still right for that?"),
    Question("people", "Do its owner and backup owner still answer for it?"),
)


def steps_for(reach: Reach) -> tuple[Step, ...]:
    """Who looks: security, and the DPO where restricted, toxic, or where the row asks for them."""
    why = (f"It is {reach.tier}.",)
    roles = [SECURITY]
    if reach.tier == RESTRICTED or reach.combinations or DPO in reach.signers:
        roles.append(DPO)
    return tuple(Step(role, days=DAYS, why=why) for role in roles)


def opens_on(due_on: date) -> date:
    """The day on which the review of this day is opened."""
    return due_on - OPENS_BEFORE


def suspends_at(due_on: date, opened_on: date, *, zone: str, calendar: str) -> datetime:
    """When an agent that nobody looked at is suspended. One opened late has the same days."""
    last = business_days.add_business_days(max(due_on, opened_on), SUSPENDS_AFTER, calendar)
    return business_days.instant_of(last, zone)


def strictest(outcomes: Iterable[str]) -> ReviewOutcome:
    """What several answers come to."""
    return max((ReviewOutcome(each) for each in outcomes), key=ORDER.index)


def said_no(answers: Mapping[str, bool]) -> list[str]:
    """The questions that were answered with no."""
    return [each.asks for each in QUESTIONS if not answers.get(each.name, False)]
