"""The OAuth endpoints in OpenAPI. They are no REST views, so they are described by hand."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from authz.oauth.authorizing import METHOD, PROMPTS, RESPONSE_TYPE
from authz.oauth.devices import GRANT_TYPE as DEVICE
from authz.oauth.exchange import TYPES
from authz.oauth.forms import MEDIA_TYPE
from authz.oauth.services import GRANT_TYPES
from registry.identity.assertions import TYPE

Json = dict[str, Any]

CLIENT = "client"
_TEXT: Json = {"type": "string"}
_TYPE: Json = {"type": "string", "enum": sorted(TYPES)}
_PROOF: Json = {
    "client_id": _TEXT,
    "client_secret": {"type": "string", "writeOnly": True},
    "client_assertion_type": {"type": "string", "enum": [TYPE]},
    "client_assertion": {"type": "string", "description": "A private_key_jwt."},
}
_TOKEN: Json = {"token": _TEXT, "token_type_hint": _TEXT}
_OF_GRANTS: Json = {
    "scope": {
        "type": "string",
        "description": "decide; where something is handed over, the names of its tools.",
    },
    "resource": _TEXT,
    "code": {"type": "string", "description": "Of the authorization endpoint, good once."},
    "redirect_uri": {"type": "string", "description": "Where that code was sent."},
    "code_verifier": {"type": "string", "description": "What the code_challenge came from."},
    "device_code": {"type": "string", "description": "Of the device authorization endpoint."},
    "subject_token": {"type": "string", "description": "What is exchanged (RFC 8693)."},
    "subject_token_type": _TYPE,
    "actor_token": {"type": "string", "description": "The agent's own access token."},
    "actor_token_type": _TYPE,
    "requested_token_type": _TYPE,
    "audience": {"type": "string", "description": "The agent that it is handed over to."},
    "authorization_details": {
        "type": "string",
        "description": "What narrows the tools that are handed over, as JSON (RFC 9396): "
        '[{"type": "muster_tool", "tool": "crm.note", "parameters": {}}].',
    },
    "expires_in": {"type": "string", "description": "Seconds until what is handed over ends."},
    "session": {"type": "string", "description": "The run that hands over."},
}
_ISSUED: Json = {
    "access_token": _TEXT,
    "token_type": {"type": "string", "enum": ["Bearer", "N_A"]},
    "expires_in": {"type": "integer"},
    "scope": _TEXT,
    "issued_token_type": {"type": "string", "description": "Of an exchange alone."},
}
_INTROSPECTED: Json = {
    "active": {"type": "boolean"},
    **dict.fromkeys(("iss", "aud", "sub", "client_id", "token_type", "scope", "jti"), _TEXT),
    "exp": {"type": "integer"},
    "act": {"type": "object", "description": "Who acts, and through whom it was handed on."},
    "may_act": {"type": "object", "description": "In a grant token, who may act."},
    "grant": {"type": "string", "description": "The person's grant."},
    "delegation": {"type": "string", "description": "The link that it was handed over by."},
}
_DEVICE: Json = {
    **dict.fromkeys(
        ("device_code", "user_code", "verification_uri", "verification_uri_complete"), _TEXT
    ),
    "expires_in": {"type": "integer"},
    "interval": {"type": "integer", "description": "Seconds between two polls."},
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
    grant: Json = {"grant_type": {"type": "string", "enum": [*GRANT_TYPES, DEVICE]}, **_OF_GRANTS}
    result["paths"] |= {
        "/oauth/authorize": _authorize(),
        "/oauth/device_authorization": _post(
            "oauth_device",
            "A command line begins to wait for a person (RFC 8628).",
            {"scope": _TEXT, "device_name": _TEXT},
            "client_id",
            _DEVICE,
        ),
        "/oauth/token": _post("oauth_token", "An access token.", grant, "grant_type", _ISSUED),
        "/oauth/introspect": _post(
            "oauth_introspect",
            "What stands behind a token now (RFC 7662).",
            _TOKEN,
            "token",
            _INTROSPECTED,
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


def _authorize() -> Json:
    """The endpoint that a person's browser is sent to."""
    required = ("response_type", "client_id", "redirect_uri", "scope", "code_challenge")
    enums = {
        "response_type": [RESPONSE_TYPE],
        "code_challenge_method": [METHOD],
        "prompt": sorted(filter(None, PROMPTS)),
    }
    names = (*required, "code_challenge_method", "state", "resource", "prompt")
    parameters = [
        {
            "name": name,
            "in": "query",
            "required": name in (*required, "code_challenge_method"),
            "schema": {"type": "string", **({"enum": enums[name]} if name in enums else {})},
        }
        for name in names
    ]
    summary = "Ask a person whether the agent may act for them (RFC 6749 section 4.1)."
    return {
        "get": {
            "operationId": "oauth_authorize",
            "description": summary,
            "tags": ["oauth"],
            "parameters": parameters,
            "security": [{}],
            "responses": {
                "200": {"description": "The page that asks the person."},
                "302": {"description": "Whoever is not signed in signs in first."},
                "303": {"description": "Back to the agent, with a code or an error."},
                "400": {"description": "No agent asks, or it names no address of its own."},
            },
        }
    }


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
