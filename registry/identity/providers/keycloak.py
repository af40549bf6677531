"""Keycloak's admin REST API. Experimental: written to its documentation, see docs/howto."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import quote, urlencode

from governance.kernel import egress
from registry.identity.providers import wire
from registry.identity.providers.errors import ClientGone, ProviderRefused
from registry.identity.providers.listed import Provider
from registry.identity.providers.wire import Made, Wanted

CAN_DISABLE = True
CREATED = 201
CONFLICT = 409
FORM = "application/x-www-form-urlencoded"


def register(provider: Provider, wanted: Wanted) -> Made:
    """Make a client under the id that was chosen for it. One that is there already is taken."""
    bearer = _bearer(provider)
    answer = wire.ask("POST", _clients(provider), bearer=bearer, body=_client(wanted))
    if answer.status not in (CREATED, CONFLICT):
        wire.read(answer, f"{provider.name} makes no client")
    found = _find(provider, bearer, wanted.client_id)
    if answer.status == CONFLICT:
        _change(provider, bearer, found, _client(wanted))
    return Made(wanted.client_id, found, secret=_secret(provider, bearer, found, wanted))


def read(provider: Provider, made: Made) -> dict[str, Any]:
    """The client as the provider has it. Raises `ClientGone`."""
    answer = wire.ask("GET", made.place, bearer=_bearer(provider))
    _check_there(answer, provider)
    found = wire.read(answer, f"{provider.name} does not show the client")
    return found if isinstance(found, dict) else {}


def update(provider: Provider, made: Made, wanted: Wanted) -> Made:
    """Bring the client to what is wanted, switched on. Raises `ClientGone`."""
    bearer = _bearer(provider)
    _change(provider, bearer, made.place, _client(wanted))
    return Made(made.client_id, made.place, secret=_secret(provider, bearer, made.place, wanted))


def disable(provider: Provider, made: Made) -> None:
    """Switch the client off; it stays and can be switched on again."""
    bearer = _bearer(provider)
    _change(provider, bearer, made.place, {"clientId": made.client_id, "enabled": False})


def delete(provider: Provider, made: Made) -> None:
    """Delete the client. One that is gone already is gone."""
    answer = wire.ask("DELETE", made.place, bearer=_bearer(provider))
    if not answer.is_good and answer.status != 404:
        wire.read(answer, f"{provider.name} does not delete the client")


def delete_named(provider: Provider, client_id: str) -> None:
    """Delete the client of this id, if there is one."""
    bearer = _bearer(provider)
    if place := _place_of(provider, bearer, client_id):
        delete(provider, Made(client_id, place))


def _client(wanted: Wanted) -> dict[str, Any]:
    told: dict[str, Any] = {
        "clientId": wanted.client_id,
        "name": wanted.name,
        "protocol": "openid-connect",
        "enabled": True,
        "publicClient": False,
        "serviceAccountsEnabled": True,
        "standardFlowEnabled": False,
        "implicitFlowEnabled": False,
        "directAccessGrantsEnabled": False,
        "clientAuthenticatorType": "client-jwt" if wanted.jwks else "client-secret",
    }
    if wanted.jwks:
        keys = json.dumps(dict(wanted.jwks))
        told["attributes"] = {"use.jwks.string": "true", "jwks.string": keys}
    return told


def _secret(provider: Provider, bearer: str, place: str, wanted: Wanted) -> str:
    if wanted.jwks:
        return ""
    told = wire.read(
        wire.ask("GET", f"{place}/client-secret", bearer=bearer),
        f"{provider.name} does not tell the client's secret",
    )
    value = told.get("value", "") if isinstance(told, dict) else ""
    if not isinstance(value, str) or not value:
        raise ProviderRefused(f"{provider.name} gave the client no secret.")
    return value


def _find(provider: Provider, bearer: str, client_id: str) -> str:
    if place := _place_of(provider, bearer, client_id):
        return place
    raise ProviderRefused(f"{provider.name} does not show the client that it made.")


def _place_of(provider: Provider, bearer: str, client_id: str) -> str:
    query = urlencode({"clientId": client_id})
    found = wire.read(
        wire.ask("GET", f"{_clients(provider)}?{query}", bearer=bearer),
        f"{provider.name} does not show the client",
    )
    for each in found if isinstance(found, list) else []:
        if isinstance(each, dict) and each.get("clientId") == client_id and each.get("id"):
            return f"{_clients(provider)}/{quote(str(each['id']), safe='')}"
    return ""


def _change(provider: Provider, bearer: str, place: str, body: dict[str, Any]) -> None:
    answer = wire.ask("PUT", place, bearer=bearer, body=body)
    _check_there(answer, provider)
    if not answer.is_good:
        wire.read(answer, f"{provider.name} does not change the client")


def _check_there(answer: egress.Answer, provider: Provider) -> None:
    if answer.status == 404:
        raise ClientGone(f"{provider.name} does not know the client any more.")


def _clients(provider: Provider) -> str:
    return f"{_base(provider)}/admin/realms/{quote(provider.options['realm'], safe='')}/clients"


def _base(provider: Provider) -> str:
    return provider.options["url"].rstrip("/")


def _bearer(provider: Provider) -> str:
    """A token of the service account that manages the realm's clients."""
    realm = quote(provider.options.get("login_realm") or provider.options["realm"], safe="")
    form = {
        "grant_type": "client_credentials",
        "client_id": provider.options["client_id"],
        "client_secret": provider.secret("secret"),
    }
    answer = egress.send(
        "POST",
        f"{_base(provider)}/realms/{realm}/protocol/openid-connect/token",
        headers={"Content-Type": FORM, "Accept": "application/json", "User-Agent": "Muster"},
        body=urlencode(form).encode(),
    )
    told = wire.read(answer, f"{provider.name} lets Muster not in")
    token = told.get("access_token", "") if isinstance(told, dict) else ""
    if not isinstance(token, str) or not token:
        raise ProviderRefused(f"{provider.name} gave no access token.")
    return token
