"""The key files of an installation, made once and never changed by us."""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
from collections.abc import Callable

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from governance.kernel import secret_key
from governance.runner import accounts
from governance.runner.places import Places
from governance.runner.roles import write_private


def make(places: Places) -> None:
    """Make what is missing; the run-time account may read the keys and nobody else."""
    makers: dict[str, Callable[[], str]] = {
        "secret_key": secret_key.make,
        "kek": _random_key,
        "index_key": _random_key,
    }
    for name, made in makers.items():
        if not (places.keys / name).exists():
            write_private(places.keys / name, made())
    if not any((places.keys / "tokens").glob("*.json")):
        jwk = make_signing_key()
        write_private(places.keys / "tokens" / f"{jwk['kid']}.json", json.dumps(jwk))
    accounts.give(places.keys, accounts.for_run_time(places.data))


def make_signing_key() -> dict[str, str]:
    """A new private Ed25519 key as a JWK, named by its RFC 7638 thumbprint."""
    private = Ed25519PrivateKey.generate()
    public = {
        "crv": "Ed25519",
        "kty": "OKP",
        "x": _base64url(private.public_key().public_bytes_raw()),
    }
    canonical = json.dumps(public, separators=(",", ":"), sort_keys=True).encode()
    kid = _base64url(hashlib.sha256(canonical).digest())
    return {**public, "d": _base64url(private.private_bytes_raw()), "kid": kid, "use": "sig"}


def _random_key() -> str:
    return _base64url(secrets.token_bytes(32))


def _base64url(value: bytes) -> str:
    return base64.urlsafe_b64encode(value).rstrip(b"=").decode()
