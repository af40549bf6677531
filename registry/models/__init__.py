"""The register."""

from registry.models.absences import Absence
from registry.models.agents import (
    Agent,
    AllowlistEntry,
    Clearance,
    Reliance,
    SubAgent,
)
from registry.models.callers import UnregisteredCaller
from registry.models.changes import ProposedChange
from registry.models.claimed_groups import ClaimedGroup, GivenGroup, Way
from registry.models.clients import Client, Gateway, RevokedToken, UsedAssertion
from registry.models.credentials import CredentialReference, StoredSecret, StoredVersion
from registry.models.devices import DeviceRequest, PersonToken
from registry.models.external_clients import ExternalClient, ExternalClientState
from registry.models.people import ExternalIdentity, Person, SignInLink
from registry.models.slices import Slice
from registry.models.systems import (
    Agreement,
    Resource,
    ResourceEntity,
    ResourceType,
    System,
    SystemPermission,
)
from registry.models.tools import Tool, ToolAccess

__all__ = [
    "Absence",
    "Agent",
    "Agreement",
    "AllowlistEntry",
    "ClaimedGroup",
    "Clearance",
    "Client",
    "CredentialReference",
    "DeviceRequest",
    "ExternalClient",
    "ExternalClientState",
    "ExternalIdentity",
    "Gateway",
    "GivenGroup",
    "Person",
    "PersonToken",
    "ProposedChange",
    "Reliance",
    "Resource",
    "ResourceEntity",
    "ResourceType",
    "RevokedToken",
    "SignInLink",
    "Slice",
    "StoredSecret",
    "StoredVersion",
    "SubAgent",
    "System",
    "SystemPermission",
    "Tool",
    "ToolAccess",
    "UnregisteredCaller",
    "UsedAssertion",
    "Way",
]
