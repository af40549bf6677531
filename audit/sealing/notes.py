"""Signed notes and checkpoints of C2SP (c2sp.org/signed-note, c2sp.org/tlog-checkpoint).

A key is known by its `vkey`: name, the hash of name and key, and the public key itself.
Nothing here reads a file or a database.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

ED25519 = b"\x01"
KEY_BYTES = 32
PROOF_HEADER = "c2sp.org/tlog-proof@v1"
MAX_SIGNATURES = 16
_NAME = re.compile(r"[^\s+]+")
_SIGNATURE = re.compile(r"— ([^\s+]+) ([A-Za-z0-9+/]+={0,2})")


class BadNote(ValueError):
    """This is no signed note, or not one that a known key has signed."""


@dataclass(frozen=True)
class Verifier:
    """A public key under its name."""

    name: str
    public: bytes

    @cached_property
    def key_hash(self) -> bytes:
        said = self.name.encode() + b"\n" + ED25519 + self.public
        return hashlib.sha256(said).digest()[:4]

    @property
    def vkey(self) -> str:
        return f"{self.name}+{self.key_hash.hex()}+{_base64(ED25519 + self.public)}"

    def verifies(self, text: str, signature: bytes) -> bool:
        try:
            Ed25519PublicKey.from_public_bytes(self.public).verify(signature, text.encode())
        except InvalidSignature:
            return False
        return True


@dataclass(frozen=True)
class Signer:
    """A private key under its name."""

    name: str
    key: Ed25519PrivateKey

    @classmethod
    def of_seed(cls, name: str, seed: bytes) -> Signer:
        return cls(name, Ed25519PrivateKey.from_private_bytes(seed))

    @cached_property
    def verifier(self) -> Verifier:
        return Verifier(self.name, self.key.public_key().public_bytes_raw())

    def line(self, text: str) -> str:
        """The signature of `text` as a line of a note."""
        signed = self.verifier.key_hash + self.key.sign(text.encode())
        return f"— {self.name} {_base64(signed)}\n"


@dataclass(frozen=True)
class Checkpoint:
    """What a checkpoint says: whose log, how many leaves, under which root."""

    origin: str
    size: int
    root: bytes

    @property
    def text(self) -> str:
        return f"{self.origin}\n{self.size}\n{_base64(self.root)}\n"


def read_vkey(text: str) -> Verifier:
    """The key that a vkey names. Raises `BadNote`."""
    name, _, rest = text.strip().partition("+")
    hashed, _, key = rest.partition("+")
    raw = _bytes(key)
    found = Verifier(name, raw[1:])
    if not _NAME.fullmatch(name) or raw[:1] != ED25519 or len(raw) != 1 + KEY_BYTES:
        raise BadNote(f"{text!r} is no vkey of Ed25519.")
    if found.key_hash.hex() != hashed:
        raise BadNote(f"The hash in {text!r} is not that of the key.")
    return found


def sign(text: str, signers: Iterable[Signer]) -> str:
    """The note: `text`, which ends with a line feed, and one signature of each signer."""
    return text + "\n" + "".join(signer.line(text) for signer in signers)


def open_note(note: str, keys: Sequence[Verifier]) -> str:
    """The text of a note that at least one of `keys` signed, and none of them wrongly."""
    text, signatures = _taken_apart(note)
    known = {(key.name, key.key_hash): key for key in keys}
    verified = 0
    for name, signed in signatures:
        key = known.get((name, signed[:4]))
        if key is None:
            continue
        if not key.verifies(text, signed[4:]):
            raise BadNote(f"The signature of {name} is wrong.")
        verified += 1
    if not verified:
        raise BadNote("No known key has signed this note.")
    return text


def read_checkpoint(text: str) -> Checkpoint:
    """What the text of a checkpoint says; lines after the third are for others."""
    lines = text.split("\n")
    if len(lines) < 4 or lines[-1] or not lines[0]:
        raise BadNote("A checkpoint has three lines.")
    if not re.fullmatch(r"0|[1-9][0-9]{0,18}", lines[1]):
        raise BadNote(f"{lines[1]!r} is no size.")
    root = _bytes(lines[2])
    if len(root) != KEY_BYTES:
        raise BadNote(f"{lines[2]!r} is no root.")
    return Checkpoint(lines[0], int(lines[1]), root)


def open_checkpoint(note: str, keys: Sequence[Verifier]) -> Checkpoint:
    """The checkpoint of a note that one of `keys` signed for its own log. Raises `BadNote`."""
    found = read_checkpoint(open_note(note, keys))
    if found.origin not in {key.name for key in keys}:
        raise BadNote(f"{found.origin} is not the log of any of these keys.")
    return found


def tlog_proof(*, index: int, proof: Sequence[bytes], note: str, extra: bytes = b"") -> str:
    """A proof that stands alone (c2sp.org/tlog-proof): `extra` is what the leaf was made of."""
    lines = [PROOF_HEADER, *([f"extra {_base64(extra)}"] if extra else []), f"index {index}"]
    return "\n".join([*lines, *map(_base64, proof), "", note])


def _taken_apart(note: str) -> tuple[str, list[tuple[str, bytes]]]:
    text, gap, block = note.rpartition("\n\n")
    lines = block.split("\n")
    if not gap or lines.pop() != "" or not lines or len(lines) > MAX_SIGNATURES:
        raise BadNote("A note ends with an empty line and 1 to 16 signatures.")
    found = []
    for line in lines:
        match = _SIGNATURE.fullmatch(line)
        if match is None:
            raise BadNote(f"{line!r} is no line with a signature.")
        found.append((match[1], _bytes(match[2])))
    return text + "\n", found


def _base64(value: bytes) -> str:
    return base64.b64encode(value).decode()


def _bytes(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise BadNote(f"{text!r} is not base64.") from error
