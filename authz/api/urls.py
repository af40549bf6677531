"""Paths of the REST API of policies, roles and relationships, under /api/v1/."""

from __future__ import annotations

from django.urls import path

from authz.api import limits, policies, roles

_VERSION = "policies/<str:slug>/versions/<int:number>"

urlpatterns = [
    path("policies", policies.Policies.as_view(), name="api_policies"),
    path("policies/check", policies.Check.as_view(), name="api_policy_check"),
    path("policies/<str:slug>/draft", policies.Draft.as_view(), name="api_policy_draft"),
    path("policies/<str:slug>/retire", policies.Retire.as_view(), name="api_policy_retire"),
    path("policies/<str:slug>/versions", policies.Versions.as_view(), name="api_policy_versions"),
    path(_VERSION, policies.OneVersion.as_view(), name="api_policy_version"),
    path(f"{_VERSION}/cases", policies.RunCases.as_view(), name="api_policy_cases"),
    path(f"{_VERSION}/propose", policies.Propose.as_view(), name="api_policy_propose"),
    path(f"{_VERSION}/discard", policies.Discard.as_view(), name="api_policy_discard"),
    path(f"{_VERSION}/agree", policies.Agree.as_view(), name="api_policy_agree"),
    path(f"{_VERSION}/reject", policies.Reject.as_view(), name="api_policy_reject"),
    path(f"{_VERSION}/withdraw", policies.Withdraw.as_view(), name="api_policy_withdraw"),
    path("agents/<str:slug>/limits", limits.AgentLimits.as_view(), name="api_agent_limits"),
    path("roles", roles.Roles.as_view(), name="api_roles"),
    path("roles/<str:slug>", roles.OneRole.as_view(), name="api_role"),
    path("relationships", roles.Relationships.as_view(), name="api_relationships"),
    path("relationships/<int:pk>", roles.OneRelationship.as_view(), name="api_relationship"),
]
