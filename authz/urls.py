"""The decision API, the token endpoint, and the pages about who may do what."""

from __future__ import annotations

from django.urls import include, path, re_path, register_converter

from authz import session_pages
from authz.api import access_views as access
from authz.api import lease_views as lease_api
from authz.api import result_views as result_api
from authz.api import session_views as session_api
from authz.api import signatures as signature_api
from authz.api import toxic as toxic_api
from authz.api import views as api
from authz.views import catalogues, policies, roles

register_converter(session_pages.SessionName, "session")

urlpatterns = [
    path("access/v1/evaluation", api.Evaluation.as_view(), name="evaluation"),
    path("access/v1/evaluations", api.Evaluations.as_view(), name="evaluations"),
    re_path(r"^ext-authz(?:/[\s\S]*)?\Z", api.ExtAuthz.as_view(), name="ext_authz"),
    path("hooks/claude-code", api.ClaudeCodeHook.as_view(), name="claude_code_hook"),
    path("access/v1/search/subject", api.SubjectSearch.as_view(), name="search_subject"),
    path("access/v1/search/resource", api.ResourceSearch.as_view(), name="search_resource"),
    path("access/v1/search/action", api.ActionSearch.as_view(), name="search_action"),
    path("access/v1/requests", access.AccessRequests.as_view(), name="access_requests"),
    path("access/v1/requests/<uuid:pk>", access.OneAccessRequest.as_view(), name="access_request"),
    path("access/v1/requests/<uuid:pk>/cancel", access.CancelAccessRequest.as_view()),
    path("api/v1/holds/<uuid:pk>", access.OneHold.as_view(), name="api_hold"),
    path("api/v1/holds/<uuid:pk>/approve", access.ApproveHold.as_view()),
    path(".well-known/authzen-configuration", api.Metadata.as_view(), name="authzen_metadata"),
    path("api/v1/decisions/<uuid:pk>", api.OneDecision.as_view(), name="decision"),
    path("api/v1/decisions/<uuid:pk>/proof", api.DecisionProof.as_view(), name="decision_proof"),
    path("api/v1/decisions/<uuid:pk>/outcome", api.Outcome.as_view(), name="decision_outcome"),
    path("api/v1/sessions", session_api.Sessions.as_view(), name="sessions"),
    path("api/v1/sessions/<str:pk>", session_api.OneSession.as_view(), name="session"),
    path("api/v1/sessions/<str:pk>/plan", session_api.SessionPlan.as_view()),
    path("api/v1/sessions/<str:pk>/inputs", session_api.SessionInputs.as_view()),
    path("api/v1/sessions/<str:pk>/extract", session_api.SessionExtract.as_view()),
    path("api/v1/sessions/<str:pk>/end", session_api.SessionEnd.as_view()),
    path("api/v1/delegations/<uuid:pk>/result", result_api.DelegationResults.as_view()),
    path(
        "api/v1/credentials/<path:reference>/lease",
        lease_api.Leases.as_view(),
        name="credential_lease",
    ),
    path("api/v1/", include("authz.api.urls")),
    path("api/v1/signatures", signature_api.Signatures.as_view(), name="api_signatures"),
    path("api/v1/signatures/<str:slug>", signature_api.OneSignature.as_view()),
    path("api/v1/toxic", toxic_api.ToxicCombinations.as_view(), name="api_toxic"),
    path("api/v1/toxic/<str:slug>", toxic_api.OneToxicCombination.as_view()),
    path("", include("authz.oauth.urls")),
    path("", include("authz.views.urls")),
    path("sessions/<session:name>/", session_pages.run, name="run"),
    path("agents/<str:slug>/runs/", session_pages.agent_runs, name="agent_runs"),
    path("policies/", catalogues.policies, name="policies"),
    path("policies/new/", policies.edit, name="policy_new"),
    path("policies/check/", policies.check, name="policy_check"),
    path("policies/words/", policies.words, name="policy_words"),
    path("policies/toxic/", catalogues.toxic, name="toxic"),
    path("policies/signatures/", catalogues.signatures, name="signatures"),
    path("policies/decision-points/", catalogues.pdps, name="pdps"),
    path("policies/decision-points/<str:slug>/", catalogues.pdp, name="pdp"),
    path("policies/<str:slug>/", policies.policy, name="policy"),
    path("policies/<str:slug>/edit/", policies.edit, name="policy_edit"),
    path("policies/<str:slug>/retire/", policies.retire, name="policy_retire"),
    path("policies/<str:slug>/<int:number>/", policies.version, name="policy_version"),
    path("policies/<str:slug>/<int:number>/<str:word>/", policies.act, name="policy_act"),
    path("roles/", roles.roles, name="roles"),
    path("roles/new/", roles.new_role, name="role_new"),
    path("roles/changes/<int:pk>/<str:word>/", roles.decide, name="role_decide"),
    path("roles/<str:slug>/", roles.role, name="role"),
    path("roles/<str:slug>/<str:word>/", roles.change_role, name="role_change"),
    path("relationships/", roles.relationships, name="relationships"),
    path("relationships/new/", roles.new_relationship, name="relationship_new"),
    path(
        "relationships/<int:pk>/remove/",
        roles.remove_relationship,
        name="relationship_remove",
    ),
]
