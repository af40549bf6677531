"""The overview."""

from __future__ import annotations

from django.urls import path

from compliance.dashboard import views

urlpatterns = [
    path("overview/", views.overview, name="overview"),
    path("overview/agents/", views.agents, name="overview_agents"),
    path("overview/holds/", views.holds, name="overview_holds"),
]
