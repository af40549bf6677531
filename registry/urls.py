"""Pages of the register's catalogue."""

from __future__ import annotations

from django.urls import include, path

from registry import sign_in, views
from registry.oidc import views as oidc

urlpatterns = [
    path("systems/", views.systems, name="systems"),
    path("systems/<str:slug>/", views.system, name="system"),
    path("tools/", views.tools, name="tools"),
    path("tools/<path:name>/", views.tool, name="tool"),
    path("callers/", views.callers, name="callers"),
    path("callers/<int:pk>/block/", views.block_caller, name="caller_block"),
    path("callers/<int:pk>/reopen/", views.reopen_caller, name="caller_reopen"),
    path("sign-in/ended/", oidc.ended, name="oidc_ended"),
    path("sign-in/with/<str:name>/", oidc.go, name="oidc_go"),
    path("sign-in/with/<str:name>/back/", oidc.back, name="oidc_back"),
    path("sign-in/<str:token>", sign_in.sign_in_with_link, name="sign_in_with_link"),
    path("welcome", sign_in.choose_password, name="choose_password"),
    path("demo/sign-in", sign_in.demo_sign_in, name="demo_sign_in"),
    path("api/v1/", include("registry.api.urls")),
]
