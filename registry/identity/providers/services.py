"""What becomes of the clients of agents in identity providers outside.

A provider is never waited for inside a transaction: a client is claimed and committed, the
provider is told, and what it said is written down. Whatever is interrupted or refused stays due,
and the sweep `identities` goes on with it. No row, no key: what is not active is marked in the
transaction that ends it, and is never live here from then on.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from django.db import transaction
from django.db.models import Q

from governance.kernel import clock
from governance.kernel.egress import NoAnswer, NotReached
from governance.kernel.errors import Conflict, GovernanceError, Invalid, NotFound
from governance.kernel.row import ANSWERING
from registry import guard, permissions
from registry.enums import AgentState
from registry.errors import AgentNotActive
from registry.identity.providers import keycloak, listed, rfc7591, sealing
from registry.identity.providers.errors import ClientGone
from registry.identity.providers.listed import Provider
from registry.identity.providers.wire import Made, Wanted
from registry.models import Agent, Client, ExternalClient, Person
from registry.models.external_clients import ExternalClientState as State
from registry.permissions import Automatic
from registry.services.saving import Changes, locked, record

ACTOR = Automatic("identities")
CLAIM = timedelta(minutes=2)
# How long after each attempt that failed the next one is due; the last one for ever.
PAUSES = tuple(timedelta(minutes=minutes) for minutes in (1, 5, 15, 60, 180, 360))
GONE_STATES = frozenset({AgentState.DECOMMISSIONING, AgentState.DECOMMISSIONED})


@dataclass(frozen=True, slots=True)
class Registered:
    """What an agent has at a provider now. `why` says what is in the way; empty if nothing is."""

    id: int
    client_id: str
    state: str
    why: str = ""

    @property
    def is_live(self) -> bool:
        return self.state == State.LIVE


@dataclass(frozen=True, slots=True)
class _Plan:
    """One thing to tell a provider: what to do, and the state that follows."""

    id: int
    act: Callable[[], Made | None] = field(repr=False)
    after: str = ""
    digest: str = ""
    made: Made | None = field(default=None, repr=False)
    makes: bool = False


# What others call


def register(*, agent_id: int, provider: str) -> Registered:
    """See to it that an active agent has its client there. Done twice, it is done once.

    Call it after your commit. Raises `AgentNotActive`; what the provider refuses is told in `why`
    and tried again later.
    """
    listed.find(provider)
    external = _row_of(agent_id, provider)
    settle(external_id=external.pk)
    return told(external.pk)


def disable(*, agent_id: int, provider: str) -> Registered:
    """Take the client of an agent that is not active out of use there, now."""
    return _end(agent_id, provider)


def delete(*, agent_id: int, provider: str) -> Registered:
    """Delete what was made there for an agent that is not active: the undo of `register`."""
    return _end(agent_id, provider, delete=True)


@transaction.atomic
def confirm_deleted(*, agent_id: int, provider: str, by: Person, reason: str) -> Registered:
    """Someone's word that a client is gone where it was made, whatever the provider says.

    Only of an agent that has ended: what may live again is what the provider says it is.
    """
    found = ExternalClient.objects.filter(agent=agent_id, provider=provider).first()
    agent, external = _locked(agent_id, found.pk if found else 0)
    permissions.check_can_change_agent(agent, by)
    if agent.state not in GONE_STATES:
        raise Conflict(f"{agent.slug} is {agent.state_word}: its client is not to be gone.")
    if not reason.strip():
        sentence = "Say how you know: who deleted it, where, when."
        raise Invalid(sentence, fields={"reason": [sentence]})
    if external.state == State.DELETED:
        return told(external.pk)
    _write(external, None, State.DELETED, _Plan(external.pk, lambda: None))
    external.save()
    said = {"reason": ("", reason.strip()[:500])}
    _record("external_client_said_deleted", external, agent, by, said)
    return told(external.pk)


def told(external_id: int) -> Registered:
    """What is known of a client outside."""
    row = ExternalClient.objects.get(pk=external_id)
    return Registered(row.pk, row.client_id, row.state, row.failure)


@transaction.atomic
def take_secret(*, external_id: int, by: Person) -> str:
    """The secret that the provider gave, this once; it is kept nowhere from then on."""
    agent_id = ExternalClient.objects.filter(pk=external_id).values_list("agent", flat=True).first()
    agent, external = _locked(agent_id or 0, external_id)
    permissions.check_can_change_agent(agent, by)
    guard.require_active(agent)
    if external.state != State.LIVE or not external.has_secret:
        raise Conflict(f"There is no secret of {agent.slug} to fetch: it was fetched, or ended.")
    made = sealing.unseal(external)
    external.sealed = sealing.seal(external, Made(made.client_id, made.place, made.key))
    external.has_secret = False
    external.save(update_fields=["sealed", "has_secret"])
    _record("external_secret_taken", external, agent, by)
    return made.secret


# The row


def follow(agent: Agent) -> None:
    """Mark what an agent has outside, in the transaction that changed it; the sweep tells them."""
    rows = ExternalClient.objects.select_for_update(no_key=True).filter(agent=agent)
    for row in rows.exclude(state=State.DELETED):
        if guard.refusal(agent) is not None and row.state == State.LIVE:
            row.state = State.ENDING
        row.next_at = row.changed_at = clock.now()
        row.attempts = 0
        row.save(update_fields=["state", "next_at", "changed_at", "attempts"])
    rows.filter(state=State.DELETED).update(next_at=clock.now(), attempts=0)


def due(now: datetime) -> list[str]:
    """What the sweep has to do: clients that are missing, and clients that are not as wanted."""
    return [*_unsettled(now), *_missing()]


def handle(key: str | int, now: datetime) -> bool:
    """One of them. Waits for the provider, so it may not run inside a transaction."""
    pk, _, provider = str(key).partition(":")
    if not provider:
        return settle(external_id=int(pk))
    try:
        return register(agent_id=int(pk), provider=provider).is_live
    except AgentNotActive:
        return False


def _missing() -> list[str]:
    active = Agent.objects.filter(state=AgentState.ACTIVE, owner__employment__in=ANSWERING)
    return [
        f"{pk}:{provider.name}"
        for provider in listed.configured()
        for pk in active.exclude(external_clients__provider=provider.name).values_list(
            "pk", flat=True
        )
    ]


def _unsettled(now: datetime) -> list[str]:
    names = {each.name for each in listed.configured()}
    free = Q(claimed_until__isnull=True) | Q(claimed_until__lt=now)
    rows = ExternalClient.objects.filter(free, next_at__lte=now, provider__in=names)
    rows = rows.select_related("agent__owner").order_by("next_at", "pk")
    found = [each for each in rows if _plan_of(each.agent, each) is not None]
    return [str(each.pk) for each in found]


@transaction.atomic(durable=True)
def _row_of(agent_id: int, provider: str) -> ExternalClient:
    return open_row(agent_id=agent_id, provider=provider)


@transaction.atomic
def open_row(*, agent_id: int, provider: str) -> ExternalClient:
    """What every client outside begins with: a row of it, for an active agent alone.

    Raises `AgentNotActive`. Nobody outside is told of it yet.
    """
    agent = locked(Agent, "agent", pk=agent_id)
    guard.require_active(agent)
    now = clock.now()
    row, _ = ExternalClient.objects.get_or_create(
        agent=agent, provider=provider, defaults={"next_at": now, "changed_at": now}
    )
    return row


def _end(agent_id: int, provider: str, *, delete: bool = False) -> Registered:
    row = ExternalClient.objects.select_related("agent__owner").filter(
        agent=agent_id, provider=provider
    )
    external = row.first()
    if external is None:
        raise NotFound("This agent has no client there.")
    if guard.refusal(external.agent) is None:
        raise Conflict(f"{external.agent.slug} is active: suspend it first.")
    settle(external_id=external.pk, delete_it=delete)
    return told(external.pk)


# Telling a provider


def settle(*, external_id: int, delete_it: bool = False) -> bool:
    """Bring one client to what its row wants now; whether something was done.

    Two at once: one claims it, the other finds nothing to do.
    """
    plan = _claim(external_id, delete_it)
    if plan is None:
        return False
    try:
        made = plan.act()
    except ClientGone:
        _keep(plan, None, State.DELETED)
        return True
    except GovernanceError as error:
        heard = not isinstance(error, NoAnswer) or isinstance(error, NotReached)
        _failed(plan, error.message, lost=plan.makes and not heard)
        return False
    _keep(plan, made, plan.after)
    return True


@transaction.atomic(durable=True)
def _claim(external_id: int, delete_it: bool) -> _Plan | None:
    row = ExternalClient.objects.filter(pk=external_id).values_list("agent", flat=True).first()
    agent, external = _locked(row or 0, external_id)
    now = clock.now()
    if external.claimed_until and external.claimed_until > now:
        return None
    if external.claimed_until and external.state == State.REGISTERING:
        # It was asked to make a client, and nobody heard what it said.
        external.lost += 1
    plan = _plan_of(agent, external, delete_it)
    external.claimed_until = now + CLAIM if plan else None
    external.attempts += bool(plan)
    if plan and plan.makes:
        external.state, external.client_id = State.REGISTERING, ""
    external.save(update_fields=["claimed_until", "attempts", "lost", "state", "client_id"])
    return plan


def _plan_of(agent: Agent, external: ExternalClient, delete_it: bool = False) -> _Plan | None:
    """What a provider must be told, so that it has what the row wants; None where it has."""
    provider = listed.find(external.provider)
    target = _target(agent, provider, delete_it)
    if target == State.LIVE:
        return _plan_live(agent, external, provider)
    if not external.client_id:
        act = partial(_forget, provider, _wanted(agent))
        done = external.state == State.DELETED
        return None if done else _Plan(external.pk, act, State.DELETED)
    if external.state in (target, State.DELETED):
        return None
    made = sealing.unseal(external)
    end = _disable if target == State.DISABLED else _delete
    return _Plan(external.pk, partial(end, provider, made), target, external.keys_digest, made)


def _plan_live(agent: Agent, external: ExternalClient, provider: Provider) -> _Plan | None:
    wanted = _wanted(agent)
    digest = _digest_of(wanted.jwks)
    if external.state in {State.REGISTERING, State.DELETED}:
        act = partial(_speaker(provider).register, provider, wanted)
        return _Plan(external.pk, act, State.LIVE, digest, makes=True)
    if external.state == State.LIVE and external.keys_digest == digest:
        return None
    made = sealing.unseal(external)
    act = partial(_speaker(provider).update, provider, made, wanted)
    return _Plan(external.pk, act, State.LIVE, digest, made)


def _target(agent: Agent, provider: Provider, delete_it: bool) -> str:
    if guard.refusal(agent) is None:
        return State.LIVE
    gone = delete_it or agent.state in GONE_STATES
    return State.DISABLED if _speaker(provider).CAN_DISABLE and not gone else State.DELETED


def _wanted(agent: Agent) -> Wanted:
    jwks = Client.objects.filter(agent=agent).values_list("jwks", flat=True).first() or {}
    return Wanted(f"muster-{agent.slug}", f"Muster: {agent.slug}", jwks)


def _speaker(provider: Provider) -> Any:
    return {listed.RFC7591: rfc7591, listed.KEYCLOAK: keycloak}[provider.kind]


def _disable(provider: Provider, made: Made) -> Made:
    keycloak.disable(provider, made)
    return made


def _delete(provider: Provider, made: Made) -> None:
    _speaker(provider).delete(provider, made)


def _forget(provider: Provider, wanted: Wanted) -> None:
    """End what may have been made unheard, where a client is found by its name."""
    if provider.kind == listed.KEYCLOAK:
        keycloak.delete_named(provider, wanted.client_id)


# Writing down what it said


@transaction.atomic(durable=True)
def _keep(plan: _Plan, made: Made | None, state: str) -> None:
    row = ExternalClient.objects.filter(pk=plan.id).values_list("agent", flat=True).first()
    agent, external = _locked(row or 0, plan.id)
    if state == State.LIVE and guard.refusal(agent) is not None:
        # It was stopped while the provider made it: never live here, and ended there at once.
        state = State.ENDING
    _write(external, made, state, plan)
    external.save()
    _record(f"external_client_{state}", external, agent, ACTOR)


def _write(external: ExternalClient, made: Made | None, state: str, plan: _Plan) -> None:
    now = clock.now()
    external.state, external.changed_at, external.next_at = state, now, now
    external.attempts, external.failure, external.claimed_until = 0, "", None
    if made is None:
        external.sealed, external.has_secret, external.place = b"", False, ""
        external.client_id = external.client_id if state == State.DELETED else ""
        return
    # A secret that was fetched is not kept a second time, and one beside keys not at all.
    fetched = plan.made is not None and not external.has_secret
    secret = "" if fetched or plan.digest else made.secret
    kept = Made(made.client_id, made.place, made.key, secret)
    external.client_id, external.place = kept.client_id, kept.place
    external.sealed, external.has_secret = sealing.seal(external, kept), bool(kept.secret)
    external.keys_digest = plan.digest


@transaction.atomic(durable=True)
def _failed(plan: _Plan, why: str, *, lost: bool) -> None:
    external = ExternalClient.objects.select_for_update(no_key=True).get(pk=plan.id)
    pause = PAUSES[min(external.attempts, len(PAUSES)) - 1]
    external.failure, external.claimed_until = why[:300], None
    external.lost += lost
    external.next_at = clock.now() + pause
    external.save(update_fields=["failure", "claimed_until", "next_at", "lost"])


def _locked(agent_id: int, external_id: int) -> tuple[Agent, ExternalClient]:
    """The agent first, as everywhere, so that its state cannot change meanwhile."""
    # Its owner is read once it is held: joined, they would be as they were before the wait.
    agent = locked(Agent, "agent", pk=agent_id)
    return agent, locked(ExternalClient, "client outside", pk=external_id)


def _digest_of(jwks: Any) -> str:
    return hashlib.sha256(json.dumps(jwks, sort_keys=True).encode()).hexdigest() if jwks else ""


def _record(
    did: str,
    external: ExternalClient,
    agent: Agent,
    by: Person | Automatic,
    changes: Changes | None = None,
) -> None:
    record(
        did,
        by=by,
        agent=agent.slug,
        resource=f"agent:{agent.slug}",
        changes=changes,
        more={"provider": external.provider, "client": external.client_id},
    )
