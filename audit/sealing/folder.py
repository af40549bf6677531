"""The sealer's own folder: its key, the last checkpoint that it signed, what was given up.

It lies outside of the database and belongs to the sealer's account. A restored dump does not
bring it back to what it was, and that is what it is for.
"""

from __future__ import annotations

import base64
import json
import os
import secrets
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from audit.sealing import notes
from audit.sealing.notes import BadNote, Checkpoint, Signer, Verifier

SEED_BYTES = 32
MAX_NOTE_BYTES = 64 * 1024


class Refused(Exception):
    """The sealer does not start; the text says why and what to do."""


@dataclass(frozen=True)
class Folder:
    """The files of one sealer, and the folder in which others leave what is anchored."""

    path: Path
    anchored: Path
    origin: str

    @property
    def key(self) -> Path:
        return self.path / "key"

    @property
    def next_key(self) -> Path:
        return self.path / "key.next"

    @property
    def vkeys(self) -> Path:
        return self.path / "vkeys"

    @property
    def last(self) -> Path:
        return self.path / "last.note"

    @property
    def given_up(self) -> Path:
        return self.path / "given_up.json"

    @property
    def accepting(self) -> Path:
        """Why an operator accepts the database as it is; taken away when that was done."""
        return self.path / "accept"

    def open(self) -> None:
        """Make what is missing. Raises `Refused` for another log's, or where others may look in."""
        try:
            self.path.mkdir(mode=0o700, exist_ok=True)
            if self.path.stat().st_mode & 0o077:
                raise Refused(
                    f"Other accounts may open the sealer's folder {self.path}: chmod 700."
                )
            self._claim()
            if not self.key.exists():
                write(self.key, _base64url(secrets.token_bytes(SEED_BYTES)))
            self._note_vkey()
        except OSError as error:
            raise Refused(f"The sealer's folder cannot be used: {error}") from error

    def _claim(self) -> None:
        """The origin stands in every checkpoint, so it is the first one for good."""
        named = self.path / "origin"
        if not named.exists():
            write(named, self.origin)
        if (first := named.read_text().strip()) != self.origin:
            raise Refused(f"This folder seals the log {first}, not {self.origin}.")

    def _note_vkey(self) -> None:
        """Keep the public half of every key that signed here."""
        known, ours = self.verifiers(), self.signer().verifier
        if ours not in known:
            write(self.vkeys, "".join(f"{each.vkey}\n" for each in [*known, ours]))

    def verifiers(self) -> list[Verifier]:
        """The public keys under which this sealer has ever signed."""
        lines = self.vkeys.read_text().splitlines() if self.vkeys.exists() else []
        return [notes.read_vkey(line) for line in lines]

    def signer(self) -> Signer:
        return self._signer(self.key)

    def make_next_key(self) -> None:
        """Ask for a rotation: the running sealer takes the new key over at its next pass."""
        write(self.next_key, _base64url(secrets.token_bytes(SEED_BYTES)))

    def next_signer(self) -> Signer | None:
        """The key that a rotation made, until it is taken over."""
        return self._signer(self.next_key) if self.next_key.exists() else None

    def take_over(self) -> None:
        """The next key is the key from now on; the old one is gone for good."""
        self.next_key.replace(self.key)
        _sync(self.path)
        self._note_vkey()

    def keep(self, note: str) -> None:
        """Remember the last checkpoint that was committed."""
        write(self.last, note)

    def known(self, more: Iterable[Checkpoint] = ()) -> list[Checkpoint]:
        """Every checkpoint that is known from outside, and `more`, but those that were given up.

        What others left is believed only where one of our keys signed it.
        """
        gone = self._gone()
        found = [*self._own(), *_read(sorted(self._left()), self.verifiers()), *more]
        return [each for each in found if [each.size, each.root.hex()] not in gone]

    def give_up(self, checkpoints: Iterable[Checkpoint]) -> None:
        """From now on these bind nobody here. Whoever keeps them outside still has them."""
        more = [[each.size, each.root.hex()] for each in checkpoints]
        write(self.given_up, json.dumps([*self._gone(), *more]))

    def _own(self) -> list[Checkpoint]:
        if not self.last.exists():
            return []
        try:
            return [notes.read_checkpoint(self.last.read_text().partition("\n\n")[0] + "\n")]
        except (OSError, ValueError) as error:
            raise Refused(f"The last checkpoint {self.last} cannot be read: {error}") from error

    def _left(self) -> Iterable[Path]:
        with suppress(OSError):
            return list(self.anchored.glob("*.note"))
        return []

    def _gone(self) -> list[list[object]]:
        if not self.given_up.exists():
            return []
        found: list[list[object]] = json.loads(self.given_up.read_text())
        return found

    def _signer(self, path: Path) -> Signer:
        try:
            if path.stat().st_mode & 0o077:
                raise Refused(f"Other accounts may read {path}: chmod 600 it.")
            text = path.read_text().strip()
            seed = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
            return Signer.of_seed(self.origin, seed)
        except (OSError, ValueError) as error:
            raise Refused(f"The key file {path} cannot be read: {error}.") from error


def write(path: Path, text: str) -> None:
    """Write `text` so that no one else can read it at any moment, and never half."""
    draft = path.with_name(path.name + ".new")
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)
    _sync(path.parent)


def _sync(folder: Path) -> None:
    opened = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)


def _read(paths: Iterable[Path], keys: Sequence[Verifier]) -> Iterable[Checkpoint]:
    for path in paths:
        with suppress(OSError, UnicodeDecodeError, BadNote):
            if path.stat().st_size <= MAX_NOTE_BYTES:
                yield notes.open_checkpoint(path.read_text(), keys)


def _base64url(value: bytes) -> str:
    return base64.urlsafe_b64encode(value).rstrip(b"=").decode()
