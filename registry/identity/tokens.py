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
from datetime import datetime
from enum import StrEnum
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
_MAX_CHAIN = 4


class Use(StrEnum):
    """What a token is good for, as its `typ` says. None is taken for another.

    An access token asks for decisions. A grant token shows that a person lets an agent act for
    them, a hand-over that an agent handed something on; both are only exchanged.
    """

    ACCESS = TYPE
    GRANT = "grant+jwt"
    HAND_OVER = "hand-over+jwt"


# What no specification names `at+jwt` is no access token, whoever signed it.
_TYPES = {
    Use.ACCESS: frozenset({TYPE, f"application/{TYPE}"}),
    Use.GRANT: frozenset({str(Use.GRANT)}),
    Use.HAND_OVER: frozenset({str(Use.HAND_OVER)}),
}


@dataclass(frozen=True, slots=True)
class Acting:
    """For whom a token acts: the user's pseudonymous id, the grant and the link by their ids.

    Each is "" where there is none. `givers` are the agents it was handed on by, nearest first.
    """

    user: str = ""
    grant: str = ""
    delegation: str = ""
    givers: tuple[str, ...] = ()


FOR_ITSELF = Acting()


@dataclass(frozen=True, slots=True)
class VerifiedToken:
    """What a token that Muster signed says of its bearer, and of whom the bearer acts for."""

    client_id: str
    kind: str
    slug: str
    version: int
    jti: str
    scope: str
    expires_at: int
    acting: Acting = FOR_ITSELF
    use: Use = Use.ACCESS


@dataclass(frozen=True, slots=True)
class IssuedToken:
    """A token on its way out."""

    token: str
    jti: str
    scope: str
    expires_in: int
    use: Use = Use.ACCESS


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
    claims = {
        "aud": audience(),
        "sub": subject(kind=kind, slug=slug),
        "client_id": client_id,
        "scope": scope,
        "ver": version,
    }
    return _issue(claims, Use.ACCESS, LIFETIME_SECONDS)


def issue_acting_token(
    *,
    use: Use,
    client_id: str,
    slug: str,
    version: int,
    scope: str,
    acting: Acting,
    until: datetime,
) -> IssuedToken:
    """A signed token of an agent that acts for a user, or on what it was handed.

    It ends no later than `until`. Who calls this has read the rows, the grant and the link in the
    same transaction.
    """
    claims: dict[str, Any] = {
        "aud": audience_of(use, slug),
        "sub": acting.user or acting.givers[-1],
        "client_id": client_id,
        "scope": scope,
        "ver": version,
    }
    ids = {"grant": acting.grant, "delegation": acting.delegation}
    claims |= {name: value for name, value in ids.items() if value}
    claims |= acts_of(slug, acting, use)
    left = int((until - clock.now()).total_seconds())
    return _issue(claims, use, max(1, min(LIFETIME_SECONDS, left)))


def audience_of(use: Use, slug: str) -> str:
    """The one place where a token is good: decisions, the exchange, or one receiver's hands."""
    return {
        Use.ACCESS: audience(),
        Use.GRANT: f"{issuer()}/oauth/token",
        Use.HAND_OVER: slug,
    }[use]


def acts_of(slug: str, acting: Acting, use: Use = Use.ACCESS) -> dict[str, Any]:
    """Who acts (RFC 8693 section 4.1), or in a grant token who may (section 4.4).

    Without a user whoever began the chain is the subject, and so does not stand in `act` again.
    """
    if use is Use.GRANT:
        return {"may_act": {"sub": slug}}
    behind = acting.givers if acting.user else acting.givers[:-1]
    nested: dict[str, Any] = {}
    for name in (*reversed(behind), slug):
        nested = {"sub": name, **({"act": nested} if nested else {})}
    return {"act": nested}


def _issue(claims: dict[str, Any], use: Use, seconds: int) -> IssuedToken:
    now = int(clock.now().timestamp())
    key = ring().signing_key()
    jti = secrets.token_urlsafe(16)
    times = {"iss": issuer(), "iat": now, "exp": now + seconds, "jti": jti}
    body = json.dumps({**claims, **times}, separators=(",", ":")).encode()
    token = signatures.sign(body, key=key.key, kid=key.kid, typ=str(use))
    return IssuedToken(token, jti, str(claims["scope"]), seconds, use)


def verify_token(raw: str, use: Use = Use.ACCESS) -> VerifiedToken:
    """What `raw` says. Raises `NotSignedIn` with code `token_invalid` or `token_expired`.

    A token that was verified before costs one SHA-256, until it expires or a key changes.
    """
    now = int(clock.now().timestamp())
    if len(raw) > MAX_LENGTH or not raw.isascii():
        raise _invalid()
    generation, _ = ring().current()
    digest = hashlib.sha256(raw.encode()).digest()
    token = _remembered.get(digest, generation) or _verify(raw, use, now)
    if token.use is not use:
        raise _invalid()
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


def _verify(raw: str, use: Use, now: int) -> VerifiedToken:
    try:
        signed = signatures.verify(raw, [key.key for key in ring().verifying_keys(now)])
        claims = signed.claims()
        _claims_registry(now).validate(claims)
    except ExpiredTokenError as error:
        raise NotSignedIn("The token has expired. Get a new one.", code="token_expired") from error
    except (signatures.BadSignature, JoseError) as error:
        raise _invalid() from error
    if signed.header.get("typ") not in _TYPES[use] or not _well_typed(claims):
        raise _invalid()
    token = _token(claims, use)
    if claims["aud"] != audience_of(use, token.slug):
        raise _invalid()
    return token


def _claims_registry(now: int) -> JWTClaimsRegistry:
    required: dict[str, ClaimsOption] = {
        name: {"essential": True}
        for name in ("aud", "sub", "client_id", "iat", "exp", "jti", "scope", "ver")
    }
    required["iss"] = {"essential": True, "value": issuer()}
    registry = JWTClaimsRegistry(now=now, leeway=LEEWAY_SECONDS)
    registry.options = required
    return registry


def _well_typed(claims: dict[str, Any]) -> bool:
    texts = ("aud", "sub", "client_id", "jti", "scope")
    numbers = ("iat", "exp", "ver")
    return all(isinstance(claims[name], str) for name in texts) and all(
        type(claims[name]) is int for name in numbers
    )


def _token(claims: dict[str, Any], use: Use) -> VerifiedToken:
    kind, slug, acting = _bearer(claims, use)
    return VerifiedToken(
        client_id=claims["client_id"],
        kind=kind,
        slug=slug,
        version=claims["ver"],
        jti=claims["jti"],
        scope=claims["scope"],
        expires_at=claims["exp"],
        acting=acting,
        use=use,
    )


def _bearer(claims: dict[str, Any], use: Use) -> tuple[str, str, Acting]:
    """Who bears a token and for whom: itself, or as its actor claim says. All of it or nothing."""
    actor = "may_act" if use is Use.GRANT else "act"
    ids = {name: claims.get(name, "") for name in ("grant", "delegation")}
    if not all(isinstance(value, str) for value in ids.values()):
        raise _invalid()
    if actor not in claims:
        if use is not Use.ACCESS or any(ids.values()):
            raise _invalid()
        sub = claims["sub"]
        kind = GATEWAY if sub.startswith(_GATEWAY_PREFIX) else AGENT
        return kind, sub.removeprefix(_GATEWAY_PREFIX), FOR_ITSELF
    slug, *behind = _actors(claims[actor])
    user = claims["sub"] if ids["grant"] else ""
    givers = tuple(behind) if user else (*behind, claims["sub"])
    # A link has a giver, and givers have a link; in a grant token nobody has handed on yet.
    whole = bool(givers) == bool(ids["delegation"]) and (user or givers)
    if not whole or (use is Use.GRANT and givers) or (use is Use.HAND_OVER and not givers):
        raise _invalid()
    return AGENT, slug, Acting(user, ids["grant"], ids["delegation"], givers)


def _actors(claim: Any) -> list[str]:
    """The agents in a nested actor claim, from whoever acts now."""
    found: list[str] = []
    while claim is not None:
        if not isinstance(claim, dict) or not isinstance(claim.get("sub"), str):
            raise _invalid()
        if not claim["sub"] or len(found) == _MAX_CHAIN or claim.keys() - {"sub", "act"}:
            raise _invalid()
        found.append(claim["sub"])
        claim = claim.get("act")
    if not found:
        raise _invalid()
    return found


def _invalid() -> NotSignedIn:
    return NotSignedIn("The token is not one that Muster issued.", code="token_invalid")
