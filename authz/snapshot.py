"""The snapshot that the first nine checks read, kept in this process slice by slice.

A kept slice is used without asking the database: `authz.decide_batch` compares its revision at
the request's turn, and one that changed is dropped and read again. What the record needs to
judge again later, the slice's canonical bytes, is kept once by digest. Personal facts are not
among those bytes: a salted digest stands for them, and they go into the record's payload.
"""

from __future__ import annotations

import hashlib
import secrets
import threading
from collections import OrderedDict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from audit import services as audit
from audit.payloads import canonical
from authz import slices, timekeeper
from authz.engine.types import Slice

WORLD = slices.WORLD
MAX_HELD = 4096
SALT_BYTES = 32


@dataclass(frozen=True, slots=True)
class Held:
    """One slice as this process keeps it; `slice` is None where there is no such row.

    `facts` is what the kept document has only as a digest, with the salt of that digest.
    """

    key: str
    revision: int
    slice: Slice | None
    facts: Mapping[str, Any] = field(default_factory=dict)

    @property
    def digest(self) -> str:
        """The digest under which the document is kept, "" where there is none."""
        return self.slice.digest if self.slice else ""


class _Cache:
    """Slices by key, the longest unused dropped first; the world is never among those."""

    def __init__(self) -> None:
        self._held: OrderedDict[str, Held] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, key: str) -> Held | None:
        with self._lock:
            if key in self._held:
                self._held.move_to_end(key)
            return self._held.get(key)

    def put(self, held: Held) -> None:
        with self._lock:
            self._held[held.key] = held
            self._held.move_to_end(held.key)
            while len(self._held) > MAX_HELD:
                oldest = next(key for key in self._held if key != WORLD)
                del self._held[oldest]

    def drop(self, keys: Iterable[str]) -> None:
        with self._lock:
            for key in keys:
                self._held.pop(key, None)

    def clear(self) -> None:
        with self._lock:
            self._held.clear()


_cache = _Cache()


def load(keys: Iterable[str]) -> dict[str, Held]:
    """The slices under `keys`, read where this process does not hold them."""
    wanted = list(dict.fromkeys(keys))
    found = {key: held for key in wanted if (held := _cache.get(key)) is not None}
    missing = [key for key in wanted if key not in found]
    if missing:
        for each in slices.read(missing):
            timekeeper.observe(each.at)
            found[each.key] = _hold(each)
    return found


def drop(keys: Iterable[str]) -> None:
    """Forget these slices: the next decision reads them again."""
    _cache.drop(keys)


def forget() -> None:
    """Forget everything, as after the database itself was replaced."""
    _cache.clear()


def _hold(each: slices.Read) -> Held:
    if each.document is None:
        held = Held(each.key, each.revision, None)
    else:
        kept, facts = _without_personal(each.document)
        digest = audit.keep_slice(canonical(kept)).hex()
        held = Held(
            each.key, each.revision, Slice(each.key, each.revision, digest, each.document), facts
        )
    _cache.put(held)
    return held


def _without_personal(document: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """The document as it is kept, and what was taken out of it."""
    if "personal" not in document:
        return document, {}
    salt, personal = secrets.token_bytes(SALT_BYTES), document["personal"]
    digest = hashlib.sha256(salt + canonical(personal)).hexdigest()
    kept = {name: value for name, value in document.items() if name != "personal"}
    return {**kept, "personal_digest": digest}, {"salt": salt.hex(), "personal": personal}
