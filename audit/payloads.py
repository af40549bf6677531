"""Payloads: sealed under one key per record, which is wrapped under its holder's key.

    payload  AES-256-GCM(record key, salt (32) ‖ RFC 8785 bytes),  AAD = record id (16) ‖ field
    wrap     AES-256-GCM(holder key, record key),                  AAD = holder ‖ record id (16)
    holder   AES-256-GCM(key-encryption key, holder key),          AAD = holder

A wrap is stored as nonce (12) ‖ ciphertext (48). Whoever deletes a holder's key makes all that
it wrapped unreadable, while every digest in every body stays valid.
"""

from __future__ import annotations

import hashlib
import json
import secrets
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import rfc8785
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from audit.errors import NotRecordable, PayloadDamaged

NONCE = 12
SALT = 32


@dataclass(frozen=True, slots=True)
class Sealed:
    """One payload field as it is stored, and the digest that the body carries."""

    field: str
    nonce: bytes
    sealed: bytes
    digest: str


def new_salt() -> bytes:
    """A salt for one payload field."""
    return secrets.token_bytes(SALT)


def new_key() -> bytes:
    """A key for one record or one holder."""
    return AESGCM.generate_key(256)


def canonical(value: Any) -> bytes:
    """`value` by RFC 8785. Raises `NotRecordable` for what has no such form."""
    quick = _quickly_canonical(value)
    if quick is not None:
        return quick
    try:
        return bytes(rfc8785.dumps(value))
    except (rfc8785.CanonicalizationError, UnicodeEncodeError, RecursionError) as error:
        raise NotRecordable(f"This has no canonical JSON form: {error}.") from error


def _quickly_canonical(value: Any) -> bytes | None:
    """The same bytes as from `rfc8785`, ten times sooner, where that is certain; else None.

    The standard library writes strings and small integers as RFC 8785 asks, and sorts keys alike
    while no character lies beyond the surrogates. Reading the text back shows everything else:
    a float, a large integer, a key that is no string, a tuple.
    """
    try:
        text = _write(value)
        if not text.isascii() and max(text) >= "\ud800":
            return None
        return text.encode() if _read(text) == value else None
    except (TypeError, ValueError, RecursionError):
        return None


def _no_float(digits: str) -> float:
    raise ValueError(digits)


def _small_integer(digits: str) -> int:
    if len(digits) > 15:
        raise ValueError(digits)
    return int(digits)


_write = json.JSONEncoder(
    ensure_ascii=False, allow_nan=False, sort_keys=True, separators=(",", ":")
).encode
_read = json.JSONDecoder(parse_float=_no_float, parse_int=_small_integer).decode


def digest(salt: bytes, raw: bytes) -> str:
    """What the body says of a payload whose canonical bytes are `raw`."""
    return hashlib.sha256(salt + raw).hexdigest()


def seal_field(*, key: bytes, record: UUID, field: str, raw: bytes, salt: bytes) -> Sealed:
    """Encrypt the canonical bytes of one payload field under the record's key."""
    nonce = secrets.token_bytes(NONCE)
    sealed = AESGCM(key).encrypt(nonce, salt + raw, _field_data(record, field))
    return Sealed(field, nonce, sealed, digest(salt, raw))


def open_field(
    *, key: bytes, record: UUID, field: str, nonce: bytes, sealed: bytes
) -> tuple[bytes, Any]:
    """The salt and the value of a stored payload field. Raises `PayloadDamaged`."""
    try:
        plain = AESGCM(key).decrypt(nonce, sealed, _field_data(record, field))
    except InvalidTag as error:
        raise PayloadDamaged() from error
    return plain[:SALT], json.loads(plain[SALT:])


def wrap_record_key(*, holder_key: bytes, holder: str, record: UUID, key: bytes) -> bytes:
    """The record's key, wrapped under its holder's."""
    return _wrap(holder_key, key, holder.encode() + record.bytes)


def unwrap_record_key(*, holder_key: bytes, holder: str, record: UUID, wrapped: bytes) -> bytes:
    """The record's key. Raises `PayloadDamaged` for a wrap of another holder or record."""
    return _unwrap(holder_key, wrapped, holder.encode() + record.bytes)


def wrap_holder_key(*, kek: bytes, holder: str, key: bytes) -> bytes:
    """A holder's key, wrapped under the key that lies outside the database."""
    return _wrap(kek, key, holder.encode())


def unwrap_holder_key(*, kek: bytes, holder: str, wrapped: bytes) -> bytes:
    """A holder's key. Raises `PayloadDamaged`."""
    return _unwrap(kek, wrapped, holder.encode())


def _field_data(record: UUID, field: str) -> bytes:
    return record.bytes + field.encode()


def _wrap(outer: bytes, key: bytes, data: bytes) -> bytes:
    nonce = secrets.token_bytes(NONCE)
    return nonce + AESGCM(outer).encrypt(nonce, key, data)


def _unwrap(outer: bytes, wrapped: bytes, data: bytes) -> bytes:
    try:
        return AESGCM(outer).decrypt(wrapped[:NONCE], wrapped[NONCE:], data)
    except InvalidTag as error:
        raise PayloadDamaged() from error
