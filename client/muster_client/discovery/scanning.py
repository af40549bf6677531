"""Looking through a folder."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator
from pathlib import Path

from . import configurations, dependencies, keys
from .findings import Finding, Found, printable
from .texts import Unreadable
from .walking import MOST_FILES, Walk

MOST_FINDINGS = 5000
Reader = Callable[[str, bytes], Iterator[Finding]]


def scan(root: Path, *, source: str, salt: bytes = b"", most: int = MOST_FILES) -> Found:
    """Everything that the files below `root` tell. Without a salt one is made and forgotten."""
    walk = Walk(root, most=most)
    under = salt or secrets.token_bytes(32)
    findings: list[Finding] = []
    for path, place in walk.files(lambda _, path: bool(_readers(path, under))):
        shown = printable(path, 500)
        raw = walk.read(place, shown)
        if raw is None:
            continue
        for reader in _readers(path, under):
            try:
                findings += list(reader(path, raw))
            except Unreadable as error:
                walk.told.append(f"{shown} was not read: {error}.")
        if len(findings) > MOST_FINDINGS:
            walk.told.append(f"Only the first {MOST_FINDINGS:,} findings are listed.")
            break
    return Found(source, tuple(findings[:MOST_FINDINGS]), tuple(dict.fromkeys(walk.told)))


def _readers(path: str, salt: bytes) -> list[Reader]:
    found = [configurations.reader_of(path), dependencies.reader_of(path)]
    if keys.is_env(path):
        found.append(lambda path, raw: keys.keys_in(path, raw, salt))
    return [each for each in found if each]
