"""Bytes sealed under a key, and bound to what they are for: nonce ‖ AES-256-GCM.

The record's payloads have a layout of their own, which is final: `audit.payloads`.
"""

from __future__ import annotations

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from governance.kernel.randomness import take

NONCE = 12


class SealBroken(Exception):
    """What was sealed was altered, is for something else, or is under another key."""


def seal(key: bytes, plain: bytes, bound: bytes) -> bytes:
    """`plain` under `key` (32 bytes); it opens only with the same `bound`."""
    nonce = take(NONCE)
    return nonce + AESGCM(key).encrypt(nonce, plain, bound)


def unseal(key: bytes, sealed: bytes, bound: bytes) -> bytes:
    """What was sealed. Raises `SealBroken`."""
    try:
        return AESGCM(key).decrypt(sealed[:NONCE], sealed[NONCE:], bound)
    except (InvalidTag, ValueError) as error:
        raise SealBroken() from error
