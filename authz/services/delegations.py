"""Delegations: what one agent hands on to another. They only narrow, and end with what is above.

Who hands over and who receives are agents that proved themselves; a delegation is no secret and
is worth nothing to anyone but its receiver.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db import transaction
from django.db.models import Q

from audit import services as audit
from audit.enums import Kind
from authz import narrowings, timekeeper
from authz.asks import Caller
from authz.engine.acting import MAX_DEPTH
from authz.engine.reading import NOTHING, Reading
from authz.enums import EndCause
from authz.errors import DelegationRefused, NoSuchDelegation, NotYourDelegation
from authz.models import Delegation, Grant
from authz.services import holds, sessions
from governance.kernel import clock
from registry import guard
from registry.models import Agent, Person

Tools = Mapping[str, Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class HandOver:
    """What an agent wants to hand on.

    `receiver` is a slug; `tools` maps names to JSON Schemas that narrow them, {} for none. `user`
    is the pseudonymous id of the person that the giver acts for, "" for nobody; `parent` the link
    that it acts under itself; `session` the run that hands over.
    """

    receiver: str
    tools: Tools
    until: datetime | None = None
    user: str = ""
    parent: UUID | None = None
    session: str = ""


def _any_depth(_: Agent) -> int:
    return MAX_DEPTH


_depth_of: list[Callable[[Agent], int]] = [_any_depth]


def use_depths(find: Callable[[Agent], int]) -> None:
    """Have `find` say how deep a chain may go that an agent hands on: templates lie above."""
    _depth_of[0] = find


@transaction.atomic
def delegate(*, caller: Caller, wanted: HandOver) -> Delegation:
    """Hand over, as the agent that asks. Raises `DelegationRefused`, whose code says why.

    What it rests on (the rows, the grant, the link above) is held until this is committed: none
    of it ends beside this and leaves it alive.
    """
    sessions.check_caller(caller)
    giver, receiver = _agents(caller, wanted.receiver)
    now = timekeeper.now()
    parent = _parent(wanted.parent, giver, now)
    grant = _grant(wanted, giver, parent, now)
    depth = parent.depth + 1 if parent else 1
    _check_declared(giver, receiver)
    _check_depth(depth, giver, parent)
    _check_tools(wanted.tools, giver, receiver, parent, grant)
    read = _read(giver, wanted.session, parent, now)
    delegation = Delegation.objects.create(
        id=clock.uuid7(now),
        parent=parent,
        depth=depth,
        giver=giver,
        receiver=receiver,
        grant=grant,
        tools={name: dict(narrowing) for name, narrowing in sorted(wanted.tools.items())},
        session=wanted.session,
        read_tier=read.tier,
        read_untrusted=read.untrusted,
        read_categories=sorted(read.categories),
        given_at=now,
        until=_until(wanted.until, parent, grant, now),
    )
    _record(
        delegation,
        "delegation_given",
        giver.slug,
        receiver=receiver.slug,
        tools=sorted(delegation.tools),
        depth=depth,
        until=delegation.until.isoformat(),
    )
    return delegation


def _agents(caller: Caller, named: str) -> tuple[Agent, Agent]:
    """Giver and receiver, both active, locked in one order whoever asks."""
    if caller.is_gateway:
        raise DelegationRefused("An agent hands over itself, by its own token.", code="gateway")
    rows = dict(Agent.objects.filter(slug__in=[caller.slug, named]).values_list("slug", "pk"))
    if named not in rows:
        raise DelegationRefused(f"There is no agent {named[:60]}.", code="receiver")
    if named == caller.slug:
        raise DelegationRefused("An agent hands over to another one.", code="receiver")
    held = {slug: guard.held(rows[slug]) for slug in sorted(rows)}
    for agent in held.values():
        guard.require_active(agent)
    return held[caller.slug], held[named]


def _parent(parent_id: UUID | None, giver: Agent, now: datetime) -> Delegation | None:
    if parent_id is None:
        return None
    if not Delegation.objects.filter(pk=parent_id, receiver=giver).exists():
        raise NoSuchDelegation()
    parent = guard.share(Delegation, parent_id)
    if parent.ended_at is not None or parent.until <= now:
        raise DelegationRefused("What it was handed itself has ended.", code="ended")
    return parent


def _grant(
    wanted: HandOver, giver: Agent, parent: Delegation | None, now: datetime
) -> Grant | None:
    """The grant that it rests on: the link's above, else the giver's own for this user."""
    if parent is not None:
        known = parent.grant.person.pid if parent.grant else ""
        if wanted.user not in ("", known):
            raise DelegationRefused("It acts for another user, or for nobody.", code="user")
        return parent.grant
    if not wanted.user:
        return None
    live = Grant.objects.filter(person__pid=wanted.user, agent=giver, ended_at__isnull=True)
    named = live.values_list("pk", flat=True).first()
    grant = guard.share(Grant, named) if named else None
    if grant is None or grant.ended_at is not None or grant.until <= now:
        raise DelegationRefused(
            f"This user lets {giver.slug} do nothing for them. Ask for their consent.",
            code="consent",
        )
    return grant


def _check_declared(giver: Agent, receiver: Agent) -> None:
    if not giver.sub_agents.filter(sub_agent=receiver).exists():
        raise DelegationRefused(
            f"{giver.slug} does not declare {receiver.slug} as an agent that it hands over to. "
            "Ask its owner to declare it.",
            code="not_declared",
        )


def _check_depth(depth: int, giver: Agent, parent: Delegation | None) -> None:
    givers = [giver, *givers_above(parent)]
    most = min(settings.MUSTER_DELEGATION_DEPTH, MAX_DEPTH, *map(_depth_of[0], givers))
    if depth > most:
        times = "once" if most == 1 else f"{most} times"
        raise DelegationRefused(
            f"It may be handed on {times} at the most. Let the agent call for itself."
            if most
            else f"{giver.slug} hands nothing over: its template says so.",
            code="too_deep",
        )
    live = Delegation.objects.filter(giver=giver, parent=parent, ended_at__isnull=True)
    if live.count() >= settings.MUSTER_DELEGATION_FAN_OUT:
        raise DelegationRefused(
            f"{giver.slug} has {settings.MUSTER_DELEGATION_FAN_OUT} delegations there already, "
            "which is the most. End one of them.",
            code="fan_out",
        )


def _check_tools(
    tools: Tools, giver: Agent, receiver: Agent, parent: Delegation | None, grant: Grant | None
) -> None:
    allowed = _listed(giver) & _listed(receiver)
    allowed &= set(parent.tools) if parent else allowed
    allowed &= set(grant.tools) if grant else allowed
    beyond = sorted(tools.keys() - allowed)
    if beyond or not tools:
        named = ", ".join(beyond)[:200] or "nothing"
        raise DelegationRefused(
            f"What is handed over is what {giver.slug} may do now and {receiver.slug} may do too, "
            f"and this names {named}.",
            code="tools",
        )
    narrowings.check(tools)


def _listed(agent: Agent) -> set[str]:
    return set(agent.allowlist.values_list("tool__name", flat=True))


def _read(giver: Agent, session: str, parent: Delegation | None, now: datetime) -> Reading:
    """What the giver knows: its run, what it carries, and what came with the link above."""
    found = sessions.reading_of_run(giver.slug, session, now)
    return found | (_reading(parent) if parent else NOTHING)


def _reading(link: Delegation) -> Reading:
    return Reading(link.read_tier, link.read_untrusted, frozenset(link.read_categories))


def _until(
    wanted: datetime | None, parent: Delegation | None, grant: Grant | None, now: datetime
) -> datetime:
    """No longer than what it rests on; what is asked for beyond is an error, not cut."""
    longest = now + timedelta(minutes=settings.MUSTER_DELEGATION_MINUTES)
    ends = [longest, *(above.until for above in (parent, grant) if above)]
    if wanted is None:
        return min(ends)
    if not now < wanted <= min(ends):
        raise DelegationRefused(
            f"It ends by {min(ends).isoformat(timespec='seconds')} at the latest.", code="until"
        )
    return wanted


# Ends


@transaction.atomic
def end_delegation(*, delegation_id: UUID, caller: Caller) -> Delegation:
    """End a link and all below it: as its giver, its receiver, or an agent above. Twice is once."""
    sessions.check_caller(caller)
    delegation = _found(delegation_id)
    cause = _cause(delegation, caller)
    _end(delegation, cause, caller.slug)
    delegation.refresh_from_db()
    return delegation


def _cause(delegation: Delegation, caller: Caller) -> EndCause:
    if delegation.receiver.slug == caller.slug:
        return EndCause.RECEIVER
    above: Delegation | None = delegation
    while above is not None:
        if above.giver.slug == caller.slug:
            return EndCause.GIVER
        above = above.parent
    raise NotYourDelegation()


@transaction.atomic
def end_delegations_of(*, agent: Agent, actor: str) -> int:
    """End every link of an agent that has stopped, given or received, with all below; how many."""
    live = Delegation.objects.filter(Q(giver=agent) | Q(receiver=agent), ended_at__isnull=True)
    links = list(live.select_related("giver", "receiver", "grant__person").order_by("depth", "pk"))
    return sum(_end(link, EndCause.AGENT, actor) for link in links)


@transaction.atomic
def expire_delegations(now: datetime) -> int:
    """End what is over. No decision waits for this: each compares the time itself."""
    over = Delegation.objects.filter(ended_at__isnull=True, until__lte=now)
    links = list(over.select_related("giver", "receiver", "grant__person").order_by("depth", "pk"))
    return sum(_end(link, EndCause.EXPIRED, "system:grants") for link in links)


def _end(delegation: Delegation, cause: EndCause, actor: str) -> bool:
    """Compare and swap; the database ends what is below. Whether it was this that ended it."""
    below = below_of(delegation)
    agents = sorted({link.receiver.slug for link in below})
    holds.lock_holds(agents)
    won = Delegation.objects.filter(pk=delegation.pk, ended_at__isnull=True).update(
        ended_at=max(timekeeper.now(), delegation.given_at), end_cause=cause
    )
    if not won:
        return False
    user = delegation.grant.person.pid if delegation.grant else ""
    if user:
        holds.close_for_user(
            agents=agents,
            user=user,
            actor=actor,
            reason=f"What was handed over is over: {EndCause(cause).label}.",
        )
    _record(delegation, "delegation_ended", actor, cause=cause.value, below=len(below) - 1)
    return True


def givers_above(link: Delegation | None) -> list[Agent]:
    """The agents through whom a link came, nearest first."""
    found: list[Agent] = []
    while link is not None:
        found.append(link.giver)
        link = link.parent
    return found


def below_of(delegation: Delegation) -> list[Delegation]:
    """A link and the live ones below it. Never deeper than three."""
    found, level = [delegation], [delegation]
    while level:
        rows = Delegation.objects.filter(parent__in=level, ended_at__isnull=True)
        level = list(rows.select_related("receiver"))
        found += level
    return found


def _found(delegation_id: UUID) -> Delegation:
    rows = Delegation.objects.select_related("giver", "receiver", "grant__person")
    delegation = rows.filter(pk=delegation_id).first()
    if delegation is None:
        raise NoSuchDelegation()
    return delegation


def user_of(delegation: Delegation) -> Person | None:
    """For whom it acts, None for nobody."""
    return delegation.grant.person if delegation.grant else None


def _record(delegation: Delegation, did: str, actor: str, **told: Any) -> None:
    person = user_of(delegation)
    audit.record(
        kind=Kind.ACCESS,
        actor=actor,
        agent=delegation.giver.slug,
        user=person.pid if person else "",
        session=delegation.session,
        asked={"did": did, "delegation": str(delegation.pk), **told},
    )
