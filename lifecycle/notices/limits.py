"""Paging those who answer for an agent that has reached a limit: once for each window.

`authz.decide_batch` leaves a row for each limit and window in the statement of the decision.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from authz.models import Page, Stop
from lifecycle.models import Notice
from lifecycle.notices import Severity, notify
from registry.models import Agent
from registry.selectors import answering_for

CODE = "limit.reached"
# What is older was paged, or nobody was there to be paged.
LOOKS_BACK = timedelta(days=7)


def due(now: datetime) -> list[str]:
    """Pages of the last days that nobody was told of yet, the oldest first."""
    rows = Page.objects.filter(at__gte=now - LOOKS_BACK).order_by("at", "pk")
    events = [_event(pk) for pk in rows.values_list("pk", flat=True)]
    told = set(Notice.objects.filter(event__in=events).values_list("event", flat=True))
    return [event for event in events if event not in told]


def _event(pk: int) -> str:
    return f"page:{pk}"


def tell(key: str | int, now: datetime) -> bool:
    """Page whoever answers for the agent. What stopped it is told with its suspension, not here."""
    page = Page.objects.get(pk=str(key).partition(":")[2])
    agent = Agent.objects.select_related("owner", "backup_owner").filter(slug=page.agent).first()
    if agent is None or _is_told_otherwise(page):
        return False
    context = {
        "agent": page.agent,
        "kind": Page.Kind(page.kind).label,
        "on": f", calling {page.tool}" if page.tool else "",
    }
    made = [
        notify(person=each, severity=Severity.PAGE, code=CODE, context=context, event=str(key))
        for each in answering_for(agent)
    ]
    return any(made)


def _is_told_otherwise(page: Page) -> bool:
    return page.kind != Page.Kind.RATE and Stop.objects.filter(agent=page.agent).exists()
