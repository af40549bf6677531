"""The keys that sign access tokens: files `tokens/<kid>.json` in the key folder.

The newest key signs. An older one verifies for a day longer, so that nothing issued under it
ends early. A process notices new files by the folder's time, so no rotation needs a restart.
Imports no Django and needs no database: the runner calls `ensure_signing_key` before either is
there.
"""

from __future__ import annotations

import json
import os
import threading
import time
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

from joserfc.errors import JoseError
from joserfc.jwk import OKPKey

from governance.kernel import private_file
from governance.kernel.errors import Unavailable

FOLDER = "tokens"
OVERLAP_SECONDS = 24 * 3600
# Two files made within one tick of the file system's clock leave the same time on the folder.
_TICK_NANOSECONDS = 1_000_000_000


class NoSigningKey(Unavailable):
    """Tokens have no key. Its operator makes one with `./muster rotate_token_key`."""

    code = "no_signing_key"


class BadKeyFile(Unavailable):
    """A key file of the tokens cannot be read."""

    code = "bad_key_file"


@dataclass(frozen=True, slots=True)
class SigningKey:
    """One Ed25519 key. `retired_at` is when a newer one took over plus the overlap, 0 for never.

    It verifies at once and signs from `signs_from` on (Unix seconds), so that every host has it
    before the first token under it comes.
    """

    kid: str
    made_at: int
    key: OKPKey
    retired_at: int = 0
    signs_from: int = 0


class Keyring:
    """The signing keys of one folder, read again whenever the folder changes.

    `generation` counts the readings: whoever remembers what a key said forgets it when it rises.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder / FOLDER
        self._path = str(self._folder)
        self._lock = threading.Lock()
        self._seen = -1
        self._current: tuple[int, tuple[SigningKey, ...]] = (0, ())

    def current(self) -> tuple[int, tuple[SigningKey, ...]]:
        """The generation and its keys, oldest first."""
        changed = self._changed_at()
        if changed != self._seen:
            self._read(changed)
        return self._current

    def signing_key(self) -> SigningKey:
        """The newest key that signs by now. Raises `NoSigningKey`."""
        now = time.time()
        keys = [key for key in self.current()[1] if key.signs_from <= now]
        if not keys:
            raise NoSigningKey()
        return keys[-1]

    def verifying_keys(self, now: float) -> tuple[SigningKey, ...]:
        """The newest key and those whose overlap has not passed at `now` (Unix seconds)."""
        return tuple(
            key for key in self.current()[1] if key.retired_at == 0 or now < key.retired_at
        )

    def _changed_at(self) -> int:
        try:
            return os.stat(self._path).st_mtime_ns  # noqa: PTH116 - at every request
        except OSError:
            return 0

    def _read(self, changed: int) -> None:
        with self._lock:
            keys = _read_keys(self._folder)
            generation, known = self._current
            if keys != known:
                self._current = (generation + 1, keys)
            fresh = time.time_ns() - changed < _TICK_NANOSECONDS
            self._seen = -1 if fresh else changed


@cache
def keyring(folder: Path) -> Keyring:
    """The one keyring of this process for `folder` (the key folder, not the tokens' in it)."""
    return Keyring(folder)


def public_jwks(ring: Keyring, now: float) -> dict[str, Any]:
    """The keys that verify at `now` as a JWK Set, the newest first."""
    return {
        "keys": [
            key.key.as_dict(private=False, kid=key.kid, use="sig", alg="EdDSA")
            for key in reversed(ring.verifying_keys(now))
        ]
    }


def ensure_signing_key(folder: Path) -> str:
    """Make the first key of `folder` (the key folder) if there is none; the newest one's id."""
    keys = _read_keys(folder / FOLDER)
    return keys[-1].kid if keys else make_signing_key(folder)


def make_signing_key(folder: Path) -> str:
    """Make a new key, which signs from now on, and return its id."""
    draft = draft_signing_key(folder)
    keep_signing_key(folder, draft)
    return draft.kid


def draft_signing_key(folder: Path, *, signs_in: int = 0) -> SigningKey:
    """A key that is newer than those in `folder`, and that signs nothing before it is kept, nor
    for `signs_in` seconds from now."""
    older = _read_keys(folder / FOLDER)
    made_at = max(int(time.time()), older[-1].made_at + 1 if older else 0)
    key = OKPKey.generate_key("Ed25519")
    signs_from = int(time.time()) + signs_in if signs_in else 0
    return SigningKey(key.thumbprint(), made_at, key, signs_from=signs_from)


def keep_signing_key(folder: Path, draft: SigningKey) -> None:
    """Write the key's file; delete those of keys that can verify nothing any more."""
    place = folder / FOLDER
    place.mkdir(mode=0o700, exist_ok=True)
    _give_to_owner_of(folder, place)
    later = {"signs_from": draft.signs_from} if draft.signs_from else {}
    content = {**draft.key.as_dict(private=True), "use": "sig", "made_at": draft.made_at, **later}
    path = place / f"{draft.kid}.json"
    private_file.write(path, json.dumps(content), for_owner_of_folder=True)
    for older in _read_keys(place):
        if older.retired_at and older.retired_at < draft.made_at:
            (place / f"{older.kid}.json").unlink()


def _read_keys(folder: Path) -> tuple[SigningKey, ...]:
    """Every key of `folder`, oldest first, each retired by the one after it."""
    keys: list[SigningKey] = []
    for key in sorted((_read_key(path) for path in folder.glob("*.json")), key=_age):
        if keys:
            took_over = max(key.made_at, key.signs_from)
            keys[-1] = replace(keys[-1], retired_at=took_over + OVERLAP_SECONDS)
        keys.append(key)
    return tuple(keys)


def _age(key: SigningKey) -> tuple[int, str]:
    return key.made_at, key.kid


def _read_key(path: Path) -> SigningKey:
    try:
        content = json.loads(path.read_text())
        # A key that was made elsewhere does not say when: it counts as the oldest.
        made_at, signs_from = (int(content.pop(name, 0)) for name in ("made_at", "signs_from"))
        key = OKPKey.import_key({**content, "kid": path.stem})
        if key.curve_name != "Ed25519" or not key.is_private or key.thumbprint() != path.stem:
            raise ValueError("it is not the private Ed25519 key that its name says")
    except (OSError, JoseError, ValueError, TypeError, KeyError, AttributeError) as error:
        # Whoever asks for a decision reads this: not where the file lies.
        why = error.strerror if isinstance(error, OSError) else error
        raise BadKeyFile(f"The key file {path.name} cannot be read: {why}.") from error
    return SigningKey(path.stem, made_at, key, signs_from=signs_from)


def _give_to_owner_of(model: Path, path: Path) -> None:
    """Started as root, files belong to whom the folder belongs: the process that reads them."""
    if os.geteuid() == 0:
        owner = model.stat()
        os.chown(path, owner.st_uid, owner.st_gid)
