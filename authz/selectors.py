"""Reads of policies, roles and relationships that feed a page or a list."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.db import connection
from django.db.models import Case, Count, IntegerField, Q, QuerySet, Value, When

from audit.enums import Kind
from authz.engine.policies import groups_of, index
from authz.enums import PolicyState
from authz.models import (
    ExternalPDP,
    PDPHealth,
    Policy,
    Relationship,
    Reservation,
    Role,
    Stop,
)
from authz.services.policies import ACTIVATION_KIND, RETIREMENT_KIND
from registry.enums import ChangeState
from registry.models import ProposedChange, Tool

CURRENT = (PolicyState.PROPOSED, PolicyState.DRAFT, PolicyState.ACTIVE)
FIRED_DAYS = 30
# So many decisions are looked through, newest first: a list must not read a month of them.
FIRED_DECISIONS = 5_000
_PEOPLE = ("drafted_by", "proposed_by", "agreed_by", "ended_by")

_FIRED = """
SELECT named.policy, max(decided.at), (SELECT count(*) FROM looked)
FROM (SELECT at, (split_part(convert_from(body, 'UTF8'), E'\\n', 1)::jsonb) -> 'judged' AS judged
      FROM looked) AS decided,
     LATERAL jsonb_array_elements_text(
         coalesce(decided.judged -> 'policies', '[]')
         || coalesce(decided.judged -> 'log_only', '[]')
     ) AS named (policy)
GROUP BY named.policy
"""
_LOOKED = """
WITH looked AS MATERIALIZED (
    SELECT at, body FROM audit.record
    WHERE kind = %s AND at >= %s ORDER BY at DESC, id DESC LIMIT %s)
"""


@dataclass(frozen=True, slots=True)
class Fired:
    """When each version (by uid) last decided something; `capped`: not all were looked at."""

    at: Mapping[str, datetime]
    capped: bool


@dataclass(frozen=True, slots=True)
class Concern:
    """What a version speaks of. `every` stands for any tool."""

    permits: tuple[str, ...] = ()
    forbids: tuple[str, ...] = ()
    every: bool = False


def policies_listed(state: str = "", text: str = "") -> QuerySet[Policy]:
    """Versions for the list: those that wait first, then drafts, then what is in force."""
    rows = Policy.objects.select_related(*_PEOPLE)
    rows = rows.filter(state=state) if state else rows.filter(state__in=CURRENT)
    if text:
        rows = rows.filter(
            Q(slug__icontains=text) | Q(description__icontains=text) | Q(text__icontains=text)
        )
    waits = Case(
        *(When(state=each, then=Value(place)) for place, each in enumerate(CURRENT)),
        default=Value(len(CURRENT)),
        output_field=IntegerField(),
    )
    return rows.order_by(waits, "slug", "-version")


def versions_of(slug: str) -> QuerySet[Policy]:
    """Every version of one policy, newest first."""
    return Policy.objects.filter(slug=slug).select_related(*_PEOPLE).order_by("-version")


def tool_facts() -> dict[str, dict[str, str]]:
    """Tool → its system and effect, which is what the groups of tools are made of."""
    rows = Tool.objects.values_list("name", "system__slug", "effect")
    return {name: {"system": system, "effect": effect} for name, system, effect in rows}


def concern_of(policy: Policy, tools: Mapping[str, Mapping[str, Any]]) -> Concern:
    """The tools that a version's permits and forbids name, also through groups."""
    found: dict[str, set[str]] = {"permit": set(), "forbid": set()}
    every = False
    document = {"id": policy.uid, "text": policy.text, "log_only": False}
    for statement in index([document], []).statements:
        every = every or statement.actions is None
        found[statement.effect] |= _members(statement.actions or frozenset(), tools)
    return Concern(tuple(sorted(found["permit"])), tuple(sorted(found["forbid"])), every)


def _members(named: Iterable[str], tools: Mapping[str, Mapping[str, Any]]) -> set[str]:
    wanted = frozenset(named)
    through = {name for name, tool in tools.items() if not wanted.isdisjoint(groups_of(tool))}
    return {name for name in wanted if "=" not in name} | through


def last_fired(now: datetime) -> Fired:
    """When versions last decided, among the newest decisions of the last thirty days."""
    with connection.cursor() as cursor:
        cursor.execute(
            _LOOKED + _FIRED,
            [Kind.DECISION, now - timedelta(days=FIRED_DAYS), FIRED_DECISIONS],
        )
        rows = cursor.fetchall()
    looked = rows[0][2] if rows else 0
    return Fired({uid: at for uid, at, _ in rows}, capped=looked >= FIRED_DECISIONS)


def open_changes(kinds: Sequence[str], target: str) -> list[ProposedChange]:
    """What waits for a second person about one thing."""
    rows = ProposedChange.objects.filter(
        kind__in=list(kinds), target=target, state=ChangeState.PROPOSED
    )
    return list(rows.select_related("proposed_by").order_by("proposed_at"))


def changes_of_policy(slug: str) -> dict[str, ProposedChange]:
    """What waits about a policy: its activation by the version's uid, its end under ""."""
    return {
        str(change.after["id"]) if change.kind == ACTIVATION_KIND else "": change
        for change in open_changes((ACTIVATION_KIND, RETIREMENT_KIND), slug)
    }


def roles_listed(text: str = "") -> QuerySet[Role]:
    """Roles with how much they grant to how many."""
    rows = Role.objects.annotate(
        tool_count=Count("tools", distinct=True),
        agent_count=Count("agents", distinct=True),
        person_count=Count("people", distinct=True),
    ).order_by("slug")
    return rows.filter(Q(slug__icontains=text) | Q(description__icontains=text)) if text else rows


def relationships_listed(text: str = "", relation: str = "") -> QuerySet[Relationship]:
    """Relationships, filtered by any of their words and by the relation."""
    rows = Relationship.objects.all()
    if relation:
        rows = rows.filter(relation=relation)
    if text:
        rows = rows.filter(
            Q(resource_type__icontains=text)
            | Q(resource_id__icontains=text)
            | Q(subject_type__icontains=text)
            | Q(subject_id__icontains=text)
        )
    return rows


# Limits


def due_reservations(now: datetime) -> list[UUID]:
    """The decisions whose money counts at the ceiling, or is free again, from now on."""
    overdue = [Reservation.objects.due(now), Reservation.objects.unused(now)]
    return [decision for each in overdue for decision in each.values_list("decision", flat=True)]


def stopped_agents() -> list[tuple[str, str]]:
    """Agents that a limit has stopped and nobody has suspended yet, with the cause."""
    return list(Stop.objects.filter(handled_at__isnull=True).values_list("agent", "cause"))


def silent_pdps() -> list[PDPHealth]:
    """The decision points in force that kept silent when they were last seen, by name."""
    silent = PDPHealth.objects.filter(is_silent=True, pdp__is_active=True)
    return list(silent.select_related("pdp__owner").order_by("pdp__slug"))


def pdps_in_force() -> int:
    """How many decision points outside are asked."""
    return ExternalPDP.objects.filter(is_active=True).count()
