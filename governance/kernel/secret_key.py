"""The shape of the key that signs sessions and links.

Nobody can tell a well-known key from a secret one by looking at it: published lists hold long
keys of perfect entropy. So a key carries a checksum that only `./muster key` puts there. A key
copied from a tutorial, a sample file or another product does not have it and is refused.
"""

from __future__ import annotations

import hashlib
import secrets

PREFIX = "muster-key-"
SECRET_BYTES = 48
MIN_LENGTH = 50
MIN_DIFFERENT = 20
CHECKSUM_LENGTH = 12


def make() -> str:
    """A new key: prefix, 48 random bytes, checksum."""
    body = PREFIX + secrets.token_urlsafe(SECRET_BYTES)
    return f"{body}.{_checksum(body)}"


def fault(key: str) -> str:
    """Why `key` may not be used, as a sentence; empty when it may."""
    body, _, checksum = key.rpartition(".")
    if len(key) < MIN_LENGTH:
        return f"it has {len(key)} characters, and {MIN_LENGTH} are the least."
    if len(set(key.removeprefix(PREFIX))) < MIN_DIFFERENT:
        return f"it has fewer than {MIN_DIFFERENT} different characters."
    if not body.startswith(PREFIX) or not secrets.compare_digest(
        checksum.encode(), _checksum(body).encode()
    ):
        return "it was not made by Muster, so it may be known to others. `./muster key` makes one."
    return ""


def _checksum(body: str) -> str:
    return hashlib.sha256(body.encode()).hexdigest()[:CHECKSUM_LENGTH]
