"""The self-audit."""

from __future__ import annotations

from django.urls import path

from compliance.selfaudit import api, views

urlpatterns = [
    path("self-audit/", views.overview, name="self_audit"),
    path("self-audit/<int:number>/", views.point, name="self_audit_point"),
    path("api/v1/self-audit", api.SelfAudit.as_view(), name="api_self_audit"),
    path("api/v1/self-audit/<int:number>/rows", api.SelfAuditRows.as_view()),
]
