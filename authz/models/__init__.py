"""Roles, policies and their previews, relationships, catalogues, flow sessions, limits."""

from authz.models.limits import Counter, Movement, Page, Reservation, Stop
from authz.models.outcomes import ReportedOutcome
from authz.models.policies import GovernedTool, Policy
from authz.models.previews import Preview, PreviewDifference
from authz.models.prices import CurrencyRate, Meter, ModelPrice
from authz.models.relationships import Relationship
from authz.models.roles import Role
from authz.models.sessions import Carried, FlowSession
from authz.models.signatures import Signature
from authz.models.toxic import ToxicCombination

__all__ = [
    "Carried",
    "Counter",
    "CurrencyRate",
    "FlowSession",
    "GovernedTool",
    "Meter",
    "ModelPrice",
    "Movement",
    "Page",
    "Policy",
    "Preview",
    "PreviewDifference",
    "Relationship",
    "ReportedOutcome",
    "Reservation",
    "Role",
    "Signature",
    "Stop",
    "ToxicCombination",
]
