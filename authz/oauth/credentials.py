"""What a client sends to prove itself: exactly one of three ways."""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass, field
from urllib.parse import unquote_plus

from authz.oauth.errors import InvalidClient, InvalidRequest
from authz.oauth.forms import Form
from registry.identity import assertions

METHODS = ("client_secret_basic", "client_secret_post", "private_key_jwt")
MAX_CLIENT_ID_LENGTH = 64


@dataclass(frozen=True, slots=True)
class Credentials:
    """Whom a client says that it is, and one proof: a secret or an assertion."""

    client_id: str
    secret: str = field(default="", repr=False)
    assertion: str = field(default="", repr=False)


def read_credentials(authorization: str, form: Form) -> Credentials:
    """The credentials of a request. Raises `InvalidClient` or `InvalidRequest`."""
    ways = [bool(authorization), "client_secret" in form, "client_assertion" in form]
    if sum(ways) > 1:
        raise InvalidRequest("Authenticate in one way only.")
    if authorization:
        found = _from_header(authorization)
    elif "client_secret" in form:
        found = Credentials(form.get("client_id", ""), secret=form["client_secret"])
    elif "client_assertion" in form:
        found = _from_assertion(form)
    else:
        raise InvalidClient("Send a client secret or a client assertion.")
    if form.get("client_id", found.client_id) != found.client_id:
        raise InvalidRequest("The client_id differs from the one that authenticates.")
    if not _is_client_id(found.client_id):
        raise InvalidClient()
    return found


def _from_header(authorization: str) -> Credentials:
    scheme, _, encoded = authorization.partition(" ")
    if scheme.lower() != "basic":
        raise InvalidClient("The Authorization header must use Basic.")
    try:
        text = base64.b64decode(encoded.strip(" "), validate=True).decode()
        name, colon, secret = text.partition(":")
        # Both parts are form-encoded before they are joined (RFC 6749 section 2.3.1).
        client_id, secret = (unquote_plus(part, errors="strict") for part in (name, secret))
    except (binascii.Error, ValueError) as error:
        raise InvalidClient("The Authorization header is malformed.") from error
    if not colon:
        raise InvalidClient("The Authorization header is malformed.")
    return Credentials(client_id, secret=secret)


def _from_assertion(form: Form) -> Credentials:
    if form.get("client_assertion_type") != assertions.TYPE:
        raise InvalidRequest(f"The client_assertion_type must be {assertions.TYPE}.")
    raw = form["client_assertion"]
    try:
        return Credentials(assertions.claimed_client_id(raw), assertion=raw)
    except assertions.BadAssertion as error:
        raise InvalidClient(error.message) from error


def _is_client_id(text: str) -> bool:
    return 0 < len(text) <= MAX_CLIENT_ID_LENGTH and text.isascii() and text.isprintable()
