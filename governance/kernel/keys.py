"""Keys that lie in files outside the database: one folder, one file a key, read once.

The folder is `MUSTER_KEYS`. `./muster up` makes the files; nothing here writes them.
"""

from __future__ import annotations

import base64
import binascii
from functools import cache
from pathlib import Path

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured


def folder() -> Path:
    """The folder that holds this installation's keys."""
    return _path(str(settings.MUSTER_KEYS))


@cache
def _path(name: str) -> Path:
    """One object for each name: what is kept by it finds it without making its hash again."""
    return Path(name)


@cache
def kek() -> bytes:
    """The key-encryption key (32 bytes) that wraps every holder's payload key."""
    return _read_key("kek")


@cache
def index_key() -> bytes:
    """The key (32 bytes) of the HMAC under which personal resource ids are stored."""
    return _read_key("index_key")


@cache
def receipt_key() -> bytes:
    """The seed (32 bytes) of the key that signs receipts. The sealer's key is in no such folder."""
    return _read_key("receipt_key")


@cache
def origin() -> str:
    """The name of this installation's log, the same for good."""
    path = folder() / "origin"
    try:
        return path.read_text().strip()
    except OSError as error:
        raise ImproperlyConfigured(f"The file {path} cannot be read: {error}.") from error


@cache
def derived(purpose: str) -> bytes:
    """A key (32 bytes) for one purpose, which tells nothing of any other (RFC 5869)."""
    info = f"muster {purpose}".encode()
    return HKDF(algorithm=SHA256(), length=32, salt=None, info=info).derive(kek())


def _read_key(name: str) -> bytes:
    path = folder() / name
    try:
        text = path.read_text().strip()
        key = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    except (OSError, binascii.Error) as error:
        raise ImproperlyConfigured(f"The key file {path} cannot be read: {error}.") from error
    if len(key) != 32:
        raise ImproperlyConfigured(f"The key file {path} must hold 32 bytes, not {len(key)}.")
    return key
