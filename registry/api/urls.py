"""Paths of the register's REST API, under /api/v1/."""

from __future__ import annotations

from django.urls import path

from registry.api import views

urlpatterns = [
    path("people", views.People.as_view(), name="api_people"),
    path("people/<str:pid>", views.OnePerson.as_view(), name="api_person"),
    path("people/<str:pid>/employment", views.EmploymentOf.as_view(), name="api_employment"),
    path("systems", views.Systems.as_view(), name="api_systems"),
    path("systems/<str:slug>", views.OneSystem.as_view(), name="api_system"),
    path("tools", views.Tools.as_view(), name="api_tools"),
    path("tools/<path:name>", views.OneTool.as_view(), name="api_tool"),
    path("agents", views.Agents.as_view(), name="api_agents"),
    path("agents/<str:slug>", views.OneAgent.as_view(), name="api_agent"),
    path("agents/<str:slug>/allowlist/<path:tool>", views.Entry.as_view(), name="api_entry"),
    path(
        "agents/<str:slug>/sub-agents/<str:other>",
        views.SubAgentOf.as_view(),
        name="api_sub_agent",
    ),
    path("agents/<str:slug>/submit", views.Submit.as_view(), name="api_agent_submit"),
    path("agents/<str:slug>/withdraw", views.Withdraw.as_view(), name="api_agent_withdraw"),
    path("agents/<str:slug>/attest", views.Attest.as_view(), name="api_agent_attest"),
    path("agents/<str:slug>/approve", views.Approve.as_view(), name="api_agent_approve"),
    path("agents/<str:slug>/suspend", views.Suspend.as_view(), name="api_agent_suspend"),
    path("agents/<str:slug>/resume", views.Resume.as_view(), name="api_agent_resume"),
    path("agents/<str:slug>/callback", views.AgentCallback.as_view(), name="api_agent_callback"),
    path("gateways/<str:slug>/callback", views.GatewayCallback.as_view()),
    path("agents/<str:slug>/secret", views.Secret.as_view(), name="api_agent_secret"),
]
