"""Envelope encryption: AES-256-GCM under a data key, which is wrapped under another key.

Pure: bytes to bytes. What is sealed is bound to what it is for (agent, reference, version), so
that a row moved or renamed in the database does not open.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from governance.kernel import sealing
from governance.kernel.randomness import take
from governance.kernel.sealing import SealBroken
from registry.vault.errors import SecretDamaged

KEY = 32
ID_BYTES = 8


def derived(key: bytes, purpose: str, length: int = KEY) -> bytes:
    """A key for one purpose, which tells nothing of any other (RFC 5869)."""
    info = f"muster vault {purpose} v1".encode()
    return HKDF(algorithm=SHA256(), length=length, salt=None, info=info).derive(key)


@dataclass(frozen=True, slots=True, repr=False)
class VaultKey:
    """A key-encryption key: what it is called, and what wraps with it."""

    id: str
    wrapping: bytes


@lru_cache(maxsize=64)
def vault_key(raw: bytes) -> VaultKey:
    """The id says which key it is and nothing of it."""
    return VaultKey(derived(raw, "id", ID_BYTES).hex(), derived(raw, "wrap"))


def new_data_key() -> bytes:
    return take(KEY)


def wrap(key: VaultKey, data_key: bytes, agent: str, reference: str) -> bytes:
    """A data key under a key-encryption key."""
    return sealing.seal(key.wrapping, data_key, _bound("key", agent, reference, key.id))


def unwrap(key: VaultKey, wrapped: bytes, agent: str, reference: str) -> bytes:
    """The data key. Raises `SecretDamaged`."""
    return _open(key.wrapping, wrapped, _bound("key", agent, reference, key.id))


def seal(data_key: bytes, value: bytes, agent: str, reference: str, version: int) -> bytes:
    """Nonce and ciphertext of a value."""
    key = derived(data_key, "seal")
    return sealing.seal(key, value, _bound("value", agent, reference, str(version)))


def unseal(data_key: bytes, sealed: bytes, agent: str, reference: str, version: int) -> bytes:
    """The value. Raises `SecretDamaged` for one of another agent, reference or version."""
    key = derived(data_key, "seal")
    return _open(key, sealed, _bound("value", agent, reference, str(version)))


def _bound(*parts: str) -> bytes:
    """Each part with its length before it, so that no two lists read the same."""
    raw = [part.encode() for part in ("muster vault", *parts)]
    return b"".join(len(each).to_bytes(4) + each for each in raw)


def _open(key: bytes, sealed: bytes, data: bytes) -> bytes:
    try:
        return sealing.unseal(key, sealed, data)
    except SealBroken as error:
        raise SecretDamaged() from error
