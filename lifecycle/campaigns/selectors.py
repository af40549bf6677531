"""Reads of campaigns: how far each is, what is asked of whom, and the list as CSV."""

from __future__ import annotations

import csv
import io
from collections import Counter
from collections.abc import Iterator
from datetime import datetime, timedelta

from django.conf import settings
from django.db.models import Count, Max, Q, QuerySet

from audit.export import write_cell
from governance.kernel.waiting import Waiting
from lifecycle.models.campaigns import OPEN, Campaign, Candidate, CandidateState
from registry.models import Person

KIND = "campaign"
HEADER = ("slug", "name", "state", "owner", "named owner", "answer", "problems", "agent")


def for_list() -> QuerySet[Campaign]:
    """Every campaign with how many there are, and how many are still open."""
    rows = Campaign.objects.select_related("started_by").annotate(
        total=Count("candidates"), left=Count("candidates", filter=Q(candidates__state__in=OPEN))
    )
    return rows.order_by("-started_at", "-pk")


def counted(campaign: Campaign) -> list[tuple[CandidateState, int]]:
    """How many stand where, in the order of the states."""
    rows = campaign.candidates.order_by().values_list("state").annotate(many=Count("pk"))
    many = Counter(dict(rows))
    return [(state, many[state]) for state in CandidateState]


def asked_of(person: Person) -> QuerySet[Candidate]:
    """What this person is asked to accept."""
    return Candidate.objects.filter(
        owner=person, state=CandidateState.ASKED, campaign__closed_at__isnull=True
    ).select_related("campaign")


def waiting_for(person: Person) -> list[Waiting]:
    """One thing for each campaign, however much it asks of them."""
    if not person.may_act:
        return []
    rows = asked_of(person).order_by("campaign").values("campaign", "campaign__name")
    asked = rows.annotate(many=Count("pk"), since=Max("asked_at"))
    return [
        Waiting(
            key=f"{KIND}:{row['campaign']}",
            kind=KIND,
            title="One agent may be yours"
            if row["many"] == 1
            else f"{row['many']} agents may be yours",
            text=row["campaign__name"],
            since=row["since"],
            on_expiry="Nothing happens by itself: nothing is yours before you accept it.",
        )
        for row in asked
    ]


def due_reminders(now: datetime) -> list[str]:
    """Campaign and person, for whom something waits that they were told of too long ago."""
    limit = now - timedelta(days=settings.MUSTER_CAMPAIGN_REMIND_DAYS)
    waiting = Candidate.objects.filter(
        state=CandidateState.ASKED, campaign__closed_at__isnull=True
    ).order_by("campaign", "owner")
    told = waiting.values("campaign", "owner").annotate(told=Max("told_at"))
    return [f"{row['campaign']}:{row['owner']}" for row in told if (row["told"] or limit) <= limit]


def csv_lines(campaign: Campaign) -> Iterator[str]:
    """The whole list. No cell is taken for a formula."""
    yield _line(HEADER)
    for each in campaign.candidates.select_related("owner", "agent"):
        yield _line(
            (
                each.slug,
                each.name,
                each.state,
                each.owner.email if each.owner else "",
                each.named_owner,
                each.answer,
                " ".join(each.problems),
                each.agent.slug if each.agent else "",
            )
        )


def _line(cells: tuple[str, ...]) -> str:
    out = io.StringIO()
    csv.writer(out, quoting=csv.QUOTE_ALL).writerow(map(write_cell, cells))
    return out.getvalue()
