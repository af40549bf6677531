"""Where the OAuth endpoints are."""

from __future__ import annotations

from django.urls import path

from authz.oauth import consent, views

urlpatterns = [
    path("oauth/authorize", consent.authorize, name="oauth_authorize"),
    path("oauth/device_authorization", views.device_authorization, name="oauth_device"),
    path("oauth/token", views.token, name="oauth_token"),
    path("oauth/introspect", views.introspect, name="oauth_introspect"),
    path("oauth/secret", views.secret, name="oauth_secret"),
    path("oauth/revoke", views.revoke, name="oauth_revoke"),
    path(".well-known/oauth-authorization-server", views.metadata, name="oauth_metadata"),
    path(".well-known/jwks.json", views.jwks, name="oauth_jwks"),
]
