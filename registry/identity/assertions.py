"""Client assertions: a client proves itself with its own private key (RFC 7523 section 2.2)."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from joserfc.errors import JoseError
from joserfc.jwt import JWTClaimsRegistry

from governance.kernel.errors import NotSignedIn
from registry.identity import signatures
from registry.identity.tokens import LEEWAY_SECONDS

TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
MAX_AGE_SECONDS = 300
MAX_JTI_LENGTH = 255


class BadAssertion(NotSignedIn):
    """The client assertion does not hold."""

    code = "bad_assertion"


@dataclass(frozen=True, slots=True)
class Assertion:
    """What is kept of an assertion, so that it is never taken twice."""

    jti: str
    expires_at: datetime


def claimed_client_id(raw: str) -> str:
    """Whom an unchecked assertion speaks of. Raises `BadAssertion`."""
    try:
        subject = signatures.read_unverified(raw).get("sub")
    except signatures.BadSignature as error:
        raise BadAssertion(_sentence(error.message)) from error
    if not isinstance(subject, str) or not subject:
        raise BadAssertion("The client assertion has no sub.")
    return subject


def verify_assertion(
    raw: str, *, client_id: str, jwks: dict[str, Any], audiences: Collection[str], now: datetime
) -> Assertion:
    """Check everything about an assertion but whether it was used before.

    Raises `BadAssertion`, whose sentence the client may see.
    """
    try:
        signed = signatures.verify(raw, signatures.import_jwks(jwks) if jwks else [])
        claims = signed.claims()
        _registry(client_id, audiences, now).validate(claims)
    except (signatures.BadSignature, signatures.BadKey) as error:
        raise BadAssertion(_sentence(error.message)) from error
    except JoseError as error:
        raise BadAssertion(f"The claims of the client assertion do not hold: {error}.") from error
    if claims["exp"] - now.timestamp() > MAX_AGE_SECONDS + LEEWAY_SECONDS:
        raise BadAssertion(f"The client assertion runs longer than {MAX_AGE_SECONDS} seconds.")
    if not 0 < len(claims["jti"]) <= MAX_JTI_LENGTH or not claims["jti"].isprintable():
        raise BadAssertion(f"The jti must be 1 to {MAX_JTI_LENGTH} printable characters.")
    return Assertion(claims["jti"], _expiry(claims["exp"]))


def _expiry(exp: float) -> datetime:
    """When the assertion can no longer be taken, so that its jti may be forgotten."""
    return datetime.fromtimestamp(exp + 2 * LEEWAY_SECONDS, UTC)


def _registry(client_id: str, audiences: Collection[str], now: datetime) -> JWTClaimsRegistry:
    return JWTClaimsRegistry(
        now=int(now.timestamp()),
        leeway=LEEWAY_SECONDS,
        iss={"essential": True, "value": client_id},
        sub={"essential": True, "value": client_id},
        aud={"essential": True, "values": list(audiences)},
        exp={"essential": True},
        jti={"essential": True},
    )


def _sentence(message: str) -> str:
    return f"The client assertion is refused. {message}"
