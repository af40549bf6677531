"""Roles, policies and their previews, relationships, catalogues, flow sessions, counters, holds."""

from authz.models.holds import (
    AccessRequest,
    Callback,
    Hold,
    HoldEdit,
    HoldVote,
    KnownDomain,
    Release,
    RequestedHold,
)
from authz.models.outcomes import ReportedOutcome
from authz.models.policies import GovernedTool, Policy
from authz.models.previews import Preview, PreviewDifference
from authz.models.relationships import Relationship
from authz.models.roles import Role
from authz.models.sessions import Carried, FlowSession, Usage
from authz.models.signatures import Signature
from authz.models.toxic import ToxicCombination

__all__ = [
    "AccessRequest",
    "Callback",
    "Carried",
    "FlowSession",
    "GovernedTool",
    "Hold",
    "HoldEdit",
    "HoldVote",
    "KnownDomain",
    "Policy",
    "Preview",
    "PreviewDifference",
    "Relationship",
    "Release",
    "ReportedOutcome",
    "RequestedHold",
    "Role",
    "Signature",
    "ToxicCombination",
    "Usage",
]
