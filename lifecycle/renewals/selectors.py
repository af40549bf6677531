"""What is due, and what an owner is shown beside the three questions."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

import rfc8785
from django.conf import settings
from django.db.models import Count, Max, OuterRef, Q, QuerySet, Subquery
from django.db.models.functions import TruncDate

from audit.enums import Kind
from audit.models import Record
from governance.pictures import Bucket
from lifecycle.decommissioning import reading
from lifecycle.models import Attestation
from lifecycle.models.cases import Case, CaseKind, CaseState
from lifecycle.models.templates import FromTemplate
from lifecycle.renewals import rules
from lifecycle.rotation import rules as rotation
from lifecycle.rotation.selectors import Scope, scopes_of
from lifecycle.templates.content import read_content
from registry import rules as register
from registry.enums import ChangeState, CredentialKind
from registry.models import Agent, AllowlistEntry, CredentialReference, Person, ProposedChange
from registry.models.credentials import OVER
from registry.permissions import can, check_can_renew_agent
from registry.reach import Reach
from registry.services.agents import today_of

EXTENSION_KIND = "agent.extension"
WEEK = timedelta(days=7)


@dataclass(frozen=True, slots=True)
class Held:
    """One tool or credential that an agent holds, and what use was made of it."""

    name: str
    what: str
    last_used: datetime | None
    uses: int
    drop: bool
    note: str = ""


@dataclass(frozen=True, slots=True)
class Asked:
    """Everything that the questions rest on. `seen` names exactly this."""

    agent: Agent
    now: datetime
    tools: tuple[Held, ...]
    credentials: tuple[Held, ...]
    seen: str
    days: int

    @property
    def used(self) -> int:
        """Tools that it called in this time."""
        return sum(each.last_used is not None for each in self.tools)

    @property
    def said(self) -> str:
        """The same as a question."""
        return rules.said_use(self.used, len(self.tools))

    @property
    def ticked(self) -> list[str]:
        """Tools that are taken away unless somebody says otherwise."""
        return [each.name for each in self.tools if each.drop]


def asked_about(agent: Agent, now: datetime) -> Asked:
    """What an agent holds and what it used of that, as it is now."""
    scopes = scopes_of(agent, now)
    tools = tuple(_tool(agent, each) for each in scopes if each.kind != rotation.CREDENTIAL)
    here = _kept_here(agent)
    credentials = tuple(
        _credential(each, here) for each in scopes if each.kind == rotation.CREDENTIAL
    )
    seen = seen_of(agent, [each.name for each in tools], [each.name for each in credentials])
    return Asked(agent, now, tools, credentials, seen, settings.MUSTER_SCOPE_DAYS)


def _tool(agent: Agent, scope: Scope) -> Held:
    note = ""
    if scope.kept is not None:
        note = f"Kept by {scope.kept.by}: {scope.kept.reason}"
    elif scope.last_used is None and not scope.unused:
        note = f"It has it since {scope.since:%Y-%m-%d}: too short to tell."
    return Held(scope.name, "tool", scope.last_used, scope.uses, scope.to_narrow, note)


def _credential(scope: Scope, here: set[str]) -> Held:
    note = "" if scope.name in here else "It lies elsewhere, so Muster does not see its use."
    drop = scope.to_narrow and scope.name in here
    return Held(scope.name, "credential", scope.last_used, scope.uses, drop, note)


def _kept_here(agent: Agent) -> set[str]:
    rows = CredentialReference.objects.filter(agent=agent, kind=CredentialKind.HERE)
    return set(rows.values_list("reference", flat=True))


def seen_of(agent: Agent, tools: Sequence[str], credentials: Sequence[str]) -> str:
    """A word for an agent as it was read; another one means that it has changed."""
    content: dict[str, Any] = {
        "version": agent.version,
        "state": str(agent.state),
        "owner": agent.owner_id,
        "due": agent.renewal_due.isoformat() if agent.renewal_due else "",
        "tools": sorted(tools),
        "credentials": sorted(credentials),
    }
    return hashlib.sha256(rfc8785.dumps(content)).hexdigest()[:32]


def seen_now(agent: Agent) -> str:
    """The word for a locked agent as it is."""
    tools = agent.allowlist.values_list("tool__name", flat=True)
    credentials = agent.credentials.exclude(state__in=OVER).values_list("reference", flat=True)
    return seen_of(agent, list(tools), list(credentials))


def weeks_of(agent: Agent, now: datetime, days: int) -> tuple[Bucket, ...]:
    """A bar a week: what it was allowed, denied, held; none where it decided nothing."""
    since = now - timedelta(days=days)
    rows = (
        Record.objects.filter(kind=Kind.DECISION, agent=agent.slug, at__gte=since)
        .order_by()
        .annotate(day=TruncDate("at"))
        .values("day", "effect")
        .annotate(many=Count("pk"))
    )
    counted: Counter[tuple[int, str]] = Counter()
    for row in rows:
        counted[(row["day"] - since.date()).days // 7, row["effect"]] += row["many"]
    if not counted:
        return ()
    return tuple(_week(counted, since.date() + WEEK * week, week) for week in range(-(-days // 7)))


def _week(counted: Counter[tuple[int, str]], start: date, week: int) -> Bucket:
    return Bucket(
        f"{start.day} {start:%b}",
        counted[week, "allow"],
        counted[week, "deny"],
        counted[week, "hold"],
    )


def last_decision(agent: Agent) -> datetime | None:
    """When it last asked for anything."""
    rows = Record.objects.filter(kind=Kind.DECISION, agent=agent.slug)
    found: datetime | None = rows.order_by().aggregate(last=Max("at"))["last"]
    return found


def due_for(person: Person, today: date) -> QuerySet[Agent]:
    """Live agents of what this person sees that are asked about now, soonest due first."""
    visible = Agent.objects.visible_to(person).values("pk")
    rows = Agent.objects.filter(pk__in=visible, state__in=register.LIVE)
    rows = rows.filter(renewal_due__lte=today + rules.OPENS_BEFORE)
    rows = rows.exclude(pk__in=reading.ordered())
    asked = Case.objects.filter(
        agent=OuterRef("pk"), kind=CaseKind.RENEWAL, state=CaseState.OPEN
    ).values("due_at")
    rows = rows.annotate(ends_at=Subquery(asked), held=Count("allowlist"))
    return rows.select_related("owner", "backup_owner").order_by("renewal_due", "slug")


def used_of(agents: Sequence[Agent], now: datetime) -> Counter[str]:
    """How many of its tools each of them was allowed to call lately. Two queries for them all."""
    held = set(
        AllowlistEntry.objects.filter(agent__in=agents).values_list("agent__slug", "tool__name")
    )
    since = now - timedelta(days=settings.MUSTER_SCOPE_DAYS)
    slugs = [each.slug for each in agents]
    rows = Record.objects.filter(kind=Kind.DECISION, effect="allow", agent__in=slugs, at__gte=since)
    used = set(rows.order_by().values_list("agent", "tool").distinct())
    return Counter(agent for agent, _ in held & used)


def of_person(rows: QuerySet[Agent], person: Person) -> QuerySet[Agent]:
    """Those of them that this person answers for."""
    return rows.filter(Q(owner=person) | Q(backup_owner=person))


def case_of(agent: Agent) -> Case | None:
    """The open renewal of an agent."""
    rows = Case.objects.filter(agent=agent, kind=CaseKind.RENEWAL, state=CaseState.OPEN)
    return rows.select_related("agent__owner", "agent__backup_owner").first()


def is_asked(agent: Agent, today: date) -> bool:
    """Whether it is to be renewed by now: it is live, and nobody has ordered its end."""
    near = agent.state in register.LIVE and rules.is_asked(agent.renewal_due, today)
    return near and reading.open_order(agent) is None


def of_page(agent: Agent, person: Person) -> dict[str, Any]:
    """What the agent's own page says of its renewal: nothing before it is asked about."""
    today = today_of(agent.owner)
    live = agent.state in register.LIVE
    return {
        "is_live": live,
        "is_asked": is_asked(agent, today),
        "late": live and agent.renewal_due is not None and agent.renewal_due < today,
        "case": case_of(agent) if live else None,
        "why_not": can(check_can_renew_agent, agent, person),
    }


def attestations_of(agent: Agent) -> QuerySet[Attestation]:
    """What was answered before, newest first."""
    return agent.attestations.select_related("by")


def next_due(agent: Agent, reach: Reach, now: datetime) -> date:
    """The next renewal of an agent that is renewed now: by its tier, or sooner by its template."""
    today = today_of(agent.owner, now)
    due = reach.renewal_due(today)
    origin = FromTemplate.objects.select_related("template").filter(agent=agent).first()
    if origin is None:
        return due
    months = read_content(origin.template.content).renewal_months
    return min(due, register.months_after(today, months))


def extension_of(agent: Agent) -> ProposedChange | None:
    """What is asked, or was agreed to, to put this renewal off: once for each."""
    due = agent.renewal_due.isoformat() if agent.renewal_due else ""
    waits = Q(state=ChangeState.PROPOSED, before__due=due)
    done = Q(state=ChangeState.AGREED, after__due=due)
    rows = ProposedChange.objects.filter(kind=EXTENSION_KIND, target=agent.slug)
    return rows.filter(waits | done).order_by("-proposed_at").first()
