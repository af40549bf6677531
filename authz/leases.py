"""An agent reads a credential: decided, recorded, read, noted, in this order."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.db import Error, transaction
from django.dispatch import receiver

from audit.services import record
from authz import recorder
from authz.asks import Ask, Caller
from authz.decide import Answer, decide
from authz.engine import codes
from authz.engine.types import SubjectKind
from authz.errors import LeaseRefused, LeasesForAgents, NotRecorded
from authz.models import Lease
from authz.work import Record
from governance.kernel import clock
from registry import reserved, vault
from registry.enums import AgentState, Employment
from registry.models import Agent, CredentialReference, Person
from registry.permissions import Actor
from registry.signals import agent_state_changed, credential_revoked, employment_changed
from registry.vault import places


@dataclass(frozen=True, slots=True)
class Given:
    """A lease and the value that leaves with it."""

    lease: Lease
    reference: str
    secret: vault.Secret


def lease(
    *,
    reference: str,
    caller: Caller,
    session: str = "",
    approval: str = "",
    record: Record = recorder.record,
) -> Given:
    """Give an agent one of its own credentials, for a short while.

    The decision on `credential.read` stands on the record before the vault is asked. A reference
    that is another agent's and one that nobody has are refused alike. Raises `LeaseRefused` with
    the decision, `LeasesForAgents`, and what `registry.vault.read` raises. `record` is given only
    where nothing of it stays: a self-test.
    """
    if caller.is_gateway:
        raise LeasesForAgents()
    declared = places.as_declared(reference)
    answer = _decided(declared, caller, session, approval, record)
    if not answer.allowed:
        decision = answer.decision
        said = codes.message(decision.code, decision.detail)
        raise LeaseRefused(said, code=decision.code, answer=answer)
    leased = vault.read(declared, answer.id)
    return Given(_noted(leased, answer), declared, leased.secret)


def _decided(
    reference: str,
    caller: Caller,
    session: str,
    approval: str,
    written: Record = recorder.record,
) -> Answer:
    ask = Ask(
        kind=SubjectKind.AGENT,
        tool=reserved.TOOL,
        agent=caller.slug,
        parameters={"reference": reference},
        session=session,
        approval=approval,
    )
    (answer,) = decide([ask], caller, record=written)
    return answer


def _noted(leased: vault.Leased, answer: Answer) -> Lease:
    """The lease's row. Where it cannot be written the value does not leave."""
    try:
        with transaction.atomic():
            vault.hold_given(leased.credential)
            return Lease.objects.create(
                credential=leased.credential,
                agent=leased.credential.agent,
                record=answer.id,
                version=leased.version,
                at=clock.now(),
                expires_at=leased.expires_at,
            )
    except Error as error:
        raise NotRecorded() from error


# Ended early


@receiver(agent_state_changed, dispatch_uid="authz.end leases of an agent")
def end_of_agent(*, agent: Agent, before: AgentState, by: Actor, **_: Any) -> None:
    """What an agent was given ends with its right to anything."""
    if agent.state != AgentState.ACTIVE:
        _end(_running().filter(agent=agent), agent.slug, by, f"{agent.slug} is {agent.state_word}")


@receiver(employment_changed, dispatch_uid="authz.end leases of a leaver's agents")
def end_of_owner(*, person: Person, by: Actor, **_: Any) -> None:
    """And with the person who answers for it."""
    if person.employment != Employment.LEFT:
        return
    for agent in Agent.objects.filter(owner=person):
        _end(_running().filter(agent=agent), agent.slug, by, f"the owner of {agent.slug} has left")


@receiver(credential_revoked, dispatch_uid="authz.end leases of a credential")
def end_of_credential(*, credential: CredentialReference, by: Actor, reason: str, **_: Any) -> None:
    """What was given of a revoked credential ends with it."""
    _end(_running().filter(credential=credential), credential.agent.slug, by, "it was revoked")


def _running() -> Any:
    return Lease.objects.filter(ended_at__isnull=True, expires_at__gt=clock.now())


@transaction.atomic
def _end(leases: Any, agent: str, by: Actor, why: str) -> None:
    ended: list[UUID] = list(leases.order_by("pk").values_list("pk", flat=True))
    if not ended:
        return
    Lease.objects.filter(pk__in=ended).update(ended_at=clock.now(), ended_why=why[:200])
    record(
        kind="access",
        actor=by.pid,
        agent=agent,
        tool=reserved.TOOL,
        asked={"did": "leases_ended", "leases": [str(each) for each in ended]},
    )


def reads_of(agent: Agent, most: int) -> list[Lease]:
    """The newest leases of an agent's credentials, whoever was given them."""
    found = Lease.objects.filter(credential__agent=agent).select_related("credential")
    return list(found[:most])
