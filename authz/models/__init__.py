"""Roles, policies, relationships, the toxic catalogue, and previews of changes."""

from authz.models.outcomes import ReportedOutcome
from authz.models.policies import GovernedTool, Policy
from authz.models.previews import Preview, PreviewDifference
from authz.models.relationships import Relationship
from authz.models.roles import Role
from authz.models.toxic import ToxicCombination

__all__ = [
    "GovernedTool",
    "Policy",
    "Preview",
    "PreviewDifference",
    "Relationship",
    "ReportedOutcome",
    "Role",
    "ToxicCombination",
]
