"""Who vouches for a public key: a signed note that names it, its use, and the log's size. Pure.

The first key of a log vouches for itself. A new one is signed by the one before and by itself; a
receipt key by the key of the checkpoints.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from audit.sealing import notes
from audit.sealing.notes import BadNote, Signer, Verifier

CHECKPOINT, RECEIPT = "checkpoint", "receipt"
KEYS = "/keys"
RECEIPTS = "/receipts"


@dataclass(frozen=True, slots=True)
class Certificate:
    """What is said of a key: from this size of the log on, it signs this kind of thing."""

    origin: str
    kind: str
    vkey: str
    since: int

    @property
    def text(self) -> str:
        return f"{self.origin}{KEYS}\n{self.kind}\n{self.since}\n{self.vkey}\n"


def certify(certificate: Certificate, signers: Sequence[Signer]) -> str:
    return notes.sign(certificate.text, signers)


def read(note: str, keys: Sequence[Verifier]) -> Certificate:
    """A certificate that one of `keys` signed. Raises `BadNote`."""
    lines = notes.open_note(note, keys).split("\n")
    if len(lines) != 5 or not lines[0].endswith(KEYS) or not lines[2].isdecimal():
        raise BadNote("This is no certificate of a key.")
    return Certificate(lines[0].removesuffix(KEYS), lines[1], lines[3], int(lines[2]))


def trusted(first: Sequence[Verifier], published: Sequence[str]) -> list[Verifier]:
    """The keys of checkpoints that follow from `first`, certificate by certificate."""
    found = list(first)
    for note in published:
        try:
            said = read(note, found)
            key = notes.read_vkey(said.vkey)
        except BadNote:
            continue
        if said.kind == CHECKPOINT and key not in found:
            found.append(key)
    return found
