"""What the overview shows: one sentence, at most three notices, and figures that lead to rows."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlencode

from django.urls import reverse
from django.utils import timezone

from audit.anchors import selectors as anchors
from audit.enums import Kind
from audit.sealing import standing as sealing
from compliance.dashboard import figures
from compliance.dashboard.figures import Decisions
from compliance.evidence import links
from compliance.evidence.look import Row
from compliance.selfaudit.standing import live_look, stand
from governance import words
from governance.pictures import Bucket
from lifecycle.break_glass.selectors import unreviewed
from lifecycle.bypass import selectors as bypass
from lifecycle.due import selectors as due
from lifecycle.due.selectors import Wanted
from lifecycle.idle import selectors as idle
from lifecycle.leavers.selectors import open_cases
from lifecycle.models import Anomaly, Case, ToxicFinding
from lifecycle.models.anomalies import AnomalyState
from lifecycle.models.toxic import FindingState
from lifecycle.sweeps import overdue_sweeps
from registry.enums import AgentState, CallerState, Tier
from registry.models import Person, UnregisteredCaller
from registry.permissions import OPERATORS, in_group

MOST_NOTICES = 3
MOST_SPENDING = 6
STATES = (
    AgentState.ACTIVE,
    AgentState.SUSPENDED,
    AgentState.IN_REVIEW,
    AgentState.DRAFT,
    AgentState.DECOMMISSIONING,
)


@dataclass(frozen=True, slots=True)
class Notice:
    """Something that somebody must look at now; without an address, somebody else."""

    title: str
    text: str
    url: str
    action: str


@dataclass(frozen=True, slots=True)
class OpenEnd:
    """How many things wait, and where they are. `loud` where one is too many."""

    label: str
    many: int
    url: str
    loud: bool = False


def overview(person: Person) -> dict[str, Any]:
    """Everything on the page, as of one instant."""
    look = live_look()
    rows, now = look.rows, look.now
    decided = figures.decisions(now)
    spent = figures.spent_by_agent(rows, now)
    spend = figures.spend([row for row in rows if row.is_live], spent)
    sweeps = reverse("sweeps") if in_group(person, *OPERATORS) else ""
    notices = list(_notices(sweeps))
    return {
        "title": title_of(len(notices)),
        "now": now,
        "days": figures.DAYS,
        "sweeps_url": sweeps,
        "notices": notices[:MOST_NOTICES],
        "more_notices": notices[MOST_NOTICES:],
        "standing": stand(look),
        "states": Counter(row.agent.state for row in rows),
        "many": len(rows),
        "tiers": tiers_of(rows),
        "columns": [(state, state.label) for state in STATES],
        "decided": decided,
        "decided_url": _decided_url(decided, decided.since, decided.until or now),
        "buckets": [_bucket(each) for each in decided.days] if decided.calls else [],
        "by_day": [(each, _day_url(decided, each)) for each in decided.days if each.calls],
        "stops": _stops(decided, now),
        "holds": figures.holds(now),
        "spend": spend[:MOST_SPENDING],
        "spend_rest": len(spend) - MOST_SPENDING,
        "totals": figures.total_spend(spend),
        "anchors": anchors.standing(),
        "open_ends": _open_ends(person, rows, now),
    }


def title_of(many: int) -> str:
    """The answer of the page, in a sentence."""
    if not many:
        return "Nothing needs you now"
    if many == 1:
        return "One thing needs you now"
    return f"{words.number_word(many).capitalize()} things need you now"


def _notices(sweeps: str) -> Iterator[Notice]:
    """The gravest first. `sweeps` is the page of those, where the reader may open it."""
    if trouble := sealing.trouble(wait=None):
        page = reverse("proof")
        yield Notice("The record is not sealed", trouble.sentence, page, "See what is")
    if (outside := anchors.standing()).late:
        page = reverse("proof")
        yield Notice("Not anchored in time", outside.sentence, page, "See the anchors")
    if (used := unreviewed()) is not None:
        page = reverse("break_glass_use", args=[used.pk])
        text = f"{used.person} used it. Somebody else says whether that was right."
        yield Notice("Emergency access waits for its review", text, page, "Look at it")
    if cases := list(open_cases().order_by("due_at", "pk")):
        yield _of_leavers(cases)
    if late := overdue_sweeps():
        title = "What falls due with time is not done"
        yield Notice(title, late[0].sentence, sweeps, "See the sweeps")


def _of_leavers(cases: Sequence[Case]) -> Notice:
    first, many = cases[0], len(cases)
    agents = "One agent of a leaver has" if many == 1 else f"{many:,} agents of leavers have"
    text = (
        f"{first.agent.slug} of {first.agent.owner} comes first. Without an answer by "
        f"{words.day(first.due_on)} it is decommissioned."
    )
    return Notice(f"{agents} no new owner", text, reverse("leavers"), "See who was asked")


def agents_url(**filters: str) -> str:
    """The agents of the register that are such."""
    return f"{reverse('overview_agents')}?{urlencode(filters)}"


def past_renewal(row: Row, now: datetime) -> bool:
    """Whether its owner ought to have said by now that it is needed."""
    due_on = row.agent.renewal_due
    return row.is_live and due_on is not None and due_on < now.astimezone(UTC).date()


def tiers_of(rows: Sequence[Row]) -> list[tuple[str, list[tuple[int, str]]]]:
    """For each tier, how many of its agents are in each state, and where those are."""
    counted = Counter((str(row.reach.tier), row.agent.state) for row in rows)
    return [
        (
            str(tier),
            [(counted[tier, state], agents_url(tier=tier, state=state)) for state in STATES],
        )
        for tier in reversed(Tier)
    ]


def _bucket(day: figures.Day) -> Bucket:
    label = f"{day.day.day} {day.day:%b}"
    return Bucket(label, day.allowed, day.denied, day.held)


def _decided_url(decided: Decisions, since: datetime, until: datetime, **filters: str) -> str:
    """Their rows, no further than they are counted."""
    end = min(until, decided.until) if decided.until else until
    return links.between(since, end, kind=Kind.DECISION, **filters)


def _day_url(decided: Decisions, day: figures.Day) -> str:
    since = datetime.combine(day.day, datetime.min.time(), timezone.get_current_timezone())
    return _decided_url(decided, since, since + timedelta(days=1))


def _stops(decided: Decisions, now: datetime) -> Mapping[str, Any]:
    """Where calls stopped, each with its rows and its length beside the longest."""
    found = figures.stops(decided.since, now)
    most = max((each.many for each in found), default=0)
    top = sorted(
        ((each, one) for each in found for one in each.reasons),
        key=lambda pair: (-pair[1].many, pair[1].code),
    )

    def url(**filters: str) -> str:
        return links.between(decided.since, now, kind=Kind.DECISION, **filters)

    return {
        "checks": [(each, each.many / (most or 1), url(check=each.check)) for each in found],
        "top": [(one, url(effect=one.effect, code=one.code)) for _, one in top[:5]],
        "many": sum(each.many for each in found),
        "capped": any(each.capped for each in found),
    }


def _open_ends(person: Person, rows: Sequence[Row], now: datetime) -> list[OpenEnd]:
    """What waits, and is not what the notices say."""
    late = Counter(row.due.kind for row in due.due_for(person, Wanted(within=0), now) if row.late)
    active = [row.agent for row in rows if row.is_active]
    silent = idle.silences(active)
    observed = sum(row.is_live and row.agent.is_observed for row in rows)

    def overdue(kind: str) -> str:
        return f"{reverse('due')}?{urlencode({'kind': kind, 'within': 0})}"

    return [
        OpenEnd("Reviews overdue", late["review"], overdue("review"), loud=True),
        OpenEnd(
            "Renewals past their day",
            sum(past_renewal(row, now) for row in rows),
            agents_url(renewal="past"),
            loud=True,
        ),
        OpenEnd("Cases past their day", late["case"], overdue("case"), loud=True),
        OpenEnd("Keys past their day", late["rotation"], overdue("rotation"), loud=True),
        OpenEnd("Answers to data subjects overdue", late["subject"], overdue("subject"), loud=True),
        OpenEnd(
            "Agents of leavers without a new owner", open_cases().count(), reverse("leavers"), True
        ),
        OpenEnd(
            "Idle agents",
            sum(silent[agent.pk].is_idle(now) for agent in active),
            reverse("strays"),
        ),
        OpenEnd(
            "Unregistered callers, not yet adopted or blocked",
            UnregisteredCaller.objects.filter(state=CallerState.OPEN).count(),
            f"{reverse('callers')}?state=open",
            loud=True,
        ),
        OpenEnd(
            "Dangerous combinations without an answer",
            ToxicFinding.objects.filter(state=FindingState.OPEN).count(),
            f"{reverse('toxic_findings')}?state=open",
        ),
        OpenEnd(
            "Alerts that nobody looked at",
            Anomaly.objects.filter(state=AnomalyState.OPEN).count(),
            f"{reverse('anomalies')}?state=open",
        ),
        OpenEnd(
            "Calls that nobody asked for",
            bypass.open_calls(),
            f"{reverse('bypass')}?state=open",
            loud=True,
        ),
        OpenEnd("Agents that are observed", observed, agents_url(observed="1")),
    ]
