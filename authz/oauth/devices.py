"""The device authorization grant (RFC 8628), for the command lines of people.

The client is public and there is one: it proves nothing, and what it gets is a person's word.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.urls import reverse

from authz.oauth.errors import (
    AccessDenied,
    AuthorizationPending,
    ExpiredToken,
    InvalidClient,
    InvalidGrant,
    InvalidRequest,
    InvalidScope,
    OAuthError,
    SlowDown,
    TooManyRequests,
)
from authz.oauth.forms import Form
from registry import validators
from registry.devices import requests
from registry.devices import tokens as command_lines
from registry.devices.errors import TooManyDevices
from registry.devices.requests import Answer
from registry.enums import TokenScope
from registry.identity import tokens
from registry.models.devices import LABEL_LENGTH

GRANT_TYPE = "urn:ietf:params:oauth:grant-type:device_code"
CLIENT_ID = "muster-cli"
SCOPES: Mapping[str, TokenScope] = {
    "read": TokenScope.READ,
    "write": TokenScope.WRITE,
    "read write": TokenScope.WRITE,
}
_SAID = {TokenScope.READ: "read", TokenScope.WRITE: "read write"}
_ERRORS: Mapping[Answer, type[OAuthError]] = {
    Answer.PENDING: AuthorizationPending,
    Answer.TOO_SOON: SlowDown,
    Answer.REFUSED: AccessDenied,
    Answer.OVER: ExpiredToken,
    Answer.UNKNOWN: InvalidGrant,
}


def is_public(form: Form) -> bool:
    """Whether the command line asks, which has nothing to prove itself with."""
    return form.get("client_id") == CLIENT_ID and "client_secret" not in form


def authorize_device(form: Form, source: str) -> dict[str, Any]:
    """The two codes (section 3.2). Raises `OAuthError`."""
    _check_client(form)
    wanted = form.get("scope", "read")
    if wanted not in SCOPES:
        raise InvalidScope("The scopes of a command line are read and write.")
    try:
        asked = requests.ask(label=_label(form), scope=SCOPES[wanted], source=source)
    except TooManyDevices as error:
        raise TooManyRequests() from error
    page = tokens.issuer() + reverse("device")
    return {
        "device_code": asked.device_code,
        "user_code": asked.user_code,
        "verification_uri": page,
        "verification_uri_complete": f"{page}?code={asked.user_code}",
        "expires_in": asked.expires_in,
        "interval": asked.interval,
    }


def redeem_device(form: Form) -> dict[str, Any]:
    """The token, once the person has allowed it (section 3.4). Raises `OAuthError`."""
    _check_client(form)
    if "device_code" not in form:
        raise InvalidRequest("The parameter device_code is missing.")
    told = requests.poll(device_code=form["device_code"])
    if isinstance(told, Answer):
        raise _ERRORS[told]()
    return {
        "access_token": told.raw,
        "token_type": "Bearer",
        "expires_in": told.expires_in,
        "scope": _SAID[TokenScope(told.row.scope)],
    }


def revoke_device(form: Form) -> dict[str, Any]:
    """End the token that is presented (RFC 7009): whoever has it may."""
    if "token" not in form:
        raise InvalidRequest("The parameter token is missing.")
    command_lines.revoke(form["token"])
    return {}


def _check_client(form: Form) -> None:
    if form.get("client_id") != CLIENT_ID:
        raise InvalidClient(f"The client_id of a command line is {CLIENT_ID}.")


def _label(form: Form) -> str:
    """What the program calls itself, where it says so; control characters were refused before."""
    said = form.get("device_name", "")[:LABEL_LENGTH]
    return "".join(each for each in said if each not in validators.CONTROL)
