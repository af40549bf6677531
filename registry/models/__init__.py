"""The register."""

from registry.models.absences import Absence
from registry.models.agents import (
    Agent,
    AllowlistEntry,
    Clearance,
    CredentialReference,
    Reliance,
)
from registry.models.callers import UnregisteredCaller
from registry.models.changes import ProposedChange
from registry.models.clients import Client, Gateway, RevokedToken, UsedAssertion
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
    "Clearance",
    "Client",
    "CredentialReference",
    "ExternalIdentity",
    "Gateway",
    "Person",
    "ProposedChange",
    "Reliance",
    "Resource",
    "ResourceEntity",
    "ResourceType",
    "RevokedToken",
    "SignInLink",
    "Slice",
    "System",
    "SystemPermission",
    "Tool",
    "ToolAccess",
    "UnregisteredCaller",
    "UsedAssertion",
]
