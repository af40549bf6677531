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
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from types import NoneType
from typing import Any
from uuid import UUID

import orjson
import rfc8785
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from audit.errors import NotRecordable, PayloadDamaged
from governance.kernel.randomness import take

KEY = 32
NONCE = 12
SALT = 32
MAX_PLAIN = 1_000_000


@dataclass(frozen=True, slots=True)
class Sealed:
    """One payload field as it is stored, and the digest that the body carries."""

    field: str
    nonce: bytes
    sealed: bytes
    digest: str


def new_salt() -> bytes:
    """A salt for one payload field."""
    return take(SALT)


def new_key() -> bytes:
    """A key for one record or one holder."""
    return take(KEY)


def canonical(value: Any) -> bytes:
    """`value` by RFC 8785. Raises `NotRecordable` for what has no such form."""
    if _is_plain(value):
        with suppress(orjson.JSONEncodeError):
            return orjson.dumps(value, option=_SORTED)
    try:
        return bytes(rfc8785.dumps(value))
    except (rfc8785.CanonicalizationError, UnicodeEncodeError, RecursionError) as error:
        raise NotRecordable(f"This has no canonical JSON form: {error}.") from error


# Integers beyond ±(2⁵³−1) are refused, as RFC 8785 does.
_SORTED = orjson.OPT_SORT_KEYS | orjson.OPT_STRICT_INTEGER
_LEAVES = frozenset({str, int, bool, NoneType})


def _is_plain(value: Any) -> bool:
    """Whether `orjson` writes the same bytes as `rfc8785`, which takes ten times as long.

    It does where there are no floats, and where keys are ASCII, so that both sort them alike.
    """
    waiting = [value]
    for item in waiting:  # which grows meanwhile
        kind = type(item)
        if kind in _LEAVES:
            continue
        if kind is dict:
            if not _has_plain_keys(item):
                return False
            waiting.extend(item.values())
        elif kind is list or kind is tuple:
            waiting.extend(item)
        elif not isinstance(item, str):
            return False
        if len(waiting) > MAX_PLAIN:  # as it is where something holds itself
            return False
    return True


def _has_plain_keys(item: dict[Any, Any]) -> bool:
    try:
        return "".join(item).isascii()
    except TypeError:
        return False


def digest(salt: bytes, raw: bytes) -> str:
    """What the body says of a payload whose canonical bytes are `raw`."""
    return hashlib.sha256(salt + raw).hexdigest()


def seal_field(*, key: bytes, record: UUID, field: str, raw: bytes, salt: bytes) -> Sealed:
    """Encrypt the canonical bytes of one payload field under the record's key."""
    nonce = take(NONCE)
    sealed = _cipher(key).encrypt(nonce, salt + raw, _field_data(record, field))
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
    nonce = take(NONCE)
    return nonce + _cipher(outer).encrypt(nonce, key, data)


@lru_cache(maxsize=256)
def _cipher(key: bytes) -> AESGCM:
    """One for each key: a record's key seals its fields, a holder's key wraps many records'."""
    return AESGCM(key)


def _unwrap(outer: bytes, wrapped: bytes, data: bytes) -> bytes:
    try:
        return AESGCM(outer).decrypt(wrapped[:NONCE], wrapped[NONCE:], data)
    except InvalidTag as error:
        raise PayloadDamaged() from error
