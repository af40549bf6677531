"""The OAuth endpoints: read the form, call one service, answer as the RFCs say."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from functools import wraps
from typing import Any

from django.db import OperationalError
from django.http import HttpRequest, JsonResponse
from django.urls import reverse
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_safe

from authz.oauth import authorizing, credentials, devices, exchange, services
from authz.oauth.errors import (
    InvalidRequest,
    OAuthError,
    TooManyFailures,
    TooManyRequests,
    UnauthorizedClient,
    WrongMethod,
)
from authz.oauth.forms import MAX_BYTES, Form, read_form
from governance.kernel.errors import GovernanceError, Unavailable
from registry.identity import keys, signatures, tokens
from registry.identity.tokens import Use

Operation = Callable[[services.Caller, Form], dict[str, Any]]
Public = Callable[[Form], dict[str, Any]]
_NOT_FOR_DESCRIPTIONS = re.compile(r"[^\x20-\x21\x23-\x5b\x5d-\x7e]")
_PUBLIC = {"Cache-Control": "public, max-age=60"}


def _endpoint(
    operation: Operation, public: Public | None = None
) -> Callable[[HttpRequest], JsonResponse]:
    """A view of `operation` for POSTed forms of authenticated clients, with no cookie involved.

    `public` is done instead where the command line asks, which proves nothing.
    """

    @csrf_exempt
    @wraps(operation)
    def view(request: HttpRequest) -> JsonResponse:
        try:
            form = _read(request)
            if public and devices.is_public(form) and "Authorization" not in request.headers:
                return _answer(public(form))
            return _answer(operation(_caller(request, form), form))
        except GovernanceError as error:
            return _refuse(error)
        except OperationalError:
            # A lock that was not had in time, or a database that is not there.
            return _refuse(Unavailable())

    return view


def _read(request: HttpRequest) -> Form:
    if request.method != "POST":
        raise WrongMethod()
    return read_form(
        content_type=request.headers.get("Content-Type", ""),
        query=request.META.get("QUERY_STRING", ""),
        body=request.read(MAX_BYTES + 1),
    )


def _caller(request: HttpRequest, form: Form) -> services.Caller:
    found = credentials.read_credentials(request.headers.get("Authorization", ""), form)
    return services.Caller(found, _source(request))


def _source(request: HttpRequest) -> str:
    return str(request.META.get("REMOTE_ADDR", ""))


def _own_token(caller: services.Caller, form: Form) -> dict[str, Any]:
    issued = services.grant_token(caller, form)
    told = {
        "access_token": issued.token,
        # What is only exchanged again is no bearer token (RFC 8693 section 2.2.1).
        "token_type": "N_A" if issued.use is Use.HAND_OVER else "Bearer",
        "expires_in": issued.expires_in,
        "scope": issued.scope,
    }
    if form["grant_type"] == exchange.GRANT_TYPE:
        handed = issued.use is Use.HAND_OVER
        told["issued_token_type"] = exchange.JWT if handed else exchange.ACCESS_TOKEN
    return told


def _redeem(form: Form) -> dict[str, Any]:
    """The command line has one way to a token."""
    if "grant_type" not in form:
        raise InvalidRequest("The parameter grant_type is missing.")
    if form["grant_type"] != devices.GRANT_TYPE:
        raise UnauthorizedClient("The command line gets tokens by the device grant alone.")
    return devices.redeem_device(form)


token = _endpoint(_own_token, _redeem)


@csrf_exempt
def device_authorization(request: HttpRequest) -> JsonResponse:
    """RFC 8628 section 3.1: a command line begins to wait for a person."""
    try:
        return _answer(devices.authorize_device(_read(request), _source(request)))
    except GovernanceError as error:
        return _refuse(error)
    except OperationalError:
        return _refuse(Unavailable())


@_endpoint
def introspect(caller: services.Caller, form: Form) -> dict[str, Any]:
    return services.introspect_token(caller, form)


def _revoke(caller: services.Caller, form: Form) -> dict[str, Any]:
    services.revoke_token(caller, form)
    return {}


revoke = _endpoint(_revoke, devices.revoke_device)


@_endpoint
def secret(caller: services.Caller, form: Form) -> dict[str, Any]:
    issued = services.fetch_secret(caller, form)
    until = issued.client.previous_until
    return {
        "client_id": issued.client_id,
        "client_secret": issued.secret,
        "earlier_secret_until": until.isoformat() if until else None,
    }


@require_safe
def metadata(request: HttpRequest) -> JsonResponse:
    """RFC 8414. Addresses come from the settings, never from the request."""
    base = tokens.issuer()
    proof: dict[str, list[str]] = {}
    for endpoint in ("token", "introspection", "revocation"):
        proof[f"{endpoint}_endpoint_auth_methods_supported"] = list(credentials.METHODS)
        proof[f"{endpoint}_endpoint_auth_signing_alg_values_supported"] = list(
            signatures.ALGORITHMS
        )
    answer = {
        "issuer": base,
        "authorization_endpoint": base + reverse("oauth_authorize"),
        "token_endpoint": base + reverse("oauth_token"),
        "device_authorization_endpoint": base + reverse("oauth_device"),
        "introspection_endpoint": base + reverse("oauth_introspect"),
        "revocation_endpoint": base + reverse("oauth_revoke"),
        "jwks_uri": base + reverse("oauth_jwks"),
        "scopes_supported": list(tokens.SCOPES),
        "response_types_supported": [authorizing.RESPONSE_TYPE],
        "response_modes_supported": ["query"],
        "grant_types_supported": [*services.GRANT_TYPES, devices.GRANT_TYPE],
        "code_challenge_methods_supported": [authorizing.METHOD],
        "authorization_response_iss_parameter_supported": True,
        "authorization_details_types_supported": [exchange.DETAIL],
        **proof,
    }
    return JsonResponse(answer, headers=_PUBLIC)


@require_safe
def jwks(request: HttpRequest) -> JsonResponse:
    """The public keys that verify access tokens (RFC 7517)."""
    try:
        return JsonResponse(keys.public_jwks(tokens.ring(), time.time()), headers=_PUBLIC)
    except GovernanceError as error:
        return _refuse(error)


def _answer(body: dict[str, Any], status: int = 200) -> JsonResponse:
    headers = {"Cache-Control": "no-store", "Pragma": "no-cache"}
    return JsonResponse(body, status=status, headers=headers)


def _refuse(error: GovernanceError) -> JsonResponse:
    """`error` in the shape of RFC 6749 section 5.2; what is not OAuth's is the server's."""
    if not isinstance(error, OAuthError):
        description = Unavailable().message if error.status >= 500 else error.message
        code = "temporarily_unavailable" if error.status >= 500 else "invalid_request"
    else:
        description, code = error.message, error.code
    body = {"error": code, "error_description": _NOT_FOR_DESCRIPTIONS.sub("?", description)}
    answer = _answer(body, error.status)
    if error.status == 401:
        answer["WWW-Authenticate"] = 'Basic realm="muster"'
    if isinstance(error, WrongMethod):
        answer["Allow"] = "POST"
    if isinstance(error, TooManyFailures | TooManyRequests):
        answer["Retry-After"] = str(error.retry_after)
    return answer
