"""What decisions were judged by, as it was kept then, and what people said of them.

The kept slices say it exactly: whose agent it was, which roles and limits it had, what a system
held. Only what they do not know is asked of the register.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db import connection
from django.db.models import Q

from audit.models import Record
from authz.models import FlowSession, Hold, HoldEdit, HoldVote, Policy, Release
from authz.slices import WORLD
from lifecycle.models import BreakGlass
from registry.models import Agent, Person
from registry.selectors import pids_to_people

Json = Any
Body = Mapping[str, Json]
MOST_POLICIES = 100
_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")

# OFFSET 0: a document is parsed once, and not for each value that is taken of it.
_AGENTS = """
SELECT encode(kept.digest, 'hex'), said.it ->> 'owner', said.it -> 'roles', said.it -> 'limits',
       said.it -> 'carried',
       (SELECT jsonb_object_agg(asked.tool, said.it -> 'allowlist' -> asked.tool)
        FROM unnest(%s::text[]) AS asked (tool) WHERE said.it -> 'allowlist' ? asked.tool)
FROM audit.slice AS kept
CROSS JOIN LATERAL (SELECT convert_from(kept.content, 'UTF8')::jsonb OFFSET 0) AS said (it)
WHERE kept.digest = ANY(%s::bytea[])
"""
_OF_WORLD = """
SELECT (SELECT jsonb_object_agg(asked.slug, said.it -> 'systems' -> asked.slug)
        FROM unnest(%(systems)s::text[]) AS asked (slug) WHERE said.it -> 'systems' ? asked.slug),
       (SELECT jsonb_object_agg(asked.name, said.it -> 'tools' -> asked.name)
        FROM unnest(%(tools)s::text[]) AS asked (name) WHERE said.it -> 'tools' ? asked.name),
       (SELECT jsonb_object_agg(role.slug, role.tools) FROM jsonb_each(said.it -> 'roles')
        AS role (slug, tools) WHERE role.tools ?| %(tools)s::text[])
FROM audit.slice AS kept
CROSS JOIN LATERAL (SELECT convert_from(kept.content, 'UTF8')::jsonb OFFSET 0) AS said (it)
WHERE kept.digest = %(digest)s
"""
_OWNERS = """
SELECT asked.slug, asked.at, person.pid
FROM unnest(%s::text[], %s::timestamptz[]) AS asked (slug, at)
CROSS JOIN LATERAL (
    SELECT past.owner_id FROM registry_historicalagent AS past
    WHERE past.slug = asked.slug AND past.history_date <= asked.at
    ORDER BY past.history_date DESC, past.history_id DESC LIMIT 1
) AS then_
JOIN registry_person AS person ON person.id = then_.owner_id
"""


@dataclass(frozen=True, slots=True)
class AgentThen:
    """An agent's row as a decision read it."""

    owner: str = ""
    roles: tuple[str, ...] = ()
    limits: Body = field(default_factory=dict)
    carried: Body = field(default_factory=dict)
    allowlist: Body = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class World:
    """The systems, tools and roles that were touched, as the newest of the decisions read them."""

    systems: Body = field(default_factory=dict)
    tools: Body = field(default_factory=dict)
    roles: Mapping[str, Sequence[str]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class PolicyNote:
    """One version of a policy: what it said by digest, and who put it in force."""

    uid: str
    digest: str = ""
    proposed_by: str = ""
    agreed_by: str = ""
    since: datetime | None = None

    @property
    def slug(self) -> str:
        return self.uid.rpartition("@v")[0]

    @property
    def number(self) -> int:
        version = self.uid.rpartition("@v")[2]
        return int(version) if version.isdecimal() else 0


@dataclass(frozen=True, slots=True)
class Word:
    """What a person, or an agent for which somebody answers, said of a held action."""

    who: str
    at: datetime


@dataclass(frozen=True, slots=True)
class Approval:
    """A hold and what became of it."""

    hold: UUID
    state: str
    made_at: datetime
    expires_at: datetime
    words: tuple[Word, ...] = ()
    decided_by: str = ""
    decided_at: datetime | None = None
    reason: str = ""
    edited: bool = False
    used_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Emergency:
    """Emergency access under which something was done."""

    id: str
    who: str
    second: str
    reason: str
    reviewed_by: str = ""


@dataclass(frozen=True, slots=True)
class Facts:
    """Everything beside the entries themselves."""

    agents: Mapping[str, AgentThen] = field(default_factory=dict)
    world: World = field(default_factory=World)
    owners: Mapping[tuple[str, datetime], str] = field(default_factory=dict)
    people: Mapping[str, str] = field(default_factory=dict)
    policies: Mapping[str, PolicyNote] = field(default_factory=dict)
    approvals: Mapping[str, Approval] = field(default_factory=dict)
    emergencies: Mapping[str, Emergency] = field(default_factory=dict)
    registered: frozenset[str] = frozenset()
    runs: Mapping[str, FlowSession] = field(default_factory=dict)

    def name(self, pid: str) -> str:
        """A person's name; what is no person stands as the record has it."""
        return self.people.get(pid, pid)


def facts_of(told: Sequence[tuple[Record, Body]]) -> Facts:
    """The facts about these entries: a fixed number of queries, however many there are."""
    tools = sorted({record.tool for record, _ in told if record.tool})
    agents = _agents_then(told, tools)
    owners = _owners(told, agents)
    approvals = _approvals(_hold_ids(told))
    emergencies = _emergencies(told)
    pids = {pid for record, _ in told for pid in (record.user, record.actor)}
    pids |= {each.owner for each in agents.values()} | set(owners.values())
    people = pids_to_people(pid for pid in pids if pid.startswith("p_"))
    slugs = {record.agent for record, _ in told if record.agent}
    return Facts(
        agents=agents,
        world=_world(told, tools),
        owners=owners,
        people={pid: str(person) for pid, person in people.items()},
        policies=_policies(told),
        approvals=approvals,
        emergencies=emergencies,
        registered=frozenset(
            Agent.objects.filter(slug__in=slugs).values_list("slug", flat=True)
        ),
        runs=_runs({record.session for record, _ in told if record.session}),
    )  # fmt: skip


def slice_digest(body: Body, key: str) -> str:
    """The digest of a slice that a decision was judged by; "" where it read none."""
    named = body.get("judged", {}).get("slices", {}).get(key)
    return str(named[1]) if named else ""


def agent_digest(body: Body) -> str:
    """The digest of the agent's slice."""
    return slice_digest(body, f"agent:{body.get('agent', '')}")


def _agents_then(told: Sequence[tuple[Record, Body]], tools: list[str]) -> dict[str, AgentThen]:
    digests = sorted({digest for _, body in told if (digest := agent_digest(body))})
    if not digests:
        return {}
    with connection.cursor() as cursor:
        cursor.execute(_AGENTS, [tools, [bytes.fromhex(digest) for digest in digests]])
        rows = cursor.fetchall()
    return {digest: _agent_then(*(_read(value) for value in row)) for digest, *row in rows}


def _agent_then(
    owner: str | None, roles: Json, limits: Json, carried: Json, allowlist: Json
) -> AgentThen:
    return AgentThen(
        owner or "", tuple(roles or ()), limits or {}, carried or {}, allowlist or {}
    )  # fmt: skip


def _read(value: Json) -> Json:
    """A value of a JSON column, which a bare cursor hands over as text."""
    return json.loads(value) if isinstance(value, str) and value[:1] in "[{" else value


def _world(told: Sequence[tuple[Record, Body]], tools: list[str]) -> World:
    newest = next((digest for _, body in told if (digest := slice_digest(body, WORLD))), "")
    if not newest:
        return World()
    systems = {str(body.get("judged", {}).get("resource", {}).get("type", "")) for _, body in told}
    touched = _accessed(newest, tools)
    given: dict[str, Any] = {
        "digest": bytes.fromhex(newest),
        "systems": sorted(systems | touched),
        "tools": tools,
    }
    with connection.cursor() as cursor:
        cursor.execute(_OF_WORLD, given)
        row = cursor.fetchone()
    return World(*(_read(value) or {} for value in row)) if row else World()


_ACCESSED = """
SELECT DISTINCT access.of ->> 'system'
FROM audit.slice AS kept
CROSS JOIN LATERAL (
    SELECT convert_from(kept.content, 'UTF8')::jsonb -> 'tools' OFFSET 0
) AS said (tools)
CROSS JOIN unnest(%s::text[]) AS asked (name)
CROSS JOIN LATERAL jsonb_array_elements(said.tools -> asked.name -> 'accesses') AS access (of)
WHERE kept.digest = %s
"""


def _accessed(digest: str, tools: list[str]) -> set[str]:
    """The systems that these tools read or write besides their own."""
    with connection.cursor() as cursor:
        cursor.execute(_ACCESSED, [tools, bytes.fromhex(digest)])
        return {slug for (slug,) in cursor.fetchall()}


def _owners(
    told: Sequence[tuple[Record, Body]], agents: Mapping[str, AgentThen]
) -> dict[tuple[str, datetime], str]:
    """Who owned an agent where no slice says so, by the history of its row.

    Asked of the first and the last of its entries on the page.
    """
    asked: dict[str, list[datetime]] = {}
    for record, body in told:
        if record.agent and agent_digest(body) not in agents:
            asked.setdefault(record.agent, []).append(record.at)
    pairs = {(slug, at) for slug, times in asked.items() for at in (min(times), max(times))}
    if not pairs:
        return {}
    slugs, times = zip(*sorted(pairs), strict=True)
    with connection.cursor() as cursor:
        cursor.execute(_OWNERS, [list(slugs), list(times)])
        return {(slug, at): pid for slug, at, pid in cursor.fetchall()}


def _policies(told: Sequence[tuple[Record, Body]]) -> dict[str, PolicyNote]:
    uids = {
        str(uid)
        for _, body in told
        for name in ("policies", "log_only")
        for uid in body.get("judged", {}).get(name, ())
    }
    wanted = [PolicyNote(uid) for uid in sorted(uids)[:MOST_POLICIES]]
    if not wanted:
        return {}
    named = Q(pk__in=[])
    for each in wanted:
        named |= Q(slug=each.slug, version=each.number)
    rows = Policy.objects.filter(named).select_related("proposed_by", "agreed_by")
    return {each.uid: each for each in wanted} | {row.uid: _note_of(row) for row in rows}


def _note_of(policy: Policy) -> PolicyNote:
    return PolicyNote(
        uid=policy.uid,
        digest=hashlib.sha256(policy.text.encode()).hexdigest(),
        proposed_by=_said(policy.proposed_by),
        agreed_by=_said(policy.agreed_by),
        since=policy.activated_at,
    )


def _said(person: Person | None) -> str:
    return str(person) if person else ""


def hold_of(body: Body) -> str:
    """The hold that a decision made, joined, or was released by; "" for none."""
    settled = body.get("settled", {})
    release, made = settled.get("release") or {}, settled.get("hold") or {}
    return str(release.get("hold") or made.get("id") or body.get("asked", {}).get("hold") or "")


def _hold_ids(told: Sequence[tuple[Record, Body]]) -> set[str]:
    return _whole(hold_of(body) for _, body in told)


def _whole(ids: Iterable[str]) -> set[str]:
    """Those that are ids: what stands in a body was not checked by anybody since."""
    return {each for each in ids if _UUID.fullmatch(each)}


def _approvals(ids: Iterable[str]) -> dict[str, Approval]:
    rows = list(Hold.objects.filter(pk__in=list(ids)).select_related("decided_by"))
    if not rows:
        return {}
    votes: dict[UUID, list[Word]] = {}
    for vote in HoldVote.objects.filter(hold__in=rows).select_related("person"):
        votes.setdefault(vote.hold_id, []).append(Word(_said(vote.person) or vote.agent, vote.at))
    used = dict(Release.objects.filter(hold__in=rows).values_list("hold_id", "used_at"))
    edited = set(HoldEdit.objects.filter(hold__in=rows).values_list("hold_id", flat=True))
    return {
        str(row.pk): _approval(row, votes.get(row.pk, []), used.get(row.pk), row.pk in edited)
        for row in rows
    }


def _approval(
    hold: Hold, words: Sequence[Word], used_at: datetime | None, edited: bool
) -> Approval:
    return Approval(
        hold=hold.pk,
        state=str(hold.state),
        made_at=hold.made_at,
        expires_at=hold.expires_at,
        words=tuple(words),
        decided_by=_said(hold.decided_by) or hold.decided_by_agent,
        decided_at=hold.decided_at,
        reason=hold.reason,
        edited=edited,
        used_at=used_at,
    )


def emergency_of(body: Body) -> str:
    """The emergency access under which an entry was made; "" for none."""
    return str(body.get("asked", {}).get("break_glass") or "")


def _emergencies(told: Sequence[tuple[Record, Body]]) -> dict[str, Emergency]:
    ids = _whole(emergency_of(body) for _, body in told)
    if not ids:
        return {}
    rows = BreakGlass.objects.filter(pk__in=ids).select_related("person", "second", "closed_by")
    return {
        str(row.pk): Emergency(
            str(row.pk), str(row.person), _said(row.second), row.reason, _said(row.closed_by)
        )
        for row in rows
    }


def _runs(names: set[str]) -> dict[str, FlowSession]:
    rows = FlowSession.objects.filter(pk__in=names).select_related("agent")
    return {row.pk: row for row in rows}
