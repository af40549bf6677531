"""Roles, policies, relationships and the toxic catalogue."""

from authz.models.outcomes import ReportedOutcome
from authz.models.policies import GovernedTool, Policy
from authz.models.relationships import Relationship
from authz.models.roles import Role
from authz.models.toxic import ToxicCombination

__all__ = ["GovernedTool", "Policy", "Relationship", "ReportedOutcome", "Role", "ToxicCombination"]
