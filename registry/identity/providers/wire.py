"""What every provider speaks: JSON over the one way out."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from governance.kernel import egress, strict_json
from governance.kernel.errors import GovernanceError
from registry.identity.providers.errors import ClientGone, ProviderRefused

GONE = frozenset({401, 403, 404})


@dataclass(frozen=True, slots=True)
class Wanted:
    """The client that an agent should have: its name, and its keys where it has its own."""

    client_id: str
    name: str
    jwks: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Made:
    """The client that a provider made. The secrets never show in a traceback."""

    client_id: str
    # Where the client is managed, and what opens it there.
    place: str
    key: str = field(default="", repr=False)
    secret: str = field(default="", repr=False)


def ask(method: str, url: str, *, bearer: str = "", body: Any = None) -> egress.Answer:
    """One request with a JSON body. Raises `AddressRefused`, `NoAnswer`."""
    headers = {"Accept": "application/json", "User-Agent": "Muster"}
    if bearer:
        headers["Authorization"] = f"Bearer {bearer}"
    if body is None:
        return egress.send(method, url, headers=headers)
    headers["Content-Type"] = "application/json"
    return egress.send(method, url, headers=headers, body=json.dumps(body).encode())


def read(answer: egress.Answer, what: str) -> Any:
    """The JSON of a good answer. `ProviderRefused` says what went wrong, never what was sent."""
    if not answer.is_good:
        raise ProviderRefused(f"{what}: it answered {answer.status}{_error_of(answer)}.")
    try:
        return strict_json.loads(answer.body)
    except GovernanceError as error:
        raise ProviderRefused(f"{what}: its answer is no JSON.") from error


def check_there(answer: egress.Answer, what: str) -> None:
    """Raise `ClientGone` where the provider does not know the client, or its key, any more."""
    if answer.status in GONE:
        raise ClientGone(f"{what}: it answered {answer.status}{_error_of(answer)}.")


def same_host(url: str, known: str) -> bool:
    """Whether a URL that a provider told of lies at the host that the operator named."""
    told, ours = urlsplit(url), urlsplit(known)
    return (told.scheme, told.netloc) == (ours.scheme, ours.netloc)


def _error_of(answer: egress.Answer) -> str:
    """The code of an error as RFC 6749 has it: a plain word, or nothing."""
    try:
        code = strict_json.loads(answer.body).get("error", "")
    except (GovernanceError, AttributeError):
        return ""
    known = isinstance(code, str) and 0 < len(code) <= 60 and code.replace("_", "").isalnum()
    return f" ({code})" if known and code.isascii() else ""
