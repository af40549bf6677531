"""The key that signs bundles. It follows from the key-encryption key, outside the database."""

from __future__ import annotations

import hashlib
from functools import cache

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from governance.kernel import keys

PURPOSE = "signature of evidence bundles"


@cache
def _key() -> Ed25519PrivateKey:
    return Ed25519PrivateKey.from_private_bytes(keys.derived(PURPOSE))


def sign(content: bytes) -> bytes:
    """An Ed25519 signature (RFC 8032) of 64 bytes."""
    return _key().sign(content)


def public_key() -> bytes:
    """The public half, as PEM."""
    return (
        _key()
        .public_key()
        .public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    )


def fingerprint() -> str:
    """The SHA-256 of the public key's file, by which people compare it."""
    return hashlib.sha256(public_key()).hexdigest()
