"""The decision API, the token endpoint, and the pages about who may do what."""

from __future__ import annotations

from django.urls import include, path

from authz import views
from authz.api import views as api

urlpatterns = [
    path("access/v1/evaluation", api.Evaluation.as_view(), name="evaluation"),
    path("access/v1/evaluations", api.Evaluations.as_view(), name="evaluations"),
    path(".well-known/authzen-configuration", api.Metadata.as_view(), name="authzen_metadata"),
    path("api/v1/decisions/<uuid:pk>", api.OneDecision.as_view(), name="decision"),
    path("api/v1/decisions/<uuid:pk>/outcome", api.Outcome.as_view(), name="decision_outcome"),
    path("", include("authz.oauth.urls")),
    path("", include("authz.whatif_urls")),
    path("policies/", views.policies, name="policies"),
    path("policies/<str:slug>/", views.policy, name="policy"),
    path("roles/<str:slug>/", views.role, name="role"),
]
