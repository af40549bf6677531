"""What allauth asks about providers, and its client of one of them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import requests
from allauth.socialaccount.adapter import DefaultSocialAccountAdapter
from allauth.socialaccount.models import SocialApp
from allauth.socialaccount.providers.oauth2.client import OAuth2Error
from allauth.socialaccount.providers.openid_connect.views import OpenIDConnectOAuth2Adapter
from django.conf import settings
from django.http import HttpRequest
from django.urls import reverse

from governance.kernel import egress
from registry.oidc import fetching, listed, tokens
from registry.oidc.errors import ProviderAway, SignInRefused
from registry.oidc.listed import Provider
from registry.oidc.tokens import Claims

ENDPOINTS = ("authorization_endpoint", "token_endpoint", "jwks_uri")


class SocialAdapter(DefaultSocialAccountAdapter):  # type: ignore[misc]
    """Providers come from the settings alone, and nobody signs up by themself."""

    def is_open_for_signup(self, request: HttpRequest, sociallogin: Any) -> bool:
        return False

    def list_apps(
        self, request: HttpRequest, provider: str | None = None, client_id: str | None = None
    ) -> list[Any]:
        """The configured ones; a row of allauth's own table counts for nothing."""
        return [
            _app(each)
            for each in listed.configured()
            if provider in (None, each.id, "openid_connect") and client_id in (None, each.client_id)
        ]

    def get_requests_session(self) -> requests.Session:
        return fetching.session()


def _app(provider: Provider) -> Any:
    return SocialApp(
        provider="openid_connect",
        provider_id=provider.id,
        name=provider.name,
        client_id=provider.client_id,
        secret=provider.read_secret(),
        settings={
            "server_url": provider.issuer.rstrip("/"),
            "oauth_pkce_enabled": True,
            "scope": provider.scope.split(),
            "uid_field": provider.subject_claim,
        },
    )


class Client(OpenIDConnectOAuth2Adapter):  # type: ignore[misc]
    """allauth's client of one provider, which checks what it is told."""

    def __init__(self, request: HttpRequest, provider: Provider) -> None:
        super().__init__(request, provider.id)
        self.ours = provider

    @property
    def openid_config(self) -> Mapping[str, Any]:
        """The provider's metadata, of the very issuer that is configured."""
        if not hasattr(self, "_openid_config"):
            try:
                found = super().openid_config
            except (requests.RequestException, ValueError) as error:
                raise ProviderAway(
                    f"{self.ours.name} does not answer. Try again, or have emergency access opened."
                ) from error
            _check_metadata(self.ours, found)
        return dict(self._openid_config)

    def get_callback_url(self, request: HttpRequest, app: Any) -> str:
        """The one address that people come back to, whatever host they asked for."""
        return f"{settings.MUSTER_BASE_URL}{reverse('oidc_back', args=[self.ours.id])}"

    def exchange(self, code_verifier: str, nonce: str) -> Claims:
        """Who the provider says that this is. Raises `SignInRefused`, `ProviderAway`."""
        try:
            client = self.get_client(self.request, self.get_provider().app)
            answer = self.get_access_token_data(
                self.request, None, client, pkce_code_verifier=code_verifier
            )
            keys = self._ask(self.openid_config["jwks_uri"], {})
            raw = str(answer.get("id_token", ""))
            claims = tokens.verified(raw, keys, self.ours, nonce)
            return Claims(self.ours, claims, self._more(claims, answer), raw)
        except OAuth2Error as error:
            raise SignInRefused(f"{self.ours.name} took the sign-in back. Try again.") from error
        except (requests.RequestException, json.JSONDecodeError) as error:
            raise ProviderAway(f"{self.ours.name} does not answer. Try again.") from error

    def _more(self, claims: Mapping[str, Any], answer: Mapping[str, Any]) -> Mapping[str, Any]:
        """What the provider tells of this very person besides the ID token."""
        url = self.openid_config.get("userinfo_endpoint")
        if not url:
            return {}
        told = self._ask(url, {"Authorization": f"Bearer {answer['access_token']}"})
        # OpenID Connect Core, section 5.3.2: what is about another subject counts for nothing.
        return told if told.get("sub") == claims["sub"] else {}

    def _ask(self, url: str, headers: Mapping[str, str]) -> dict[str, Any]:
        with fetching.session() as session:
            response = session.get(url, headers=dict(headers))
            response.raise_for_status()
            found = response.json()
        return found if isinstance(found, dict) else {}


def _check_metadata(provider: Provider, found: Any) -> None:
    if not isinstance(found, dict) or found.get("issuer") != provider.issuer:
        raise SignInRefused(
            f"{provider.name} calls itself by another issuer than the one that is configured. "
            "Ask whoever runs Muster."
        )
    for name in ENDPOINTS:
        egress.place_of(str(found.get(name, "")))
