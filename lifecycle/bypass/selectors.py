"""What was seen without a decision, and what was decided and never reported back on."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db.models import Count, Exists, Max, Min, OuterRef, Q, QuerySet

from audit.enums import Kind
from audit.export import write_cell
from audit.models import Record
from authz.models import ReportedOutcome
from lifecycle.models import CallState, SeenCall, ToolLog
from registry.enums import GroupName
from registry.models import Agent, Person, System
from registry.permissions import in_group

FOUND = (CallState.OPEN, CallState.EXPLAINED, CallState.CONFIRMED)
# What was allowed an hour ago and not reported by now is listed, for a day.
REPORTED_BY, REPORTED_FOR = timedelta(hours=1), timedelta(hours=25)
HEADER = ("agent", "tool", "system", "at", "account", "action", "resource", "state", "answer")
MOST_UNREPORTED = 100


def found(person: Person) -> QuerySet[SeenCall]:
    """Calls without a decision, of agents that this person sees; newest first."""
    seen = Agent.objects.visible_to(person).values("pk")
    rows = SeenCall.objects.filter(agent__in=seen, state__in=FOUND)
    return rows.select_related(
        "agent__owner", "answered_by", "log__system", "lease__credential__system"
    )


def narrowed(
    rows: QuerySet[SeenCall], *, agent: str = "", tool: str = "", state: str = ""
) -> QuerySet[SeenCall]:
    """Of these calls, those that fit."""
    if agent:
        rows = rows.filter(agent__slug__icontains=agent)
    if tool:
        rows = rows.filter(tool__icontains=tool)
    return rows.filter(state=state) if state else rows


def by_tool(rows: QuerySet[SeenCall]) -> QuerySet[SeenCall, Any]:
    """Counted by agent and tool, those with open calls first."""
    counted = rows.order_by().values("agent__slug", "tool")
    return counted.annotate(
        waits=Count("pk", filter=Q(state=CallState.OPEN)),
        many=Count("pk"),
        first=Min("at"),
        last=Max("at"),
    ).order_by("-waits", "-last", "agent__slug", "tool")


def open_calls() -> int:
    """How many calls without a decision nobody has answered, of all agents."""
    return SeenCall.objects.filter(state=CallState.OPEN).count()


@dataclass(frozen=True, slots=True)
class Unreported:
    """How many allowed calls of an agent and tool were never reported back on."""

    agent: str
    tool: str
    allowed: int
    silent: int


def unreported(person: Person, now: datetime) -> list[Unreported]:
    """Of the last day's allowed calls, those of which nobody said what came of them."""
    slugs = Agent.objects.visible_to(person).values("slug")
    reported = ReportedOutcome.objects.filter(decision=OuterRef("id"))
    rows = Record.objects.filter(
        kind=Kind.DECISION,
        effect="allow",
        mode="enforce",
        agent__in=slugs,
        at__gte=now - REPORTED_FOR,
        at__lt=now - REPORTED_BY,
    )
    counted = rows.order_by().annotate(said=Exists(reported)).values("agent", "tool")
    counted = counted.annotate(calls=Count("id"), silent=Count("id", filter=Q(said=False)))
    worst = counted.filter(silent__gt=0).order_by("-silent", "agent", "tool")[:MOST_UNREPORTED]
    return [Unreported(row["agent"], row["tool"], row["calls"], row["silent"]) for row in worst]


def logs_for(person: Person) -> list[tuple[System, ToolLog | None]]:
    """The systems whose logs this person may read in, each with how that is done."""
    rows = System.objects.select_related("tool_log", "owner").order_by("slug")
    if not in_group(person, GroupName.SECURITY):
        rows = rows.filter(owner=person) if person.may_act else rows.none()
    return [(system, getattr(system, "tool_log", None)) for system in rows]


def csv_lines(rows: Iterable[SeenCall]) -> Iterator[str]:
    """All of them. No cell is taken for a formula."""
    yield _line(HEADER)
    for call in rows:
        yield _line(
            (
                *(call.agent.slug, call.tool, system_of(call), call.at.isoformat()),
                *(call.identity, call.action, call.resource, call.state, call.answer),
            )
        )


def system_of(call: SeenCall) -> str:
    """Where it was seen."""
    return call.log.system.slug if call.log else call.action


def _line(cells: tuple[str, ...]) -> str:
    out = io.StringIO()
    csv.writer(out, quoting=csv.QUOTE_ALL).writerow(map(write_cell, cells))
    return out.getvalue()
