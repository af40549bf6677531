"""Looking whether the agents of an owner complete a combination, and keeping what was found.

Every reason to look puts the owner into `ToxicDue`. The sweep `toxic` takes one owner after the
other: it locks, reads, compares with the findings that there are, and takes out what was asked
before it read. Done twice, or at once, it is done once.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from datetime import datetime
from functools import partial
from typing import Any

import rfc8785
from django.db import connection, transaction
from django.db.models import F, Q

from authz.models import OutputTier, ToxicCombination
from governance.kernel import clock
from lifecycle import tasks
from lifecycle.models import ToxicCheck, ToxicDue, ToxicFinding, ToxicSplit
from lifecycle.models.toxic import FindingAnswer, FindingScope, FindingState
from lifecycle.notices import Severity, notify
from lifecycle.toxic import reviewing
from lifecycle.toxic.findings import ENDED, Found, found_across, found_in, junctions
from lifecycle.toxic.recording import ACTOR, record_finding
from registry.enums import AgentState
from registry.models import Agent, Person, SubAgent
from registry.reach import MAX_DEPTH, Reach, catalogue, reaches_of
from registry.selectors import agents_for_reach, answering_for, security_people

SWEEP = "toxic"

Key = tuple[str, str, str]


# Asking


def ask_for(owners: Iterable[int], check: ToxicCheck | None = None) -> None:
    """Have the agents of these owners be looked at, after the commit.

    Those of others that hand over to them as well: they are judged by what a chain can reach.
    """
    asked = {*owners} | owners_above(owners)
    rows = [ToxicDue(owner_id=pk, check_of=check, asked_at=clock.now()) for pk in asked]
    if rows:
        ToxicDue.objects.bulk_create(rows)
        transaction.on_commit(partial(tasks.set_off, SWEEP))


def owners_above(owners: Iterable[int]) -> set[int]:
    """Who owns an agent from which a chain can come to an agent of these owners."""
    level = set(Agent.objects.filter(owner__in=set(owners)).values_list("pk", flat=True))
    found: set[int] = set()
    for _ in range(MAX_DEPTH):
        rows = SubAgent.objects.filter(sub_agent__in=level).exclude(agent__state__in=ENDED)
        above = list(rows.values_list("agent", "agent__owner"))
        level = {agent for agent, _ in above}
        found |= {owner for _, owner in above}
    return found


def ask_for_everything(combination: ToxicCombination, by: Person) -> ToxicCheck:
    """Have everything that exists be looked at once more: the catalogue has changed."""
    check = ToxicCheck.objects.create(
        combination=combination.slug,
        version=combination.version,
        asked_by=by,
        asked_at=clock.now(),
    )
    ask_for(_owners(Agent.objects.all()), check)
    return check


def ask_for_systems(systems: Sequence[str]) -> None:
    """Have those owners be looked at whose agents touch one of these systems."""
    touching = Q(allowlist__tool__system__slug__in=systems) | Q(
        allowlist__tool__accesses__system__slug__in=systems
    )
    ask_for(_owners(Agent.objects.filter(touching)))


def _owners(agents: Any) -> set[int]:
    found: set[int] = set(agents.exclude(state__in=ENDED).values_list("owner_id", flat=True))
    return found


# The sweep


def due(now: datetime) -> list[int]:
    """Owners who wait to be looked at, those asked first first."""
    rows = ToxicDue.objects.filter(done_at__isnull=True).order_by("pk")
    return list(dict.fromkeys(rows.values_list("owner_id", flat=True)))


@transaction.atomic
def check_owner(key: int | str, now: datetime) -> bool:
    """Look at the agents of one owner, and take out what was asked before."""
    owner_id = int(key)
    _one_at_a_time(owner_id)
    asked = list(ToxicDue.objects.filter(owner_id=owner_id, done_at__isnull=True))
    if not asked:
        return False
    opened = look_at(Person.objects.get(pk=owner_id))
    ToxicDue.objects.filter(pk__in=[one.pk for one in asked]).update(done_at=clock.now())
    for check_id in {one.check_of_id for one in asked if one.check_of_id}:
        _count(check_id, opened)
    return True


def _count(check_id: int, opened: Sequence[ToxicFinding]) -> None:
    check = ToxicCheck.objects.get(pk=check_id)
    found = sum(one.combination == check.combination for one in opened)
    ToxicCheck.objects.filter(pk=check_id).update(found=F("found") + found)


def _one_at_a_time(owner_id: int) -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT pg_advisory_xact_lock(hashtextextended('toxic.owner:' || %s, 0))",
            [str(owner_id)],
        )


# Looking


def look_at(owner: Person) -> list[ToxicFinding]:
    """Bring the findings about an owner's agents to what is found now; those that were opened."""
    agents = list(agents_for_reach().filter(owner=owner).exclude(state__in=ENDED).order_by("slug"))
    reached = reaches_of(agents)
    found = {_key(one, owner): one for one in _all(reached)}
    known = {_key_of(row): row for row in _rows(owner, agents)}
    by_slug = {agent.slug: agent for agent in agents}
    opened = [_open(one, known.get(key), owner, by_slug) for key, one in found.items()]
    for key, row in known.items():
        if key not in found and row.state != FindingState.GONE:
            _close(row)
    reviewing.note_reviewed(owner, reached)
    told = [row for row in opened if row is not None and not _is_answered(row)]
    for row in told:
        _tell(row, owner, by_slug)
    return told


def _is_answered(row: ToxicFinding) -> bool:
    return ToxicFinding.objects.filter(pk=row.pk, state=FindingState.ANSWERED).exists()


def _all(reached: Sequence[tuple[Agent, Reach]]) -> list[Found]:
    named = [(agent.slug, reach) for agent, reach in reached]
    own = [one for slug, reach in named for one in found_in(slug, reach)]
    return [*own, *found_across(named, catalogue(), junctions())]


def _key(one: Found, owner: Person) -> Key:
    whose = one.agents[0] if one.scope == FindingScope.AGENT else owner.pid
    return one.slug, one.scope, whose


def _key_of(row: ToxicFinding) -> Key:
    if row.agent is not None:
        return row.combination, row.scope, row.agent.slug
    assert row.owner is not None  # noqa: S101  a constraint holds it
    return row.combination, row.scope, row.owner.pid


def _rows(owner: Person, agents: Sequence[Agent]) -> list[ToxicFinding]:
    """What was found before, of agents that ended as well."""
    rows = ToxicFinding.objects.select_for_update(of=("self",), no_key=True).select_related(
        "agent", "owner"
    )
    return list(rows.filter(Q(agent__owner=owner) | Q(agent__in=agents) | Q(owner=owner)))


def _open(
    one: Found, row: ToxicFinding | None, owner: Person, agents: dict[str, Agent]
) -> ToxicFinding | None:
    """The finding if it waits for an answer from now on, None where nothing is new."""
    digest = digest_of(one)
    if row is None:
        own = one.scope == FindingScope.AGENT
        row = ToxicFinding(
            combination=one.slug,
            scope=one.scope,
            agent=agents[one.agents[0]] if own else None,
            owner=None if own else owner,
        )
        return _write(row, one, digest, "toxic_found")
    if row.state == FindingState.GONE:
        return _write(row, one, digest, "toxic_found_again")
    if row.state == FindingState.ANSWERED and (row.digest != digest or not _holds(row)):
        return _write(row, one, digest, "toxic_found_again")
    if row.digest != digest:
        _fill(row, one, digest)
        row.save()
    return None


def _write(row: ToxicFinding, one: Found, digest: str, did: str) -> ToxicFinding | None:
    """Open it, or keep it as answered where a split has made it what it is."""
    _fill(row, one, digest)
    row.since, row.gone_at = clock.now(), None
    row.answer, row.answer_reason, row.answered_by, row.answered_at = "", "", None, None
    row.state = FindingState.OPEN
    made = _split_that_made(one)
    if made is not None:
        row.state, row.answer = FindingState.ANSWERED, FindingAnswer.SPLIT
        row.answer_reason = f"They are the two sides of {made.agent}."
        row.answered_by, row.answered_at = made.by, clock.now()
    row.save()
    record_finding(did, row, ACTOR)
    return row if made is None else None


def _fill(row: ToxicFinding, one: Found, digest: str) -> None:
    row.agents, row.tier, row.reason = list(one.agents), one.tier, one.reason
    row.categories, row.effects = list(one.categories), list(one.effects)
    row.only_listed, row.connected = one.only_listed, one.connected
    row.places, row.digest = plain_places(one), digest


def plain_places(one: Found) -> list[dict[str, Any]]:
    """Where it comes from, as it is kept."""
    return [
        {**asdict(given), "tools": list(given.tools), "gives": list(given.gives)}
        for given in one.places
    ]


def digest_of(one: Found) -> str:
    """What an answer is for: who has it, from where, and whether it can come together."""
    content: Any = [one.tier, one.connected, one.only_listed, list(one.agents), plain_places(one)]
    return hashlib.sha256(rfc8785.dumps(content)).hexdigest()


def _split_that_made(one: Found) -> ToxicSplit | None:
    """The split whose two sides these are, where nothing but its junction connects them."""
    if one.scope != FindingScope.OWNER or one.connected or len(one.agents) != 2:
        return None
    rows = ToxicSplit.objects.select_related("agent", "by").filter(
        undone_at__isnull=True, finding__combination=one.slug
    )
    pair = list(one.agents)
    return rows.filter(first__slug__in=pair, second__slug__in=pair).first()


def _holds(row: ToxicFinding) -> bool:
    """Whether what was answered is still so."""
    if row.answer != FindingAnswer.AGGREGATE:
        return True
    raised = OutputTier.objects.filter(agent__slug__in=row.agents, combination=row.combination)
    return raised.count() == len(row.agents)


def _close(row: ToxicFinding) -> None:
    row.state, row.gone_at = FindingState.GONE, clock.now()
    row.save(update_fields=["state", "gone_at"])
    record_finding("toxic_gone", row, ACTOR)


def _tell(row: ToxicFinding, owner: Person, agents: dict[str, Agent]) -> None:
    """Whoever answers for the agents, and security, who may stop a live one."""
    live = [slug for slug in row.agents if agents[slug].state == AgentState.ACTIVE]
    told = answering_for(row.agent) if row.agent else [owner]
    context = {
        "agents": ", ".join(row.agents),
        "combination": row.combination,
        "tier": row.tier,
        "live": f" Live now, and not stopped: {', '.join(live)}." if live else "",
        "finding": row.pk,
    }
    people = {person.pk: person for person in [*told, *security_people()]}
    for person in people.values():
        notify(
            person=person,
            severity=Severity.INFO,
            code="toxic.found",
            context=context,
            event=f"toxic:{row.pk}:{row.since.isoformat()}",
        )
