"""Roles, policies, relationships, catalogues, flow sessions, limits, holds, grants, delegations."""

from authz.models.acting import Delegation, DelegationResult, Grant
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
from authz.models.leases import Lease
from authz.models.limits import Counter, Movement, Page, Reservation, Retry, Stop
from authz.models.oauth import ActingToken, AuthorizationCode
from authz.models.outcomes import ReportedOutcome
from authz.models.pdps import ExternalPDP, PDPHealth
from authz.models.policies import GovernedTool, Policy
from authz.models.previews import Preview, PreviewDifference
from authz.models.prices import CurrencyRate, Meter, ModelPrice
from authz.models.relationships import Relationship
from authz.models.roles import Role
from authz.models.sessions import Carried, FlowSession
from authz.models.signatures import Signature
from authz.models.toxic import OutputTier, ToxicCombination

__all__ = [
    "AccessRequest",
    "ActingToken",
    "AuthorizationCode",
    "Callback",
    "Carried",
    "Counter",
    "CurrencyRate",
    "Delegation",
    "DelegationResult",
    "ExternalPDP",
    "FlowSession",
    "GovernedTool",
    "Grant",
    "Hold",
    "HoldEdit",
    "HoldVote",
    "KnownDomain",
    "Lease",
    "Meter",
    "ModelPrice",
    "Movement",
    "OutputTier",
    "PDPHealth",
    "Page",
    "Policy",
    "Preview",
    "PreviewDifference",
    "Relationship",
    "Release",
    "ReportedOutcome",
    "RequestedHold",
    "Reservation",
    "Retry",
    "Role",
    "Signature",
    "Stop",
    "ToxicCombination",
]
