"""The OAuth endpoints in OpenAPI. They are no REST views, so they are described by hand."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from authz.oauth.forms import MEDIA_TYPE
from authz.oauth.services import GRANT_TYPE
from registry.identity.assertions import TYPE

Json = dict[str, Any]

CLIENT = "client"
_TEXT: Json = {"type": "string"}
_PROOF: Json = {
    "client_id": _TEXT,
    "client_secret": {"type": "string", "writeOnly": True},
    "client_assertion_type": {"type": "string", "enum": [TYPE]},
    "client_assertion": {"type": "string", "description": "A private_key_jwt."},
}
_TOKEN: Json = {"token": _TEXT, "token_type_hint": _TEXT}
_ISSUED: Json = {
    "access_token": _TEXT,
    "token_type": {"type": "string", "enum": ["Bearer"]},
    "expires_in": {"type": "integer"},
    "scope": _TEXT,
}
_ERROR: Json = {"error": _TEXT, "error_description": _TEXT}
_REFUSALS = {
    "400": "The request is not one that can be answered (RFC 6749 section 5.2).",
    "401": "The client has not proved itself.",
    "429": "Too many failures: a correct credential is still taken.",
    "503": "It could not be recorded: nothing was done.",
}


def add_endpoints(result: Json, **_: Any) -> Json:
    """A hook of drf-spectacular: `result` with the endpoints of this package."""
    grant = {"grant_type": {"type": "string", "enum": [GRANT_TYPE]}, "scope": _TEXT}
    result["paths"] |= {
        "/oauth/token": _post("oauth_token", "An access token.", grant, "grant_type", _ISSUED),
        "/oauth/introspect": _post(
            "oauth_introspect",
            "What stands behind a token now (RFC 7662).",
            _TOKEN,
            "token",
            {"active": {"type": "boolean"}},
        ),
        "/oauth/secret": _post(
            "oauth_secret",
            "The new secret of a rotation, once.",
            {},
            "",
            {"client_id": _TEXT, "client_secret": _TEXT, "earlier_secret_until": _TEXT},
            more={"409": "There is no new secret to fetch."},
        ),
        "/oauth/revoke": _post("oauth_revoke", "End a token (RFC 7009).", _TOKEN, "token", {}),
        "/.well-known/oauth-authorization-server": _get("oauth_metadata", "RFC 8414 metadata."),
        "/.well-known/jwks.json": _get("oauth_jwks", "The keys that verify tokens (RFC 7517)."),
    }
    result["paths"] = dict(sorted(result["paths"].items()))
    return result


def _post(
    name: str,
    summary: str,
    fields: Json,
    required: str,
    told: Json,
    *,
    more: Mapping[str, str] = MappingProxyType({}),
) -> Json:
    form: Json = {"type": "object", "properties": {**fields, **_PROOF}}
    if required:
        form["required"] = [required]
    refusals = {code: _answer(said, _ERROR) for code, said in {**_REFUSALS, **more}.items()}
    return {
        "post": {
            "operationId": name,
            "description": summary,
            "tags": ["oauth"],
            "requestBody": {"content": {MEDIA_TYPE: {"schema": form}}, "required": True},
            # By Basic, or in the form.
            "security": [{CLIENT: []}, {}],
            "responses": {"200": _answer(summary, told), **refusals},
        }
    }


def _get(name: str, summary: str) -> Json:
    return {
        "get": {
            "operationId": name,
            "description": summary,
            "tags": ["oauth"],
            "responses": {"200": _answer(summary, {})},
        }
    }


def _answer(description: str, properties: Json) -> Json:
    schema = {"type": "object", "properties": properties}
    return {"description": description, "content": {"application/json": {"schema": schema}}}
