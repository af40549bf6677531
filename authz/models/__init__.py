"""Roles, policies and their previews, relationships, catalogues, flow sessions, counters."""

from authz.models.outcomes import ReportedOutcome
from authz.models.policies import GovernedTool, Policy
from authz.models.previews import Preview, PreviewDifference
from authz.models.relationships import Relationship
from authz.models.roles import Role
from authz.models.sessions import Carried, FlowSession, Usage
from authz.models.signatures import Signature
from authz.models.toxic import ToxicCombination

__all__ = [
    "Carried",
    "FlowSession",
    "GovernedTool",
    "Policy",
    "Preview",
    "PreviewDifference",
    "Relationship",
    "ReportedOutcome",
    "Role",
    "Signature",
    "ToxicCombination",
    "Usage",
]
