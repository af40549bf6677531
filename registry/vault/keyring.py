"""The key-encryption keys of the embedded vault. They lie outside the database.

In the file `vault_kek` of the key folder, or in the environment (`MUSTER_VAULT_KEY`): the first
wraps, the others still unwrap. More than one is there only while a rotation is under way. The
file is read again whenever it changes, so no rotation needs a restart.
"""

from __future__ import annotations

import base64
import binascii
import threading
from pathlib import Path

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured

from governance.kernel import keys, private_file
from registry.vault.envelope import KEY, VaultKey, vault_key
from registry.vault.errors import WrongVaultKey

FILE = "vault_kek"

Stamp = tuple[str, int, int, int]


class _Ring:
    """The keys as they were read last, and what the file looked like then."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._seen: Stamp | None = None
        self._keys: tuple[bytes, ...] = ()

    def keys(self) -> tuple[bytes, ...]:
        if settings.MUSTER_VAULT_KEY:
            return read(settings.MUSTER_VAULT_KEY.replace(",", "\n"), "MUSTER_VAULT_KEY")
        stamp = _stamp()
        with self._lock:
            if stamp is None or stamp != self._seen:
                self._keys = read(_text(), str(path()))
                self._seen = stamp
            return self._keys


_ring = _Ring()


def path() -> Path:
    """Where the key file lies."""
    return keys.folder() / FILE


def raw_keys() -> tuple[bytes, ...]:
    """The keys as they are, the one that wraps first. Raises `ImproperlyConfigured`."""
    return _ring.keys()


def current() -> VaultKey:
    """The key that wraps from now on. Raises `WrongVaultKey` where there is none."""
    return _known()[0]


def named(key_id: str) -> VaultKey:
    """The key that something was wrapped under. Raises `WrongVaultKey`."""
    for key in _known():
        if key.id == key_id:
            return key
    raise WrongVaultKey()


def _known() -> tuple[VaultKey, ...]:
    try:
        return tuple(map(vault_key, raw_keys()))
    except ImproperlyConfigured as error:
        raise WrongVaultKey(f"The vault has no key: {error}") from error


def read(text: str, name: str) -> tuple[bytes, ...]:
    """One key a line, base64url. Raises `ImproperlyConfigured`, naming where it stands."""
    found = tuple(_decoded(line, name) for line in text.split() if line)
    if not found:
        raise ImproperlyConfigured(f"{name} holds no key.")
    return found


def _decoded(line: str, name: str) -> bytes:
    try:
        key = base64.b64decode(line + "=" * (-len(line) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if len(key) != KEY:
        raise ImproperlyConfigured(f"{name} must hold {KEY} bytes in base64url on each line.")
    return key


def write(found: tuple[bytes, ...]) -> None:
    """Put these keys into the file, whole or not at all, for its owner alone."""
    lines = (base64.urlsafe_b64encode(key).rstrip(b"=").decode() + "\n" for key in found)
    private_file.write(path(), "".join(lines), for_owner_of_folder=True)


def _stamp() -> Stamp | None:
    try:
        found = path().stat()
    except OSError:
        return None
    return str(path()), found.st_mtime_ns, found.st_ino, found.st_size


def _text() -> str:
    try:
        return path().read_text()
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "it is no text"
        raise ImproperlyConfigured(f"{path()} cannot be read: {reason}.") from error
