"""What pages show of credentials: where they lie, how they stand, who read them. No value."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.db.models import QuerySet

from authz.models import Lease
from governance.kernel import clock
from governance.kernel.errors import GovernanceError
from registry import permissions, vault
from registry.enums import CredentialKind, CredentialState
from registry.models import Agent, CredentialReference, Person
from registry.models.credentials import OVER
from registry.vault import places

READS = 20
PLACES = {
    places.EMBEDDED: "in Muster's own vault",
    places.AWS: "in AWS Secrets Manager",
    places.KV: "in HashiCorp Vault or OpenBao",
}


@dataclass(frozen=True)
class Listed:
    """One line of the agent's page."""

    credential: CredentialReference
    where: str
    is_over: bool


def listed(agent: Agent) -> list[Listed]:
    """The agent's credentials as the agent's page lists them."""
    found = agent.credentials.select_related("system")
    return [Listed(each, where_of(each), each.state in OVER) for each in found]


def where_of(credential: CredentialReference) -> str:
    """Where it lies, in words."""
    if credential.state == CredentialState.DESTROYED:
        return "destroyed"
    scheme = places.scheme_of(credential.reference)
    if scheme == places.EMBEDDED and credential.kind == CredentialKind.ELSEWHERE:
        return "named only: nothing is stored"
    return PLACES.get(scheme, "somewhere that Muster does not know")


def credential_page(credential: CredentialReference, person: Person) -> dict[str, Any]:
    """Everything on the page of one credential."""
    agent = credential.agent
    versions, fault = _versions(credential)
    return {
        "agent": agent,
        "credential": credential,
        "where": where_of(credential),
        "is_over": credential.state in OVER,
        "versions": versions,
        "fault": fault,
        "reads": list(reads_of(credential)[:READS]),
        "now": clock.now(),
        "may": {
            "change": permissions.can(permissions.check_can_change_agent, agent, person),
            "revoke": permissions.can(permissions.check_can_suspend_agent, agent, person),
        },
    }


def reads_of(credential: CredentialReference) -> QuerySet[Lease]:
    """Who was given it, the newest first."""
    return Lease.objects.filter(credential=credential).select_related("agent")


def _versions(credential: CredentialReference) -> tuple[list[vault.Version], str]:
    """What the vault holds, or why it does not say."""
    if credential.state not in (CredentialState.ACTIVE, CredentialState.DECLARED):
        return [], ""
    try:
        return vault.versions(credential.reference), ""
    except GovernanceError as error:
        return [], error.message
