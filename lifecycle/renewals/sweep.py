"""The sweep of renewals: opens the case of each that is near. The cases have a clock of theirs."""

from __future__ import annotations

from datetime import datetime, timedelta

from lifecycle.cases import services as cases
from lifecycle.decommissioning import reading
from lifecycle.models.cases import Case, CaseKind, CaseState
from lifecycle.renewals import rules, selectors
from lifecycle.reviews.selectors import calendar_of, zone_of
from lifecycle.sweeps.registry import Key
from registry import rules as register
from registry.models import Agent
from registry.permissions import Automatic
from registry.services.agents import today_of
from registry.services.saving import found

ACTOR = Automatic("renewal")
# No zone is further ahead of UTC.
AHEAD = timedelta(hours=14)


def due(now: datetime) -> list[int]:
    """Live agents whose day is near and that nobody is asked about yet, soonest due first."""
    asked = Case.objects.filter(kind=CaseKind.RENEWAL, state=CaseState.OPEN).values("agent")
    near = (now + AHEAD).date() + rules.OPENS_BEFORE
    rows = Agent.objects.filter(state__in=register.LIVE, renewal_due__lte=near)
    rows = rows.exclude(pk__in=asked).exclude(pk__in=reading.ordered())
    rows = rows.order_by("renewal_due", "pk")
    return list(rows.values_list("pk", flat=True))


def ask(key: Key, now: datetime) -> bool:
    """Open the case of one of them, in the transaction of the sweep."""
    agent = found(Agent, "agent", pk=int(key))
    if agent is None or agent.state not in register.LIVE or agent.renewal_due is None:
        return False
    today = today_of(agent.owner, now)
    if not rules.is_asked(agent.renewal_due, today) or selectors.case_of(agent):
        return False
    owner = [agent.owner]
    window = rules.window_of(
        agent.renewal_due, today, zone=zone_of(owner), calendar=calendar_of(owner)
    )
    about = {"renewal_due": agent.renewal_due.isoformat()}
    kind = CaseKind.RENEWAL
    asked = cases.open_case(agent=agent, kind=kind, by=ACTOR, due=window, about=about)
    return asked is not None
