"""What is kept until when, and why?"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime

from django.conf import settings
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_GET, require_POST

from audit import uses
from audit.dropping import selectors as drops
from audit.dropping.selectors import Month
from audit.erasure import selectors as kept
from compliance import permissions
from compliance.models import RetentionPlan
from compliance.retention import dropping, periods
from compliance.retention.rules import kept_until, month_kept_until, record_rules
from compliance.subjects.views import reader, tried
from governance.kernel.database_clock import database_now
from registry.enums import ChangeState
from registry.models import ProposedChange
from registry.permissions import can

PAGE = 50


@dataclass(frozen=True, slots=True)
class Tier:
    """The payloads of one tier: how long they are kept, what is over, what a hold keeps."""

    name: str
    days: int
    over: kept.Old
    held: kept.Old
    plan: RetentionPlan | None


@dataclass(frozen=True, slots=True)
class Line:
    """A month of the record: until when it is kept, and what is under way to have it dropped."""

    month: Month
    until: date
    waits: bool
    ordered_until: datetime | None
    why_not: str

    @property
    def key(self) -> str:
        return f"{self.month.first:%Y-%m}"


def lines(months: int, why_not: str) -> list[Line]:
    """Every month of the record. `why_not` says why whoever looks proposes nothing."""
    found = ProposedChange.objects.filter(kind=dropping.DROP, state=ChangeState.PROPOSED)
    waiting, now = set(found.values_list("target", flat=True)), database_now()
    return [_line(each, months, waiting, now, why_not) for each in drops.months()]


def _line(month: Month, months: int, waiting: set[str], now: datetime, why_not: str) -> Line:
    until = month_kept_until(month.first, months)
    ordered_until = month.order.at + drops.ORDERED if month.order else None
    kept_yet = "It must still be kept." if now.date() < until else ""
    held = "A legal hold covers it." if month.held else ""
    return Line(
        month=month,
        until=until,
        waits=f"{month.first:%Y-%m}" in waiting,
        ordered_until=ordered_until if ordered_until and ordered_until > now else None,
        why_not=why_not or kept_yet or held,
    )


def tiers() -> list[Tier]:
    """Every tier, the highest first; counted now, so it is the dry run of what comes next."""
    now = database_now()
    plans = {each.tier: each for each in RetentionPlan.objects.filter(ran_at__isnull=True)}
    return [_tier(each, now, plans.get(each)) for each in reversed(periods.TIERS)]


def _tier(name: str, now: datetime, plan: RetentionPlan | None) -> Tier:
    days = periods.payload_days(name)
    over = kept.old(name, days=days, now=now)
    return Tier(name, days, over, kept.old(name, days=days, now=now, held=True), plan)


@login_required
@require_GET
def retention(request: HttpRequest) -> HttpResponse:
    """What is kept until when, and why?"""
    person = reader(request)
    rules = record_rules()
    longest = periods.longest(rules)
    first = uses.reaches_back_to()
    context = {
        "rules": rules,
        "longest": longest,
        "never": periods.never(),
        "first": first,
        "first_until": kept_until(first.date(), longest.months) if first else None,
        "months": lines(longest.months, can(permissions.check_can_handle_subjects, person)),
        "most": drops.MOST,
        "dropped": drops.dropped(),
        "tiers": tiers(),
        "ran": RetentionPlan.objects.filter(ran_at__isnull=False)[:PAGE],
        "notice": settings.MUSTER_RETENTION_NOTICE_DAYS,
    }
    return render(request, "compliance/retention.html", context)


@login_required
@require_POST
def propose_drop(request: HttpRequest, month: str) -> HttpResponse:
    """Have the other of security and the DPO asked to agree that a month is dropped."""
    person, wanted = reader(request), dropping.month_named(month)
    tried(
        request,
        lambda: dropping.propose_drop(month=wanted, by=person),
        "It waits in the inbox of the other of security and the DPO. Nothing goes until both "
        "agree and the operator carries it out.",
    )
    return redirect("retention")
