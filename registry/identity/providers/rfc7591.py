"""Dynamic client registration (RFC 7591) and its management (RFC 7592)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from registry.identity.providers import wire
from registry.identity.providers.errors import ClientGone, ProviderRefused
from registry.identity.providers.listed import Provider
from registry.identity.providers.wire import Made, Wanted

# The protocol has no way to switch a client off: what is suspended is deleted, and made anew.
CAN_DISABLE = False
MAX_ID = 255


def register(provider: Provider, wanted: Wanted) -> Made:
    """Make a client. What it is called is up to the provider."""
    answer = wire.ask(
        "POST",
        provider.options["registration"],
        bearer=provider.secret("token"),
        body=_metadata(provider, wanted),
    )
    return _made(wire.read(answer, f"{provider.name} registers no client"), provider)


def read(provider: Provider, made: Made) -> dict[str, Any]:
    """The client as the provider has it. Raises `ClientGone`."""
    answer = wire.ask("GET", made.place, bearer=made.key)
    wire.check_there(answer, f"{provider.name} does not show the client")
    found = wire.read(answer, f"{provider.name} does not show the client")
    return found if isinstance(found, dict) else {}


def update(provider: Provider, made: Made, wanted: Wanted) -> Made:
    """Bring the client to what is wanted. Raises `ClientGone`."""
    # The request replaces everything, so it carries what is to stay (RFC 7592 section 2.2).
    body = {**_metadata(provider, wanted), "client_id": made.client_id}
    if made.secret and not wanted.jwks:
        body["client_secret"] = made.secret
    answer = wire.ask("PUT", made.place, bearer=made.key, body=body)
    wire.check_there(answer, f"{provider.name} does not change the client")
    told = wire.read(answer, f"{provider.name} does not change the client")
    kept = {
        "client_id": made.client_id,
        "client_secret": made.secret,
        "registration_client_uri": made.place,
        "registration_access_token": made.key,
    }
    return _made({**kept, **told}, provider) if isinstance(told, dict) else made


def delete(provider: Provider, made: Made) -> None:
    """Delete the client. One that is gone already is gone."""
    answer = wire.ask("DELETE", made.place, bearer=made.key)
    if not answer.is_good and answer.status not in wire.GONE:
        wire.read(answer, f"{provider.name} does not delete the client")
    if answer.status in wire.GONE and _is_there(provider, made):
        raise ProviderRefused(f"{provider.name} does not delete the client: {answer.status}.")


def _is_there(provider: Provider, made: Made) -> bool:
    """A refusal may mean that there is nothing to delete; only then it is done."""
    try:
        read(provider, made)
    except ClientGone:
        return False
    return True


def _metadata(provider: Provider, wanted: Wanted) -> dict[str, Any]:
    """A client that acts as itself and nothing else (RFC 7591 section 2)."""
    method = "private_key_jwt" if wanted.jwks else "client_secret_basic"
    told: dict[str, Any] = {
        "client_name": wanted.name,
        "grant_types": ["client_credentials"],
        "response_types": [],
        "redirect_uris": [],
        "token_endpoint_auth_method": method,
    }
    if wanted.jwks:
        told["jwks"] = dict(wanted.jwks)
    if scope := provider.options.get("scope"):
        told["scope"] = scope
    return told


def _made(told: Any, provider: Provider) -> Made:
    found: Mapping[str, Any] = told if isinstance(told, dict) else {}
    client_id, place, key, secret = (
        found.get(name, "")
        for name in (
            *("client_id", "registration_client_uri", "registration_access_token"),
            "client_secret",
        )
    )
    texts = all(isinstance(each, str) for each in (client_id, place, key, secret))
    if not texts or not 0 < len(client_id) <= MAX_ID or not place or not key:
        raise ProviderRefused(
            f"{provider.name} gives nothing to manage the client by (RFC 7592), so it could never "
            "be taken back."
        )
    if not wire.same_host(place, provider.options["registration"]):
        raise ProviderRefused(f"{provider.name} has its clients managed at another host.")
    return Made(client_id, place, key, secret)
