"""The decision API, the token endpoint, and the pages about who may do what."""

from __future__ import annotations

from django.urls import include, path, register_converter

from authz import session_pages, views
from authz.api import session_views as session_api
from authz.api import views as api

register_converter(session_pages.SessionName, "session")

urlpatterns = [
    path("access/v1/evaluation", api.Evaluation.as_view(), name="evaluation"),
    path("access/v1/evaluations", api.Evaluations.as_view(), name="evaluations"),
    path(".well-known/authzen-configuration", api.Metadata.as_view(), name="authzen_metadata"),
    path("api/v1/decisions/<uuid:pk>", api.OneDecision.as_view(), name="decision"),
    path("api/v1/decisions/<uuid:pk>/outcome", api.Outcome.as_view(), name="decision_outcome"),
    path("api/v1/sessions", session_api.Sessions.as_view(), name="sessions"),
    path("api/v1/sessions/<str:pk>", session_api.OneSession.as_view(), name="session"),
    path("api/v1/sessions/<str:pk>/plan", session_api.SessionPlan.as_view()),
    path("api/v1/sessions/<str:pk>/inputs", session_api.SessionInputs.as_view()),
    path("api/v1/sessions/<str:pk>/extract", session_api.SessionExtract.as_view()),
    path("api/v1/sessions/<str:pk>/end", session_api.SessionEnd.as_view()),
    path("", include("authz.oauth.urls")),
    path("sessions/<session:name>/", session_pages.run, name="run"),
    path("agents/<str:slug>/runs/", session_pages.agent_runs, name="agent_runs"),
    path("policies/", views.policies, name="policies"),
    path("policies/<str:slug>/", views.policy, name="policy"),
    path("roles/<str:slug>/", views.role, name="role"),
]
