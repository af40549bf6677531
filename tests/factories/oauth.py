"""Requests to the OAuth endpoints, as clients of each method make them."""

import base64
import json
import time
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote_plus, urlencode

from django.http import HttpResponse
from django.test import Client as Browser
from joserfc import jws
from joserfc.jwk import OKPKey

from registry.identity import assertions, clients
from registry.models import Agent, Gateway
from tests.factories import identity as make

FORM = "application/x-www-form-urlencoded"
ASSERTION_TYPE = assertions.TYPE


@dataclass(frozen=True)
class Holder:
    """A client and everything that proves it."""

    row: Agent | Gateway
    client_id: str
    secret: str
    key: OKPKey

    def basic(self) -> dict[str, str]:
        return {"Authorization": basic(self.client_id, self.secret)}

    def post(self) -> dict[str, str]:
        return {"client_id": self.client_id, "client_secret": self.secret}

    def assertion(self, **changes: Any) -> dict[str, str]:
        return {
            "client_assertion_type": ASSERTION_TYPE,
            "client_assertion": self.signed(**changes),
        }

    def signed(self, **changes: Any) -> str:
        now = int(time.time())
        claims = {
            "iss": self.client_id,
            "sub": self.client_id,
            "aud": "http://127.0.0.1:8000",
            "exp": now + 120,
            "jti": base64.urlsafe_b64encode(json.dumps(time.time_ns()).encode()).decode(),
        } | changes
        kept = {name: value for name, value in claims.items() if value is not None}
        header = {"alg": "Ed25519", "kid": "k1"}
        return jws.serialize_compact(header, json.dumps(kept), self.key, algorithms=["Ed25519"])


def holder_of(row: Agent | Gateway) -> Holder:
    """The client of an active row, with a secret and a key."""
    security = make.make_person(groups=("security",))
    if isinstance(row, Agent):
        client = clients.issue_client(agent=row, by=row.owner).client
    else:
        client = clients.issue_client(gateway=row, by=security).client
    key = OKPKey.generate_key("Ed25519", parameters={"kid": "k1"})
    jwks = {"keys": [dict(key.as_dict(private=False))]}
    clients.set_jwks(client=client, jwks=jwks, by=security)
    issued = clients.rotate_secret(client=client, by=security)
    return Holder(row, issued.client_id, issued.secret, key)


def basic(name: str, secret: str) -> str:
    pair = f"{quote_plus(name)}:{quote_plus(secret)}"
    return "Basic " + base64.b64encode(pair.encode()).decode()


def send(
    path: str,
    form: dict[str, str] | bytes,
    *,
    headers: dict[str, str] | None = None,
    content_type: str = FORM,
    source: str = "192.0.2.1",
) -> HttpResponse:
    """A POST of a form to an endpoint."""
    body = form if isinstance(form, bytes) else urlencode(form).encode()
    return Browser(raise_request_exception=False).generic(
        "POST", path, body, content_type, headers=headers or {}, REMOTE_ADDR=source
    )


def ask_token(holder: Holder, method: str = "client_secret_basic", **more: str) -> HttpResponse:
    """A request for a token by one of the three methods."""
    form = {"grant_type": "client_credentials"} | more
    if method == "client_secret_basic":
        return send("/oauth/token", form, headers=holder.basic())
    proof = holder.post() if method == "client_secret_post" else holder.assertion()
    return send("/oauth/token", form | proof)


def token_of(holder: Holder) -> str:
    """A fresh access token."""
    return str(json.loads(ask_token(holder).content)["access_token"])
