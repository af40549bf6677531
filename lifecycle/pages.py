"""What the owner's pages show: reads across the register, its reach and the record."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any
from urllib.parse import quote

from django.db.models import Count, Q, QuerySet
from django.urls import reverse
from django.utils import timezone

from audit.anchors.selectors import Standing
from audit.anchors.selectors import standing as standing_outside
from audit.models import Record
from audit.sealing import standing
from audit.selectors import PageRequest, TrailFilters, parse_body, search
from authz import session_pages
from governance.kernel import clock
from governance.kernel.waiting import Waiting as InInbox
from governance.pictures import Bucket
from governance.words import number_word
from lifecycle.credentials import pages as credentials
from lifecycle.decommissioning import selectors as ending
from lifecycle.due.selectors import soon_for
from lifecycle.gauges import gauges_of
from lifecycle.grants import selectors as grants
from lifecycle.inbox.entries import Queue
from lifecycle.models import ProbeRun
from lifecycle.probes import reporting
from lifecycle.probes import selectors as probes
from lifecycle.renewals import selectors as renewals
from lifecycle.reviews import page as review_page
from lifecycle.reviews.periodic.waiting import PERIODIC
from lifecycle.reviews.waiting import REVIEW
from lifecycle.sweeps import overdue_sweeps
from lifecycle.templates import selectors as templates
from lifecycle.toxic import selectors as toxic
from lifecycle.verdict import verdict_of
from registry import permissions
from registry.enums import AgentState
from registry.models import Agent, Person
from registry.permissions import in_group
from registry.pictures import picture_of
from registry.reach import PREFETCH, Reach, reach_of, reaches_of
from registry.selectors import current_clearance

RECENT = 8
DAY = timedelta(hours=24)


@dataclass(frozen=True)
class Waiting:
    """One thing that waits for a person, with the one button that answers it."""

    title: str
    text: str
    url: str
    action: str


def home_of(person: Person, queue: Queue) -> dict[str, Any]:
    """Everything on the home page of `person`, in whose inbox `queue` is."""
    now = clock.now()
    mine = list(agents_listed(person, everyone=False))
    waiting = waiting_for(person, mine, queue)
    active = sum(agent.state == AgentState.ACTIVE for agent in mine)
    buckets = decisions_by_hour([agent.slug for agent in mine], now)
    operates = in_group(person, *permissions.OPERATORS)
    return {
        "now": now,
        "title": _waiting_title(len(waiting)),
        "lede": _home_lede(len(mine), active),
        "waiting": waiting,
        "soon": soon_for(person, now, waiting={each.agent for each in queue.mine}),
        "overdue_sweeps": overdue_sweeps() if operates else [],
        "not_sealed": standing.trouble(wait=None) if operates else None,
        "not_anchored": _not_anchored() if operates else None,
        "agents": agent_rows(mine[:RECENT]),
        "counted": f"{len(mine)} agents, {active} active" if len(mine) != 1 else "1 agent",
        "buckets": buckets,
        "decided": _decided(buckets),
    }


def _not_anchored() -> Standing | None:
    """Where no anchor outside keeps the record, or none was told in time."""
    found = standing_outside()
    return found if found.late or not found.outside else None


def waiting_for(person: Person, mine: Sequence[Agent], queue: Queue) -> list[Waiting]:
    """What only this person can move on."""
    found = [
        Waiting(
            f"Finish {agent.slug}",
            "It is a draft: look at what it reaches, then attest or send it for review.",
            reverse("agent", args=[agent.slug]),
            "Look and decide",
        )
        for agent in mine
        if agent.state == AgentState.DRAFT and agent.owner_id == person.pk
    ]
    found += [
        Waiting(
            f"{agent.slug} is suspended",
            agent.state_reason or "Every call is denied.",
            reverse("agent", args=[agent.slug]),
            "Look and decide",
        )
        for agent in mine
        if agent.state == AgentState.SUSPENDED
    ]
    found += [_attacked(run) for run in probes.failing(person)]
    return found + [_in_inbox(each) for each in queue.mine]


def _attacked(run: ProbeRun) -> Waiting:
    return Waiting(
        f"{run.agent.slug}: {reporting.title_of(run).lower()}",
        reporting.verdict_of(run),
        reverse("agent_probes", args=[run.agent.slug]),
        "Look at them",
    )


def _in_inbox(each: InInbox) -> Waiting:
    action = "Review it" if each.kind in {REVIEW, PERIODIC} else "Look and decide"
    return Waiting(each.title, each.text, f"{reverse('inbox')}?item={quote(each.key)}", action)


def _waiting_title(count: int) -> str:
    if count < 2:
        return ("Nothing waits for you", "One thing waits for you")[count]
    return f"{number_word(count).capitalize()} things wait for you"


def _home_lede(total: int, active: int) -> str:
    if not total:
        return "You own no agents yet."
    if total == 1:
        return "Your agent is running." if active else "Your agent is not running."
    return f"{active} of your {total} agents are running."


def _decided(buckets: Sequence[Bucket]) -> str:
    allowed = sum(bucket.allowed for bucket in buckets)
    denied = sum(bucket.denied for bucket in buckets)
    held = sum(bucket.held for bucket in buckets)
    return f"{allowed:,} allowed, {held:,} held, {denied:,} denied"


def agents_listed(person: Person, *, everyone: bool) -> QuerySet[Agent]:
    """Agents that `person` owns or stands in for, or every one that they may see."""
    visible = Agent.objects.visible_to(person)
    if not everyone:
        visible = visible.filter(Q(owner=person) | Q(backup_owner=person))
    return visible.select_related("owner", "model_provider").prefetch_related(*PREFETCH)


def sorted_by(rows: QuerySet[Agent], asked: str) -> QuerySet[Agent]:
    """The list in the order that the address asks for."""
    columns = {"name": "slug", "next": "review_due"}
    column = columns.get(asked.removeprefix("-"), "slug")
    return rows.order_by(f"-{column}" if asked.startswith("-") else column, "pk")


def agents_title(count: int, *, everyone: bool) -> str:
    """The answer above a list of agents."""
    if everyone:
        return "One agent is on the register" if count == 1 else f"{count:,} agents on the register"
    return "You answer for one agent" if count == 1 else f"You answer for {count:,} agents"


def agent_rows(agents: Iterable[Agent]) -> list[dict[str, Any]]:
    """The rows of a table of agents; a fixed number of queries for any number of them."""
    found = reaches_of(agents)
    decided, refused = decisions_of([agent.slug for agent, _ in found])
    return [
        {
            "agent": agent,
            "tier": str(reach.tier),
            "decided": decided[agent.slug],
            "refused": refused[agent.slug],
            "next": next_date(agent)[0],
            "next_what": next_date(agent)[1],
        }
        for agent, reach in found
    ]


def next_date(agent: Agent) -> tuple[date | None, str]:
    """The next date on an agent's clocks, and what it is."""
    dates = [(agent.review_due, "review"), (agent.renewal_due, "renewal")]
    known = sorted((day, what) for day, what in dates if day)
    return known[0] if known else (None, "")


def decisions_of(slugs: Sequence[str]) -> tuple[Counter[str], Counter[str]]:
    """Decisions of the last 24 hours by agent: all, and those that were not allowed."""
    rows = (
        Record.objects.filter(kind="decision", agent__in=slugs, at__gte=clock.now() - DAY)
        .order_by()
        .values("agent", "effect")
        .annotate(many=Count("id"))
    )
    decided: Counter[str] = Counter()
    refused: Counter[str] = Counter()
    for row in rows:
        decided[row["agent"]] += row["many"]
        if row["effect"] != "allow":
            refused[row["agent"]] += row["many"]
    return decided, refused


def decisions_by_hour(slugs: Sequence[str], now: datetime) -> tuple[Bucket, ...]:
    """24 bars: what was allowed, denied and held in each hour until `now`; none without calls."""
    start = now.replace(minute=0, second=0, microsecond=0) - timedelta(hours=23)
    rows = Record.objects.filter(kind="decision", agent__in=slugs, at__gte=start).order_by()
    counted: Counter[tuple[int, str]] = Counter()
    for at, effect in rows.values_list("at", "effect").iterator():
        counted[int((at - start).total_seconds() // 3600), effect] += 1
    if not counted:
        return ()
    return tuple(
        Bucket(
            f"{timezone.localtime(start + timedelta(hours=hour)):%H}",
            counted[hour, "allow"],
            counted[hour, "deny"],
            counted[hour, "hold"],
        )
        for hour in range(24)
    )


def agent_page(agent: Agent, person: Person) -> dict[str, Any]:
    """Everything on the page of one agent, as `person` may see it."""
    reach = reach_of(agent)
    template = templates.page_of(agent, reach)
    covering = template["covering"]
    entries = list(agent.allowlist.select_related("tool__system"))
    roles = list(agent.roles.all())
    tools = [entry.tool for entry in entries]
    client = getattr(agent, "client", None)
    return {
        "agent": agent,
        "reach": reach,
        "tier": str(reach.tier),
        "picture": picture_of(agent.slug, reach),
        "verdict": verdict_of(
            reach,
            owner=agent.owner,
            agent=agent,
            tools=tools,
            roles=roles,
            today=timezone.localdate(),
            template=covering,
        ),
        **template,
        "entries": entries,
        "sub_agents": list(agent.sub_agents.select_related("sub_agent")),
        "roles": roles,
        "credentials": credentials.listed(agent),
        "dependents": agent.dependents.select_related("person", "dependent").order_by(
            "person__name", "dependent__slug"
        ),
        "client": client,
        "clients_outside": agent.external_clients.all(),
        "recent": recent_decisions(agent, person),
        "runs": session_pages.latest_runs(agent, person),
        "carried": session_pages.carried_by(agent),
        "may": controls(agent, person, reach, covered=bool(covering)),
        "processing": processing_of(agent),
        "ending": ending.ending_of(agent),
        "acting": grants.of_agent(agent, clock.now()),
        "sees_grants": person.reads_everything,
        **probe_of(agent),
        "review": review_page.progress_of(agent, person),
        "renewal": renewals.of_page(agent, person),
        "clearance": current_clearance(agent, reach.digest),
        "gauges": gauges_of(agent, person),
        "toxic_findings": toxic.findings_of(agent, person),
        "limits_missing": None
        in (agent.rate_per_minute, agent.rate_per_hour, agent.spend_cap_minor),
    }


def probe_of(agent: Agent) -> dict[str, Any]:
    """What the newest adversarial test of the product's attacks found."""
    run = probes.gating_runs(agent).select_related("agent").first()
    return {
        "probe": run,
        "probe_title": reporting.title_of(run) if run else "",
        "probe_verdict": reporting.verdict_of(run) if run else "",
    }


def controls(
    agent: Agent, person: Person, reach: Reach, *, covered: bool = False
) -> dict[str, str]:
    """For each thing that one can do with an agent: '' or the sentence why this person may not.

    `covered` says that its template cleared it in advance.
    """
    can = permissions.can
    attest = can(permissions.check_can_attest_agent, agent, reach, person)
    by_template = can(permissions.check_can_use_template, agent, person)
    return {
        "change": can(permissions.check_can_change_agent, agent, person),
        "attest": by_template if covered else attest,
        "send": can(permissions.check_can_submit_agent, agent, person),
        "suspend": can(permissions.check_can_suspend_agent, agent, person),
        "resume": can(permissions.check_can_resume_agent, agent, reach, person),
    }


def processing_of(agent: Agent) -> list[tuple[str, str]]:
    """The record of processing as pairs of words; empty where nothing is said."""
    pairs = [
        ("Lawful basis", agent.lawful_basis),
        ("Data subjects", agent.data_subjects),
        ("Recipients", agent.recipients),
        ("Kept for", agent.retention),
        ("We are the", agent.get_data_role_display()),
        ("Use under the EU AI Act", agent.get_ai_act_use_display()),
        ("Our role under it", agent.get_ai_act_role_display()),
    ]
    return [(name, said) for name, said in pairs if said]


def recent_decisions(agent: Agent, person: Person) -> list[dict[str, Any]]:
    """The newest decisions of an agent, as far as `person` may see them."""
    page = search(
        TrailFilters(agent=agent.slug, kind="decision"),
        PageRequest(size=RECENT),
        scope=person.audit_scope(),
    )
    return [
        {"record": record, "walk": parse_body(record).get("judged", {}).get("walk", [])}
        for record in page.records
    ]


def history_of(agent: Agent) -> list[dict[str, Any]]:
    """Changes of the row, newest first: when, by whom, which fields."""
    versions = list(agent.history.select_related("history_user").order_by("-history_date")[:100])
    told = []
    for newer, older in zip(versions, [*versions[1:], None], strict=True):
        changes = newer.diff_against(older).changes if older else []
        told.append(
            {
                "at": newer.history_date,
                "by": newer.history_user,
                "changes": [
                    {
                        "field": _words_of(change.field),
                        "old": change.old,
                        "new": change.new,
                    }
                    for change in changes
                ],
                "first": older is None,
            }
        )
    return told


def _words_of(field: str) -> str:
    return str(getattr(Agent._meta.get_field(field), "verbose_name", field))


def slug_from(claimed: str) -> str:
    """A name for the register made from what a caller called itself."""
    return re.sub(r"[^a-z0-9]+", "-", claimed.lower()).strip("-")[:60]
