"""What Muster itself gives an agent, and how each of it ends."""

from __future__ import annotations

import logging

from authz.enums import EndCause
from authz.models import Reservation
from authz.services import delegations, grants, holds, sessions
from governance.kernel import clock
from governance.kernel.errors import GovernanceError, NotFound, Unavailable
from lifecycle.decommissioning import reading, telling
from lifecycle.decommissioning.ending import EndingStep, nothing, register
from lifecycle.decommissioning.rules import counted
from lifecycle.models import LiveVisit
from lifecycle.rotation import services as rotation
from registry import changes, guard, vault
from registry import services as registered
from registry.errors import AgentNotActive
from registry.identity import clients, providers
from registry.models import Agent, Client, CredentialReference
from registry.models.credentials import OVER
from registry.models.external_clients import ExternalClientState
from registry.permissions import Automatic

ENDING = Automatic("decommissioning")

log = logging.getLogger(__name__)


def register_steps() -> None:
    """Make the steps known, once the models are there."""
    for step in STEPS:
        register(step)


def why(agent: Agent) -> str:
    """What whoever waits for something of this agent is told."""
    return f"{agent.slug} is decommissioned."


def _refuse_everything(agent: Agent) -> str:
    if guard.refusal(agent) is None:
        raise AgentNotActive(f"{agent.slug} is active.")
    return "No token, no lease, no allow since then."


def _end_keys(agent: Agent) -> str:
    client = Client.objects.filter(agent=agent).first()
    if client is None:
        return "It had no key of its own."
    had = clients.has_keys(client)
    if had:
        clients.end_client(client=client, by=ENDING)
    told = "Its secret and keys are gone, its tokens with them." if had else "It had no key."
    return f"{told} The client id {client.client_id} is never given again."


def _end_runs(agent: Agent) -> str:
    ended = sessions.end_sessions_of(agent=agent, actor=ENDING.pid)
    leases = reading.leases_ended(agent)
    return f"{counted(leases, 'lease')} and {counted(ended, 'run')} ended."


def _end_delegations(agent: Agent) -> str:
    """Before the grants: what ends because the agent stopped is said to, not what ended above."""
    ended = delegations.end_delegations_of(agent=agent, actor=ENDING.pid)
    if not ended:
        return "Nothing was handed over, by it or to it."
    return f"{counted(ended, 'delegation')} ended, with all that was handed on below."


def _end_grants(agent: Agent) -> str:
    ended = grants.end_grants_of(cause=EndCause.AGENT, by=ENDING, agent=agent)
    if not ended:
        return "It acted for nobody."
    return f"{counted(ended, 'grant')} ended: it acts for nobody any more."


def _end_credentials(agent: Agent) -> str:
    """Revoked here before any vault is asked: one that is away keeps no credential given."""
    for each in agent.credentials.exclude(state__in=OVER).order_by("pk"):
        vault.revoke_here(each.reference, by=ENDING, reason=why(agent))
    for each in agent.credentials.filter(state__in=OVER, settled_at__isnull=True).order_by("pk"):
        _settle(each)
    over = list(agent.credentials.order_by("reference"))
    if waiting := [each.reference for each in over if not each.is_settled]:
        raise Unavailable(f"Not yet ended where they lie: {', '.join(waiting)[:300]}.")
    return f"{counted(len(over), 'credential')} revoked." if over else "It named no credential."


def _settle(credential: CredentialReference) -> None:
    """Tell its vault. What one refuses keeps no other waiting."""
    try:
        vault.settle(credential.pk)
    except Exception:
        log.exception("%s is not ended where it lies", credential.reference)


def _end_clients_outside(agent: Agent) -> str:
    known = {each.name for each in providers.configured()}
    rows = agent.external_clients.order_by("provider")
    open_of = rows.filter(provider__in=known).exclude(state=ExternalClientState.DELETED)
    refused = [why for each in open_of if (why := _why_not_deleted(agent, each.provider))]
    if refused:
        raise Unavailable(" ".join(refused)[:400])
    ended = rows.filter(state=ExternalClientState.DELETED).count()
    return f"{counted(ended, 'client')} at identity providers deleted." if rows else "It had none."


def _why_not_deleted(agent: Agent, provider: str) -> str:
    """What is in the way of a deletion; empty where it is done. One keeps no other waiting."""
    try:
        told = providers.delete(agent_id=agent.pk, provider=provider)
    except NotFound:
        return ""
    except GovernanceError as error:
        return error.message
    except Exception as error:
        log.exception("the client of %s at %s", agent.slug, provider)
        return f"{provider}: it ended with {type(error).__name__}."
    if told.state == ExternalClientState.DELETED:
        return ""
    return told.why or f"{provider} is being told of it at this moment."


def _close_holds(agent: Agent) -> str:
    closed = holds.close_of_agent(agent=agent.slug, actor=ENDING.pid, reason=why(agent))
    said = f"{counted(closed.holds, 'hold')} refused, {counted(closed.releases, 'release')} ended."
    open_of = Reservation.objects.filter(agent=agent.slug, ended="").count()
    if open_of:
        said += f" {counted(open_of, 'call')} under way settle by their report, or at their cost."
    return f"{said} What was reserved for them is free."


def _close_questions(agent: Agent) -> str:
    fallen = changes.drop_of_agent(agent.slug, by=ENDING, why=why(agent))
    reviews = reading.close_reviews(agent, ENDING, why(agent))
    return f"{counted(len(fallen), 'change')} and {counted(reviews, 'review')} fell away."


def _stop_schedules(agent: Agent) -> str:
    closed = rotation.close_of_agent(agent=agent, why=why(agent))
    visits = LiveVisit.objects.filter(agent=agent).delete()[0]
    if agent.observe_until is not None:
        registered.end_where_due(agent_id=agent.pk, by=ENDING, now=clock.now())
    tests = f" {counted(visits, 'adversarial test')} stopped." if visits else ""
    return f"{counted(closed, 'rotation')} closed; nothing of it is observed or tested.{tests}"


def _tell(agent: Agent) -> str:
    told = telling.tell_dependents(agent)
    return f"{counted(told, 'person', 'people')} told." if told else "Nobody relies on it."


STEPS = (
    EndingStep("refusal", "Everything is refused", 100, _refuse_everything, nothing),
    EndingStep("keys", "Keys and tokens", 200, _end_keys, nothing),
    EndingStep("runs", "Leases and runs", 300, _end_runs, nothing),
    EndingStep("delegations", "Delegations", 320, _end_delegations, nothing),
    EndingStep("grants", "Grants of people", 340, _end_grants, nothing),
    EndingStep(
        "credentials", "Credentials", 400, _end_credentials, reading.live_credentials, outside=True
    ),
    EndingStep(
        "identities",
        "Clients at identity providers",
        500,
        _end_clients_outside,
        reading.live_clients,
        outside=True,
    ),
    EndingStep("holds", "What waits for a human", 600, _close_holds, nothing),
    EndingStep("questions", "Changes and reviews", 700, _close_questions, nothing),
    EndingStep("schedules", "Rotation, tests, observing", 800, _stop_schedules, nothing),
    EndingStep("dependents", "Who relies on it", 900, _tell, reading.naming),
)
