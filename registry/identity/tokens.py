"""Access tokens (RFC 9068): made, and verified without a database.

A verified token says who its bearer was when it was issued. Whether that still holds (the row,
the client's version, a revocation) is compared by whoever reads the facts: the decision with its
slices, everything else through `clients.bearer_of`.
"""

from __future__ import annotations

import hashlib
import json
import secrets
import threading
from collections import OrderedDict
from dataclasses import dataclass
from typing import Any

from django.conf import settings
from joserfc.errors import ExpiredTokenError, JoseError
from joserfc.jwt import ClaimsOption, JWTClaimsRegistry

from governance.kernel import clock
from governance.kernel import keys as kernel_keys
from governance.kernel.errors import NotSignedIn
from registry.identity import signatures
from registry.identity.keys import Keyring, keyring

TYPE = "at+jwt"
LIFETIME_SECONDS = 600
LEEWAY_SECONDS = 30
MAX_LENGTH = 4096
SCOPES = ("decide",)
AGENT = "agent"
GATEWAY = "gateway"
_GATEWAY_PREFIX = "gateway:"
_MAX_REMEMBERED = 16_384
# What no specification names `at+jwt` is no access token, whoever signed it.
_TYPES = frozenset({TYPE, f"application/{TYPE}"})


@dataclass(frozen=True, slots=True)
class VerifiedToken:
    """What a token that Muster signed says of its bearer."""

    client_id: str
    kind: str
    slug: str
    version: int
    jti: str
    scope: str
    expires_at: int


@dataclass(frozen=True, slots=True)
class IssuedToken:
    """A token on its way out."""

    token: str
    jti: str
    scope: str
    expires_in: int


def issuer() -> str:
    """Who signs: `MUSTER_BASE_URL`."""
    return str(settings.MUSTER_BASE_URL)


def audience() -> str:
    """Whom tokens are for: Muster's decision API."""
    return f"{issuer()}/access"


def subject(*, kind: str, slug: str) -> str:
    """The `sub` of a row: an agent's slug, or `gateway:` and a gateway's. No slug has a colon."""
    return f"{_GATEWAY_PREFIX}{slug}" if kind == GATEWAY else slug


def ring() -> Keyring:
    """This installation's signing keys."""
    return keyring(kernel_keys.folder())


def issue_token(*, client_id: str, kind: str, slug: str, version: int, scope: str) -> IssuedToken:
    """A signed token. Who calls this has read the row in the same transaction."""
    now = int(clock.now().timestamp())
    key = ring().signing_key()
    jti = secrets.token_urlsafe(16)
    claims = {
        "iss": issuer(),
        "aud": audience(),
        "sub": subject(kind=kind, slug=slug),
        "client_id": client_id,
        "iat": now,
        "exp": now + LIFETIME_SECONDS,
        "jti": jti,
        "scope": scope,
        "ver": version,
    }
    body = json.dumps(claims, separators=(",", ":")).encode()
    token = signatures.sign(body, key=key.key, kid=key.kid, typ=TYPE)
    return IssuedToken(token, jti, scope, LIFETIME_SECONDS)


def verify_token(raw: str) -> VerifiedToken:
    """What `raw` says. Raises `NotSignedIn` with code `token_invalid` or `token_expired`.

    A token that was verified before costs one SHA-256, until it expires or a key changes.
    """
    now = int(clock.now().timestamp())
    if len(raw) > MAX_LENGTH or not raw.isascii():
        raise _invalid()
    generation, _ = ring().current()
    digest = hashlib.sha256(raw.encode()).digest()
    token = _remembered.get(digest, generation) or _verify(raw, now)
    if token.expires_at + LEEWAY_SECONDS <= now:
        raise NotSignedIn("The token has expired. Get a new one.", code="token_expired")
    _remembered.put(digest, generation, token)
    return token


def authenticate(authorization: str) -> VerifiedToken:
    """The token of an Authorization header (RFC 6750). Raises `NotSignedIn`.

    Codes: `no_token` when none was presented, else those of `verify_token`.
    """
    scheme, _, raw = authorization.partition(" ")
    if scheme.lower() != "bearer":
        raise NotSignedIn("Send a token: Authorization: Bearer …", code="no_token")
    token = verify_token(raw.strip(" "))
    if "decide" not in token.scope.split():
        raise _invalid()
    return token


def challenge(error: NotSignedIn) -> str:
    """The WWW-Authenticate header that goes with `error` (RFC 6750 section 3)."""
    if error.code == "no_token":
        return 'Bearer realm="muster"'
    return f'Bearer realm="muster", error="invalid_token", error_description="{error.message}"'


def forget() -> None:
    """Forget every token that was verified in this process."""
    _remembered.clear()


class _Remembered:
    """Tokens verified in this process, by digest; the longest unused dropped first."""

    def __init__(self) -> None:
        self._tokens: OrderedDict[bytes, tuple[int, VerifiedToken]] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, digest: bytes, generation: int) -> VerifiedToken | None:
        with self._lock:
            kept, token = self._tokens.get(digest, (None, None))
            return token if kept == generation else None

    def put(self, digest: bytes, generation: int, token: VerifiedToken) -> None:
        with self._lock:
            self._tokens[digest] = (generation, token)
            self._tokens.move_to_end(digest)
            if len(self._tokens) > _MAX_REMEMBERED:
                self._tokens.popitem(last=False)

    def clear(self) -> None:
        with self._lock:
            self._tokens.clear()


_remembered = _Remembered()


def _verify(raw: str, now: int) -> VerifiedToken:
    try:
        signed = signatures.verify(raw, [key.key for key in ring().verifying_keys(now)])
        claims = signed.claims()
        _claims_registry(now).validate(claims)
    except ExpiredTokenError as error:
        raise NotSignedIn("The token has expired. Get a new one.", code="token_expired") from error
    except (signatures.BadSignature, JoseError) as error:
        raise _invalid() from error
    if signed.header.get("typ") not in _TYPES or not _well_typed(claims):
        raise _invalid()
    return _token(claims)


def _claims_registry(now: int) -> JWTClaimsRegistry:
    required: dict[str, ClaimsOption] = {
        name: {"essential": True}
        for name in ("sub", "client_id", "iat", "exp", "jti", "scope", "ver")
    }
    required["iss"] = {"essential": True, "value": issuer()}
    required["aud"] = {"essential": True, "value": audience()}
    registry = JWTClaimsRegistry(now=now, leeway=LEEWAY_SECONDS)
    registry.options = required
    return registry


def _well_typed(claims: dict[str, Any]) -> bool:
    texts = ("aud", "sub", "client_id", "jti", "scope")
    numbers = ("iat", "exp", "ver")
    return all(isinstance(claims[name], str) for name in texts) and all(
        type(claims[name]) is int for name in numbers
    )


def _token(claims: dict[str, Any]) -> VerifiedToken:
    sub = claims["sub"]
    kind = GATEWAY if sub.startswith(_GATEWAY_PREFIX) else AGENT
    return VerifiedToken(
        client_id=claims["client_id"],
        kind=kind,
        slug=sub.removeprefix(_GATEWAY_PREFIX),
        version=claims["ver"],
        jti=claims["jti"],
        scope=claims["scope"],
        expires_at=claims["exp"],
    )


def _invalid() -> NotSignedIn:
    return NotSignedIn("The token is not one that Muster issued.", code="token_invalid")
