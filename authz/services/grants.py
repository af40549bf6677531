"""Grants: what a person lets an agent do for them, until when, and its end.

Nobody gives a grant but the person whose rights it is about. It names tools that both the person
and the agent's row have, is never all that the person may do, and ends by itself.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db import transaction
from django.dispatch import receiver

from audit import services as audit
from audit.enums import Kind
from authz import narrowings, permissions, rights, timekeeper
from authz.enums import EndCause, GrantWay
from authz.errors import GrantRefused, NoSuchGrant
from authz.models import Delegation, Grant
from authz.services import holds
from authz.signals import grant_ended, grant_given
from governance.kernel import clock
from registry import guard
from registry.enums import Employment, IdentityPattern
from registry.models import Agent, Person
from registry.permissions import Actor
from registry.signals import employment_changed

Tools = Mapping[str, Mapping[str, Any]]


@transaction.atomic
def give_grant(*, agent_id: int, tools: Tools, by: Person, until: datetime | None = None) -> Grant:
    """Let an agent do this for `by`, until then; 90 days where nothing is said.

    `tools` maps names to JSON Schemas that the parameters must meet besides, {} for none. One that
    the person gave the same agent before is replaced: what was handed over on it ends. Raises
    `GrantRefused`, whose code says why, `AgentNotActive`.
    """
    permissions.check_can_give_grants(by)
    return _give(_Giving(by, agent_id, tools, GrantWay.CONSENT, until), by)


@transaction.atomic
def give_beforehand(
    *, person: Person, agent_id: int, tools: Tools, by: Actor, until: datetime
) -> Grant:
    """Give what was agreed to for a group that `person` is in; never in place of their own word.

    Whoever calls has checked the agreement. Raises as `give_grant` does, and `GrantRefused` with
    the code `grant_own_word` where the person lets the agent act for them already.
    """
    permissions.check_can_give_grants(person)
    return _give(_Giving(person, agent_id, tools, GrantWay.PREAPPROVED, until), by)


@dataclass(frozen=True, slots=True)
class _Giving:
    """What is to be given, in which way."""

    person: Person
    agent_id: int
    tools: Tools
    way: GrantWay
    until: datetime | None


def _give(wanted: _Giving, by: Actor) -> Grant:
    person = guard.share(Person, wanted.person.pk)
    agent = guard.held(wanted.agent_id)
    now = timekeeper.now()
    _check(person, agent, wanted.tools)
    ends = _until(wanted.until, now)
    holds.lock_holds([agent.slug])
    for earlier in _live().filter(person=person, agent=agent):
        if wanted.way == GrantWay.PREAPPROVED:
            raise GrantRefused("They let it act for them already.", code="grant_own_word")
        _end(earlier, EndCause.REPLACED, by, now)
    grant = Grant.objects.create(
        id=clock.uuid7(now),
        person=person,
        agent=agent,
        tools={name: dict(narrowing) for name, narrowing in sorted(wanted.tools.items())},
        way=wanted.way,
        given_at=now,
        until=ends,
    )
    _record(grant, "grant_given", by.pid, tools=sorted(grant.tools), until=ends.isoformat())
    grant_given.send(sender=Grant, grant=grant, by=by)
    return grant


def _check(person: Person, agent: Agent, tools: Tools) -> None:
    guard.require_active(agent)
    if agent.pattern == IdentityPattern.SERVICE:
        raise GrantRefused(
            f"{agent.slug} acts for nobody: its identity pattern is service.", code="grant_pattern"
        )
    offer = rights.offer_of(person, agent)
    if not tools or (beyond := sorted(tools.keys() - offer.names)):
        named = ", ".join(beyond)[:200] if tools else "nothing"
        raise GrantRefused(
            f"A grant names what both you and {agent.slug} may do, and this names {named}.",
            code="grant_tools",
        )
    narrowings.check(tools)
    if offer.is_everything and all(not tools.get(name, True) for name in offer.names):
        raise GrantRefused(
            f"This would be all that you may do. Leave something out: {agent.slug} gets less "
            "than you, never as much.",
            code="grant_everything",
        )


def _until(wanted: datetime | None, now: datetime) -> datetime:
    longest = now + timedelta(days=settings.MUSTER_GRANT_DAYS)
    if wanted is None:
        return longest
    if not now < wanted <= longest:
        raise GrantRefused(
            f"A grant ends within {settings.MUSTER_GRANT_DAYS} days. Name an earlier day.",
            code="grant_until",
        )
    return wanted


# Ends


@transaction.atomic
def end_grant(*, grant_id: UUID, by: Person) -> Grant:
    """End one grant, at once: for the person themself, or by security. Twice is once.

    What was handed over on it ends with it, and what waits for a human in the person's name is
    refused. The next decision knows.
    """
    grant = _found(grant_id)
    permissions.check_can_end_grant(grant, by)
    cause = EndCause.PERSON if grant.person_id == by.pk else EndCause.SECURITY
    _end_all([grant], cause, by)
    grant.refresh_from_db()
    return grant


@transaction.atomic
def end_own_grants(*, by: Person) -> int:
    """End every grant that a person gave; how many there were."""
    return _end_all(list(_live().filter(person=by)), EndCause.PERSON, by)


@transaction.atomic
def end_grants_of(*, cause: EndCause, by: Actor, **of: Any) -> int:
    """End the live grants of a `person` or an `agent`, because they stopped; how many."""
    return _end_all(list(_live().filter(**of)), cause, by)


@transaction.atomic
def expire_grants(now: datetime) -> int:
    """End what is over. No decision waits for this: each compares the time itself."""
    over = list(_live().filter(until__lte=now))
    return _end_all(over, EndCause.EXPIRED, None)


def _end_all(grants: Sequence[Grant], cause: EndCause, by: Actor | None) -> int:
    """In one order, and the holds' locks before anything else, as a decision takes them."""
    agents = {grant.agent.slug for grant in grants}
    below = Delegation.objects.filter(grant__in=grants, ended_at__isnull=True)
    agents |= set(below.values_list("receiver__slug", flat=True))
    holds.lock_holds(sorted(agents))
    now = timekeeper.now()
    return sum(_end(grant, cause, by, now) for grant in sorted(grants, key=lambda one: one.pk))


def _end(grant: Grant, cause: EndCause, by: Actor | None, now: datetime) -> bool:
    """Compare and swap: whether it was this that ended it."""
    links = Delegation.objects.filter(grant=grant, ended_at__isnull=True)
    agents = {grant.agent.slug, *links.values_list("receiver__slug", flat=True)}
    handed = links.count()
    won = (
        _live()
        .filter(pk=grant.pk)
        .update(
            ended_at=max(now, grant.given_at),
            end_cause=cause,
            ended_by=by if isinstance(by, Person) else None,
        )
    )
    if not won:
        return False
    actor = by.pid if by else "system:grants"
    closed = holds.Closed(0, 0)
    if cause is not EndCause.REPLACED:
        closed = holds.close_for_user(
            agents=sorted(agents),
            user=grant.person.pid,
            actor=actor,
            reason=f"The consent that it rested on is over: {EndCause(cause).label}.",
        )
    _record(grant, "grant_ended", actor, cause=cause.value, delegations=handed, holds=closed.holds)
    grant.refresh_from_db()
    grant_ended.send(sender=Grant, grant=grant, by=by)
    return True


@receiver(employment_changed, dispatch_uid="authz.end grants of a leaver")
def end_of_leaver(*, person: Person, by: Actor, **_: Any) -> None:
    """Who has left lets nobody act for them any more."""
    if person.employment == Employment.LEFT:
        end_grants_of(cause=EndCause.LEFT, by=by, person=person)


def _live() -> Any:
    return Grant.objects.filter(ended_at__isnull=True).select_related("person", "agent")


def _found(grant_id: UUID) -> Grant:
    grant = Grant.objects.select_related("person", "agent").filter(pk=grant_id).first()
    if grant is None:
        raise NoSuchGrant()
    return grant


def _record(grant: Grant, did: str, actor: str, **told: Any) -> None:
    audit.record(
        kind=Kind.ACCESS,
        actor=actor,
        agent=grant.agent.slug,
        user=grant.person.pid,
        asked={"did": did, "grant": str(grant.pk), **told},
    )
