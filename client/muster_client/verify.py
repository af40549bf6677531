"""Checks a record of Muster without Muster: one file, no server, no database, nothing to install.

    python3 verify.py muster-proof.jsonl --kept kept.txt --checkpoint now.txt --key KEY

FILE is an export for proof (JSON Lines), a proof of one entry (.tlog-proof) or the receipt of a
decision (JSON); several may be given. KEPT is a checkpoint that you kept outside of Muster, KEY
the public key that you noted with it. Ends with 0 where everything holds, with 1 where something
is wrong, with 2 where it cannot be told. Needs Python 3.9 or newer and its standard library.

What it trusts: SHA-256, Ed25519, the keys and the kept checkpoint that you give. Nothing else.
"""

from __future__ import annotations

import argparse
import base64
import hashlib
import json
import re
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, BinaryIO

HOLDS, BROKEN, OPEN = "holds", "broken", "open"
EXIT = {HOLDS: 0, BROKEN: 1, OPEN: 2}
TITLE = {
    HOLDS: "The record holds.",
    BROKEN: "The record does not hold.",
    OPEN: "Not everything could be checked.",
}
PROOF_HEAD = "c2sp.org/tlog-proof@v1"
RECEIPTS = "/receipts"
MAX_LINE = 16 * 1024 * 1024
MOST_TOLD = 5


class Unreadable(ValueError):
    """This is no file, key or number of the kind that it should be: nothing can be said."""


class Wrong(ValueError):
    """What was read shows that something was changed."""


class Unknown(Wrong):
    """None of the keys that are trusted has signed."""


# Ed25519 (RFC 8032), verification only. Points are (X, Y, Z, T) with x = X/Z, y = Y/Z, T = XY/Z.

P = 2**255 - 19
ORDER = 2**252 + 27742317777372353535851937790883648493
D = -121665 * pow(121666, P - 2, P) % P
ROOT_OF_MINUS_ONE = pow(2, (P - 1) // 4, P)
Point = tuple[int, int, int, int]


def verify_ed25519(public: bytes, message: bytes, signature: bytes) -> bool:
    """Whether `signature` is that of `public` over `message`."""
    point = _decoded(public)
    s = int.from_bytes(signature[32:], "little")
    if point is None or len(signature) != 64 or s >= ORDER:
        return False
    digest = hashlib.sha512(signature[:32] + public + message).digest()
    k = int.from_bytes(digest, "little") % ORDER
    x, y, z, t = point
    found = _sum(_times(s, BASE), _times(k, (P - x, y, z, P - t)))
    return _encoded(found) == signature[:32]


def _sum(p: Point, q: Point) -> Point:
    a, b = (p[1] - p[0]) * (q[1] - q[0]) % P, (p[1] + p[0]) * (q[1] + q[0]) % P
    c, d = 2 * p[3] * q[3] * D % P, 2 * p[2] * q[2] % P
    e, f, g, h = b - a, d - c, d + c, b + a
    return e * f % P, g * h % P, f * g % P, e * h % P


def _times(factor: int, point: Point) -> Point:
    found: Point = (0, 1, 1, 0)
    while factor:
        if factor & 1:
            found = _sum(found, point)
        point = _sum(point, point)
        factor >>= 1
    return found


def _x_of(y: int, sign: int) -> int | None:
    square = (y * y - 1) * pow(D * y * y + 1, P - 2, P) % P
    x = pow(square, (P + 3) // 8, P)
    if (x * x - square) % P:
        x = x * ROOT_OF_MINUS_ONE % P
    if (x * x - square) % P or (x == 0 and sign):
        return None
    return P - x if x & 1 != sign else x


def _decoded(raw: bytes) -> Point | None:
    number = int.from_bytes(raw, "little")
    y, sign = number & (2**255 - 1), number >> 255
    if len(raw) != 32 or y >= P:
        return None
    x = _x_of(y, sign)
    return None if x is None else (x, y, 1, x * y % P)


def _encoded(point: Point) -> bytes:
    inverse = pow(point[2], P - 2, P)
    x, y = point[0] * inverse % P, point[1] * inverse % P
    return (y | (x & 1) << 255).to_bytes(32, "little")


_BASE_Y = 4 * pow(5, P - 2, P) % P
_BASE_X = _x_of(_BASE_Y, 0) or 0
BASE: Point = (_BASE_X, _BASE_Y, 1, _BASE_X * _BASE_Y % P)


# Trees (RFC 6962)

EMPTY = hashlib.sha256(b"").digest()


def leaf_of(body: bytes) -> bytes:
    """The leaf hash of an entry's body."""
    return hashlib.sha256(b"\x00" + body).digest()


def node_of(left: bytes, right: bytes) -> bytes:
    """The hash of two subtrees side by side."""
    return hashlib.sha256(b"\x01" + left + right).digest()


def verify_inclusion(
    index: int, size: int, leaf: bytes, proof: Sequence[bytes], root: bytes
) -> bool:
    """Whether `leaf` stands at `index` of the tree of `size` leaves with this root."""
    if not 0 <= index < size or not _are_hashes(leaf, root, *proof):
        return False
    at, last, found = index, size - 1, leaf
    for each in proof:
        if last == 0:
            return False
        if at & 1 or at == last:
            found = node_of(each, found)
            while at and not at & 1:
                at, last = at >> 1, last >> 1
        else:
            found = node_of(found, each)
        at, last = at >> 1, last >> 1
    return last == 0 and found == root


def verify_consistency(
    old: int, new: int, old_root: bytes, new_root: bytes, proof: Sequence[bytes]
) -> bool:
    """Whether the first `old` leaves of the tree of `new` leaves are those of the older root."""
    return old > 0 and verify_subtree_consistency((0, old), new, old_root, new_root, proof)


def verify_subtree_inclusion(
    index: int, span: tuple[int, int], leaf: bytes, proof: Sequence[bytes], root: bytes
) -> bool:
    """Whether `leaf` stands at `index` of the tree, within its subtree [start, end)."""
    start, end = span
    return _is_subtree(start, end) and verify_inclusion(
        index - start, end - start, leaf, proof, root
    )


def verify_subtree_consistency(
    span: tuple[int, int], size: int, part: bytes, root: bytes, proof: Sequence[bytes]
) -> bool:
    """Whether `part` is the hash of the subtree [start, end) of the tree of `size` leaves."""
    start, end = span
    if (start, end) == (0, size) and size:
        return not proof and part == root
    if start == end:
        return not proof and part == EMPTY and 0 <= end <= size
    if not _is_subtree(start, end) or end > size or not _are_hashes(part, root, *proof):
        return False
    first, last, top, to_the_end = start, end - 1, size - 1, end == size
    while first != last and (to_the_end or last & 1):
        first, last, top = first >> 1, last >> 1, top >> 1
    path = list(proof)
    if first != last and not path:
        return False
    found = part if first == last else path.pop(0)
    return _climbs(first, last, top, path, found) == (part, root)


def _climbs(
    first: int, last: int, top: int, path: Sequence[bytes], found: bytes
) -> tuple[bytes, bytes] | None:
    """The hashes of subtree and tree that a proof leads to; None where it has another length."""
    small = whole = found
    for each in path:
        if top == 0:
            return None
        if last & 1 or last == top:
            small = node_of(each, small) if first < last else small
            whole = node_of(each, whole)
            while last and not last & 1:
                first, last, top = first >> 1, last >> 1, top >> 1
        else:
            whole = node_of(whole, each)
        first, last, top = first >> 1, last >> 1, top >> 1
    return (small, whole) if top == 0 else None


def _is_subtree(start: int, end: int) -> bool:
    return 0 <= start < end and start % (1 << (end - start - 1).bit_length()) == 0


def _are_hashes(*found: bytes) -> bool:
    return all(len(each) == 32 for each in found)


class Tree:
    """The root of entries that come one by one, in memory that does not grow with them."""

    def __init__(self, start: int = 0, left: Sequence[bytes] = ()) -> None:
        self.size = 0
        self._levels: list[tuple[int, bytes]] = []
        self.join(start, left)

    def add(self, found: bytes, level: int = 0) -> None:
        """Put the next leaf, or the next complete subtree of 2 ** level leaves, to the right."""
        self.size += 1 << level
        while self._levels and self._levels[-1][0] == level:
            level, found = level + 1, node_of(self._levels.pop()[1], found)
        self._levels.append((level, found))

    def join(self, until: int, hashes: Sequence[bytes]) -> None:
        """Put the complete subtrees that reach to `until`, from left to right."""
        levels = list(subtrees(self.size, until))
        if len(levels) != len(hashes) or not _are_hashes(*hashes):
            raise Unreadable(f"There must be {len(levels)} hashes from {self.size} to {until}.")
        for at, level in enumerate(levels):
            self.add(hashes[at], level)

    def root(self) -> bytes:
        """The root of all that came so far."""
        if not self._levels:
            return EMPTY
        found = self._levels[-1][1]
        for _, left in self._levels[-2::-1]:
            found = node_of(left, found)
        return found


def subtrees(start: int, until: int) -> Iterator[int]:
    """The levels of the largest complete subtrees that make up [start, until), left to right."""
    while start < until:
        level = (until - start).bit_length() - 1
        if start:
            level = min(level, (start & -start).bit_length() - 1)
        yield level
        start += 1 << level


# Keys and checkpoints (C2SP signed-note, tlog-checkpoint)


@dataclass(frozen=True)
class Key:
    """A public key with the name that it signs under."""

    name: str
    digest: bytes
    public: bytes

    @property
    def shown(self) -> str:
        return f"{self.name} ({self.digest.hex()})"


@dataclass(frozen=True)
class Checkpoint:
    """What a signed checkpoint says: so many entries have this root."""

    origin: str
    size: int
    root: bytes
    more: tuple[str, ...]
    key: Key


def read_key(text: str) -> Key:
    """A key as Muster prints it: name+hash+base64. Raises `Unreadable`."""
    name, _, rest = text.strip().partition("+")
    digest, _, encoded = rest.partition("+")
    raw = _bytes_of(encoded)
    if not name or len(raw) != 33 or raw[0] != 1:
        raise Unreadable("A public key reads name+hash+base64, of type Ed25519.")
    computed = hashlib.sha256(name.encode() + b"\n" + raw).digest()[:4]
    if digest != computed.hex():
        raise Unreadable(f"The key of {name} does not have the hash that stands before it.")
    return Key(name, computed, raw[1:])


def read_keys(text: str) -> list[Key]:
    """Every key in a text: one a line, or the list of keys as Muster gives it."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    listed = [line.partition(" ")[2] for line in lines if line.startswith(LISTED)]
    return [read_key(line) for line in listed or lines]


LISTED = ("checkpoint ", "receipt ")
CERTIFICATE = re.compile(
    r"^(?P<origin>\S+)/keys\n(?P<kind>checkpoint|receipt)\n[0-9]+\n(?P<vkey>\S+)\n"
    r"\n(?:— \S+ \S+\n)+",
    re.MULTILINE,
)


def follow(keys: Sequence[Key], published: str, report: Report) -> list[Key]:
    """The keys that follow from those that are trusted: each is signed by one before it.

    Only a key of checkpoints vouches for others: its name is the record's own.
    """
    found = list(keys)
    for certificate in CERTIFICATE.finditer(published):
        key = read_key(certificate["vkey"])
        vouching = [each for each in found if each.name == certificate["origin"]]
        if key in found:
            continue
        text, signatures = _split(certificate[0], "certificate")
        try:
            by = _signer(text, signatures, vouching, "certificate")
        except Unknown:
            continue
        except Wrong as wrong:
            report.say(BROKEN, "key", str(wrong))
            continue
        report.say(HOLDS, "key", f"The key {key.shown} is vouched for by {by.shown}.")
        found.append(key)
    return found


_NOTE = re.compile(r"^[^\n]+\n[0-9]+\n[^\n]+\n(?:[^\n]+\n)*\n(?:— [^\n]+\n)+", re.MULTILINE)


def newest_note(text: str) -> str:
    """The last note of a file that notes were appended to; the text itself where it is one."""
    found = [each[0] for each in _NOTE.finditer(text)]
    return found[-1] if len(found) > 1 else text


def open_checkpoint(note: str, keys: Sequence[Key], which: str) -> Checkpoint:
    """What a signed note says. Raises `Wrong` unless a given key has signed it, `Unreadable`."""
    text, signatures = _split(note, which)
    lines = text.split("\n")[:-1]
    if len(lines) < 3 or not all(lines):
        raise Unreadable(f"The {which} is no checkpoint: it has fewer than three lines.")
    origin, size, root, *more = lines
    if not size.isascii() or not size.isdigit() or size != str(int(size)):
        raise Unreadable(f"The {which} is no checkpoint: its second line is no size.")
    if len(_bytes_of(root)) != 32:
        raise Unreadable(f"The {which} is no checkpoint: its third line is no root.")
    key = _signer(text, signatures, [key for key in keys if key.name == origin], which)
    return Checkpoint(origin, int(size), _bytes_of(root), tuple(more), key)


def _split(note: str, which: str) -> tuple[str, list[tuple[str, bytes]]]:
    text, gap, tail = note.rpartition("\n\n")
    lines = tail.split("\n")
    if not gap or lines[-1] or any(char < " " and char != "\n" for char in note):
        raise Unreadable(f"The {which} is no signed note.")
    return text + "\n", [_signature(line, which) for line in lines[:-1]]


def _signature(line: str, which: str) -> tuple[str, bytes]:
    parts = line.split(" ")
    if len(parts) != 3 or parts[0] != "—" or len(_bytes_of(parts[2])) < 5:
        raise Unreadable(f"The {which} has a line that is no signature.")
    return parts[1], _bytes_of(parts[2])


def _signer(
    text: str, signatures: Sequence[tuple[str, bytes]], keys: Sequence[Key], which: str
) -> Key:
    """The first key that has signed. One whose signature is there and wrong spoils the note."""
    found = [
        (key, signed[4:])
        for name, signed in signatures
        for key in keys
        if (key.name, key.digest) == (name, signed[:4])
    ]
    for key, signed in found:
        if not verify_ed25519(key.public, text.encode(), signed):
            raise Wrong(f"The signature of {key.shown} on the {which} is wrong.")
    if not found:
        others = ", ".join(sorted({f"{name} ({raw[:4].hex()})" for name, raw in signatures}))
        raise Unknown(
            f"The {which} is not signed with a key that you gave, but by {others or 'nobody'}."
        )
    return found[0][0]


def _bytes_of(text: object) -> bytes:
    """What base64 stands for; empty for anything else."""
    try:
        return base64.b64decode(text, validate=True) if isinstance(text, str) else b""
    except ValueError:
        return b""


def _hash(text: object) -> bytes:
    try:
        return bytes.fromhex(text) if isinstance(text, str) else b""
    except ValueError:
        return b""


def _hashes(found: object) -> list[bytes]:
    return [_hash(each) for each in found] if isinstance(found, list) else []


# Entries

COLUMNS = (
    "id", "version", "kind", "agent", "user", "gateway", "actor", "tool", "resource", "tier",
    "session", "parent", "mode", "at", "effect", "check", "code",
)  # fmt: skip


def read_json(raw: bytes) -> dict[str, Any]:
    """One JSON object whose keys are unique at every depth. Raises `Unreadable`."""
    try:
        found = json.loads(
            raw.decode("utf-8"), object_pairs_hook=_unique, parse_constant=_no_constant
        )
    except (ValueError, RecursionError) as error:
        raise Unreadable("It is not JSON, or says a key twice.") from error
    if not isinstance(found, dict):
        raise Unreadable("It is not a JSON object.")
    return found


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a key stands twice")
    return found


def _no_constant(word: str) -> None:
    raise ValueError(word)


def said_by(body: bytes) -> dict[str, Any]:
    """Both lines of a body as one mapping. Raises `Unreadable`."""
    lines = body.split(b"\n")
    if len(lines) != 2:
        raise Unreadable("the body does not have two lines")
    try:
        first, second = read_json(lines[0]), read_json(lines[1])
    except Unreadable:
        raise Unreadable("the body is not two lines of JSON") from None
    if first.keys() & second.keys():
        raise Unreadable("both lines of the body say the same")
    return {**first, **second}


def entry_faults(columns: object, body: bytes, leaf: bytes) -> list[str]:
    """What is wrong with one entry by itself: its leaf, its body, or a column that says else."""
    found = [] if leaf_of(body) == leaf else ["the leaf is not the hash of the body"]
    try:
        said = said_by(body)
    except Unreadable as error:
        return [*found, str(error)]
    given = columns if isinstance(columns, dict) else {}
    return found + [
        f"the column {column} differs from the body"
        for column in COLUMNS
        if column not in said
        or column not in given
        or type(said[column]) is not type(given[column])
        or said[column] != given[column]
    ]


class Seen:
    """Which ids came before, in memory that does not grow: it names suspects, never misses one."""

    BITS = 27

    def __init__(self) -> None:
        self._marks = bytearray(1 << (self.BITS - 3))

    def add(self, text: str) -> bool:
        """Note `text`; whether it may have come before."""
        digest, before = hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest(), True
        for start in (0, 4, 8, 12):
            at = int.from_bytes(digest[start : start + 4], "big") >> (32 - self.BITS)
            before = before and bool(self._marks[at >> 3] & 1 << (at & 7))
            self._marks[at >> 3] |= 1 << (at & 7)
        return before


# The report


@dataclass
class Report:
    """What was checked, one sentence each."""

    checks: list[dict[str, str]] = field(default_factory=list)
    entries: int = 0
    checkpoint: Checkpoint | None = None
    kept: Checkpoint | None = None

    def say(self, verdict: str, check: str, sentence: str) -> None:
        self.checks.append({"check": check, "verdict": verdict, "sentence": sentence})

    @property
    def verdict(self) -> str:
        found = {each["verdict"] for each in self.checks}
        return BROKEN if BROKEN in found else OPEN if OPEN in found or not found else HOLDS

    def as_json(self) -> dict[str, Any]:
        return {
            "verdict": self.verdict,
            "title": TITLE[self.verdict],
            "entries": self.entries,
            "checkpoint": _shown(self.checkpoint),
            "kept": _shown(self.kept),
            "checks": self.checks,
        }

    def as_text(self) -> str:
        marks = {HOLDS: "ok   ", BROKEN: "WRONG", OPEN: "?    "}
        lines = [f"{marks[each['verdict']]}  {each['sentence']}" for each in self.checks]
        return "\n".join([*lines, "", TITLE[self.verdict]])


def _shown(found: Checkpoint | None) -> dict[str, Any] | None:
    if found is None:
        return None
    root = base64.b64encode(found.root).decode()
    return {"origin": found.origin, "size": found.size, "root": root, "key": found.key.shown}


class Told:
    """Sentences of one check: the first few, then how many more there are."""

    def __init__(self) -> None:
        self.sentences: list[str] = []
        self.count = 0

    def say(self, sentence: str) -> None:
        self.count += 1
        if len(self.sentences) < MOST_TOLD:
            self.sentences.append(sentence)

    def into(self, report: Report, check: str, good: str, verdict: str = BROKEN) -> None:
        for sentence in self.sentences:
            report.say(verdict, check, sentence)
        if self.count > MOST_TOLD:
            report.say(verdict, check, f"And {self.count - MOST_TOLD:,} more of these.")
        if not self.count and good:
            report.say(HOLDS, check, good)


# An export


@dataclass(frozen=True)
class Head:
    """The first line of an export: which entries follow, and what completes their tree."""

    origin: str
    size: int
    start: int
    until: int
    left: Sequence[bytes]
    right: Sequence[bytes]
    selected: bool
    proof_from: int | None
    proof: Sequence[bytes]
    checkpoint: str


def read_head(line: bytes) -> Head:
    """The first line of an export. Raises `Unreadable`."""
    found = read_json(line)
    if found.get("muster_export") != 1:
        raise Unreadable("This is no export for proof of a version that is known here.")
    selected, size = found.get("selected") is True, _number(found.get("size"))
    start = 0 if selected else _number(found.get("from"))
    until = 0 if selected else _number(found.get("until"))
    if not start <= until <= size and not selected:
        raise Unreadable("The first line of the export names entries that are not in its tree.")
    proof = found.get("consistency")
    proof = proof if isinstance(proof, dict) else {}
    return Head(
        str(found.get("origin")), size, start, until, _hashes(found.get("left")),
        _hashes(found.get("right")), selected,
        _number(proof["from"]) if "from" in proof else None, _hashes(proof.get("proof")),
        str(found.get("checkpoint") or ""),
    )  # fmt: skip


def _number(found: object) -> int:
    if type(found) is not int or not 0 <= found < 2**53:
        raise Unreadable("The first line of the export lacks a number.")
    return found


@dataclass(frozen=True)
class Receipt:
    """What a decision's answer promised: this record, by a batch that was signed at once."""

    record: str
    leaf: bytes
    at: str


@dataclass(frozen=True)
class Declared:
    """An entry that says which entries were dropped, between which places, and to which file."""

    record: str
    start: int
    until: int
    entries: int
    export: str


def declared_by(index: int, body: bytes) -> Declared | None:
    """What an entry declares as dropped; None where it is another entry, or says nonsense."""
    if b'"partition_dropped"' not in body:
        return None
    try:
        said = said_by(body)
        asked = said.get("asked")
        asked = asked if isinstance(asked, dict) and said.get("kind") == "admin" else {}
        start, last, entries = (_number(asked.get(name)) for name in ("from", "to", "entries"))
    except Unreadable:
        return None
    if asked.get("did") != "partition_dropped" or not start <= last < index or not entries:
        return None
    return Declared(str(said.get("id")), start, last + 1, entries, str(asked.get("export")))


class Gone:
    """Which entries have no content any more, as spans, and what was declared of them."""

    def __init__(self) -> None:
        self.spans: list[tuple[int, int]] = []
        self.declared: list[Declared] = []

    def add(self, index: int) -> None:
        if self.spans and self.spans[-1][1] == index:
            self.spans[-1] = (self.spans[-1][0], index + 1)
        else:
            self.spans.append((index, index + 1))

    def within(self, start: int, until: int) -> int:
        """How many are gone between two places."""
        return sum(max(min(end, until) - max(begin, start), 0) for begin, end in self.spans)

    def into(self, report: Report, whole: bool) -> None:
        """Say what is declared, and what is not: in a whole record, somebody removed that."""
        told, left = Told(), list(self.spans)
        for group in self._groups():
            start, until = group[0].start, max(each.until for each in group)
            gone, declared = self.within(start, until), sum(each.entries for each in group)
            left = _without(left, start, until)
            if gone > declared:
                told.say(
                    f"{gone:,} entries among {start:,} to {until - 1:,} have no content any more, "
                    f"and {declared:,} were declared as dropped."
                )
            for each in group if 0 < gone <= declared else ():
                report.say(HOLDS, "gone", _dropped(each))
        for begin, end in left:
            told.say(_no_content(begin, end))
        told.into(report, "gone", "", BROKEN if whole else OPEN)

    def _groups(self) -> list[list[Declared]]:
        """Declarations whose places overlap belong together: each counts its own entries."""
        found: list[list[Declared]] = []
        for each in sorted(self.declared, key=lambda one: (one.start, one.until)):
            if found and each.start < max(one.until for one in found[-1]):
                found[-1].append(each)
            else:
                found.append([each])
        return found


def _without(spans: Sequence[tuple[int, int]], start: int, until: int) -> list[tuple[int, int]]:
    parts = [
        part
        for begin, end in spans
        for part in ((begin, min(end, start)), (max(begin, until), end))
    ]
    return [(begin, end) for begin, end in parts if begin < end]


def _dropped(declared: Declared) -> str:
    return (
        f"{declared.entries:,} entries among {declared.start:,} to {declared.until - 1:,} were "
        f"dropped, declared by record {declared.record}. They are in the export whose SHA-256 is "
        f"{declared.export}."
    )


def _no_content(begin: int, end: int) -> str:
    one = end - begin == 1
    which = f"Entry {begin:,}: its" if one else f"Entries {begin:,} to {end - 1:,}: their"
    return f"{which} content is not there any more, and no entry here declares that."


class Export:
    """Goes through the lines of an export once."""

    def __init__(self, head: Head, root: bytes, kept_size: int | None) -> None:
        self.head = head
        self._root = root
        self._kept_size = kept_size
        self._tree = Tree(0 if head.selected else head.start, () if head.selected else head.left)
        self._seen = Seen()
        self._next = head.start
        self.kept_root: bytes | None = None
        self.faults, self.order, self.proofs = Told(), Told(), Told()
        self.gone = Gone()
        self.suspects: set[str] = set()
        self.wanted: dict[bytes, bool] = {}
        self.count, self.last_at = 0, ""

    def read(self, lines: Iterable[bytes]) -> None:
        self._note_kept()
        for line in lines:
            self._take(line)
        if not self.head.selected:
            self._finish()

    def _take(self, line: bytes) -> None:
        try:
            found = read_json(line)
            index = _number(found.get("index"))
        except Unreadable:
            self.faults.say(f"The line after entry {self._next - 1:,} cannot be read.")
            return
        self.count += 1
        self._look_at_order(index)
        leaf = self._look_at_entry(index, found)
        if self.head.selected:
            self._look_at_proof(index, leaf, found)
        elif len(leaf) == 32:
            self._tree.add(leaf)
            self._note_kept()

    def _look_at_order(self, index: int) -> None:
        # A choice may come in any order; that none comes twice is seen by its id.
        if self.head.selected:
            return
        if index < self._next:
            self.order.say(f"Entry {index:,} comes twice, or not in its place.")
        elif index > self._next:
            self.order.say(_missing(self._next, index))
        self._next = max(self._next, index + 1)

    def _look_at_entry(self, index: int, found: dict[str, Any]) -> bytes:
        """The leaf of an entry, computed from its body where that is there."""
        stated, columns = _hash(found.get("leaf")), found.get("record")
        if isinstance(found.get("body"), str):
            leaf = self._look_at_body(index, columns, _bytes_of(found["body"]), stated)
        else:
            self.gone.add(index)
            leaf = stated
        if leaf in self.wanted:
            self.wanted[leaf] = True
        return leaf

    def _look_at_body(self, index: int, columns: object, body: bytes, stated: bytes) -> bytes:
        faults = entry_faults(columns, body, stated)
        for fault in faults:
            self.faults.say(f"Entry {index:,}: {fault}.")
        if isinstance(columns, dict):
            self._note(columns)
        declared = None if faults else declared_by(index, body)
        if declared:
            self.gone.declared.append(declared)
        return leaf_of(body)

    def _note(self, columns: dict[str, Any]) -> None:
        name = str(columns.get("id"))
        if self._seen.add(name):
            self.suspects.add(name)
        self.last_at = max(self.last_at, str(columns.get("at")))

    def _look_at_proof(self, index: int, leaf: bytes, found: dict[str, Any]) -> None:
        if not verify_inclusion(
            index, self.head.size, leaf, _hashes(found.get("proof")), self._root
        ):
            self.proofs.say(f"Entry {index:,} is not in the tree of the checkpoint.")

    def _note_kept(self) -> None:
        if not self.head.selected and self._tree.size == self._kept_size:
            self.kept_root = self._tree.root()

    def _finish(self) -> None:
        if self._next < self.head.until:
            self.order.say(_missing(self._next, self.head.until))
        try:
            self._tree.join(self.head.size, self.head.right)
        except Unreadable:
            self.proofs.say(_OTHER_ROOT)
            return
        if self._tree.size != self.head.size or self._tree.root() != self._root:
            self.proofs.say(_OTHER_ROOT)


_OTHER_ROOT = (
    "The root of these entries is not the one that was signed: an entry was changed, removed, "
    "added or moved."
)


def _missing(start: int, until: int) -> str:
    if until - start == 1:
        return f"Entry {start:,} is missing."
    return f"Entries {start:,} to {until - 1:,} are missing."


def lines_of(file: BinaryIO) -> Iterator[bytes]:
    """The lines of a file one by one. Raises `Unreadable` for one that is too long."""
    while line := file.readline(MAX_LINE):
        if len(line) == MAX_LINE:
            raise Unreadable("A line of the export is longer than 16 MiB.")
        if line.strip():
            yield line


# What is checked, in order


@dataclass(frozen=True)
class Given:
    """All that the person who checks has at hand."""

    keys: Sequence[Key]
    kept: str = ""
    checkpoint: str = ""
    part: bool = False
    first: bool = False
    published: str = ""


def check_export(
    path: Path, given: Given, report: Report, receipts: Sequence[Receipt] = ()
) -> None:
    """Check an export against the checkpoints, and whether it holds what the receipts promise."""
    with path.open("rb") as file:
        lines = lines_of(file)
        head = read_head(next(lines, b""))
        now, kept = _checkpoints(head, given, report)
        if now is None:
            return
        export = Export(head, now.root, kept.size if kept else None)
        export.wanted = {receipt.leaf: False for receipt in receipts}
        export.read(lines)
    report.entries = export.count
    _say_order(export, _twice(path, export.suspects), report)
    _say_entries(export, report)
    _say_whole(head, given, report)
    _say_growth(export, now, kept, given, report)
    _say_receipts(export, receipts, report)


def _checkpoints(
    head: Head, given: Given, report: Report
) -> tuple[Checkpoint | None, Checkpoint | None]:
    note = given.checkpoint or head.checkpoint
    if not note:
        raise Unreadable("The export carries no checkpoint: give the one that goes with it.")
    now = report.checkpoint = _opened(note, given.keys, "new checkpoint", report)
    if given.kept:
        report.kept = _opened(given.kept, given.keys, "kept checkpoint", report)
    if now and now.origin != head.origin:
        report.say(BROKEN, "origin", f"The export is of {head.origin}, not of {now.origin}.")
    if now and now.size != head.size:
        report.say(
            BROKEN,
            "size",
            f"The export is of {head.size:,} entries, the checkpoint of {now.size:,}.",
        )
        return None, report.kept
    return now, report.kept


def _opened(note: str, keys: Sequence[Key], which: str, report: Report) -> Checkpoint | None:
    try:
        found = open_checkpoint(note, keys, which)
    except Wrong as wrong:
        report.say(BROKEN, "signature", str(wrong))
        return None
    report.say(
        HOLDS, "signature", f"The {which} of {found.size:,} entries is signed by {found.key.shown}."
    )
    return found


def _twice(path: Path, suspects: set[str]) -> list[str]:
    """Which of the suspects indeed stand twice; a second look, only where there are any."""
    if not suspects:
        return []
    counted = dict.fromkeys(suspects, 0)
    with path.open("rb") as file:
        for line in lines_of(file):
            try:
                columns = read_json(line).get("record")
            except Unreadable:
                continue
            name = str(columns.get("id")) if isinstance(columns, dict) else ""
            if name in counted:
                counted[name] += 1
    return sorted(name for name, count in counted.items() if count > 1)


def _say_order(export: Export, twice: Iterable[str], report: Report) -> None:
    for name in twice:
        export.order.say(f"The record {name} stands in more than one entry.")
    last = export.head.until - 1
    good = (
        f"{export.count:,} entries were picked out, none twice."
        if export.head.selected
        else f"The entries {export.head.start:,} to {last:,} are all there, in order, none twice."
        if export.count
        else "No entry was asked for."
    )
    export.order.into(report, "order", good)


def _say_entries(export: Export, report: Report) -> None:
    export.faults.into(
        report,
        "entries",
        "Every leaf is the hash of its body, and every column says what the body says."
        + (" That is so of those that are here." if export.gone.spans else ""),
    )
    export.gone.into(report, whole=_reaches(export) and not export.head.selected)
    good = (
        "Every entry is in the tree that was signed."
        if export.head.selected
        else "These entries have the root that was signed."
    )
    export.proofs.into(report, "root", good)


def _say_whole(head: Head, given: Given, report: Report) -> None:
    left_out = [(0, head.start), (head.until, head.size)]
    missing = [_missing(start, until) for start, until in left_out if start < until]
    if head.selected:
        missing = ["This export is a choice of entries: it does not show what was left out."]
    for sentence in missing:
        if given.part:
            continue
        report.say(BROKEN, "whole", f"{sentence} Say so if you asked for a part only.")
    if given.part and missing:
        report.say(HOLDS, "whole", "You asked for a part: what was left out was not looked at.")
    if not missing:
        report.say(HOLDS, "whole", f"This is the whole record of {head.size:,} entries.")


def _say_growth(
    export: Export, now: Checkpoint, kept: Checkpoint | None, given: Given, report: Report
) -> None:
    if kept is None:
        if not given.kept and not given.first:
            report.say(OPEN, "growth", _NO_KEPT)
        return
    # Entries that are not those of the new checkpoint say nothing of what it grew from.
    root = None if export.proofs.count else export.kept_root
    report.say(*compare(kept, now, root, export.head.proof_from, export.head.proof))


_NO_KEPT = (
    "You gave no checkpoint that you kept: a record that was replaced as a whole looks like an "
    "honest one. Keep this checkpoint for the next time."
)


def compare(
    kept: Checkpoint,
    now: Checkpoint,
    kept_root: bytes | None,
    proof_from: int | None,
    proof: Sequence[bytes],
) -> tuple[str, str, str]:
    """Whether the record has only grown from the kept checkpoint to the new one, and why not.

    `kept_root` is the root of the first `kept.size` entries where they were at hand.
    """
    verdict, sentence = _compared(kept, now, kept_root, proof_from, proof)
    return verdict, "growth", sentence


def _compared(
    kept: Checkpoint,
    now: Checkpoint,
    kept_root: bytes | None,
    proof_from: int | None,
    proof: Sequence[bytes],
) -> tuple[str, str]:
    if kept.origin != now.origin:
        return BROKEN, f"The kept checkpoint is of {kept.origin}, the new one of {now.origin}."
    if now.size <= kept.size:
        return _not_grown(kept, now)
    if kept_root is None and proof_from != kept.size and kept.size:
        return OPEN, (
            f"Whether the first {kept.size:,} entries are the same cannot be told from this "
            f"export. Export again, from the size of the kept checkpoint."
        )
    if not _is_prefix(kept, now, kept_root, proof):
        return BROKEN, f"The first {kept.size:,} entries are not those that you kept: rewritten."
    return HOLDS, (
        f"The record has only grown since the kept checkpoint: {kept.size:,} entries then, "
        f"{now.size:,} now, the first {kept.size:,} the same."
    )


_SHRUNK = (
    "The record has shrunk, from {:,} entries to {:,}: entries were cut off, or this is older than "
    "what you kept."
)


def _not_grown(kept: Checkpoint, now: Checkpoint) -> tuple[str, str]:
    if now.size < kept.size:
        return BROKEN, _SHRUNK.format(kept.size, now.size)
    if now.root == kept.root:
        return HOLDS, "The new checkpoint is the kept one: nothing came since."
    return BROKEN, "Both checkpoints have the same size and another root: it was rewritten."


def _is_prefix(
    kept: Checkpoint, now: Checkpoint, kept_root: bytes | None, proof: Sequence[bytes]
) -> bool:
    if kept_root is not None:
        return kept_root == kept.root
    if kept.size == 0:
        return kept.root == EMPTY
    return verify_consistency(kept.size, now.size, kept.root, now.root, proof)


def _say_receipts(export: Export, receipts: Sequence[Receipt], report: Report) -> None:
    for receipt in receipts:
        if export.wanted[receipt.leaf]:
            report.say(HOLDS, "receipt", f"The promised record {receipt.record} is there.")
        elif export.head.selected or not _reaches(export):
            report.say(OPEN, "receipt", f"{receipt.record} may lie in the part that is not here.")
        elif receipt.at > export.last_at:
            report.say(OPEN, "receipt", f"{receipt.record} is newer than this export.")
        else:
            report.say(
                BROKEN,
                "receipt",
                f"The record {receipt.record} was promised at {receipt.at} and is not there.",
            )


def _reaches(export: Export) -> bool:
    return export.head.start == 0 and export.head.until == export.head.size


# A proof of one entry (C2SP tlog-proof)


def check_proof(text: str, given: Given, report: Report, receipts: Sequence[Receipt] = ()) -> None:
    """Check the proof of one entry, and whether it is the one that a receipt promised."""
    index, body, proof, note = read_proof(text)
    now = report.checkpoint = _opened(note, given.keys, "checkpoint of the proof", report)
    if now is None:
        return
    leaf = leaf_of(body) if body else receipts[0].leaf if receipts else b""
    if not leaf:
        report.say(OPEN, "inclusion", "The proof does not say of which entry: give its receipt.")
        return
    report.entries = 1
    good = verify_inclusion(index, now.size, leaf, proof, now.root)
    report.say(
        *(
            (HOLDS, "inclusion", f"Entry {index:,} is in the tree of {now.size:,} entries.")
            if good
            else (BROKEN, "inclusion", f"Entry {index:,} is not in the tree that was signed.")
        )
    )
    _say_body(body, report)
    for receipt in receipts:
        same = receipt.leaf == leaf
        sentence = "is" if same else "is not"
        report.say(
            HOLDS if same else BROKEN,
            "receipt",
            f"This {sentence} the record that the receipt promised.",
        )
    _say_kept(now, given, report)


def _say_body(body: bytes, report: Report) -> None:
    if not body:
        return
    try:
        said = said_by(body)
    except Unreadable as error:
        report.say(BROKEN, "entries", f"In the entry {error}.")
        return
    what = " ".join(
        str(said.get(name)) for name in ("kind", "agent", "tool", "effect") if said.get(name)
    )
    report.say(HOLDS, "entries", f"It says: {said.get('at')} {what}, record {said.get('id')}.")


def _say_kept(now: Checkpoint, given: Given, report: Report) -> None:
    if not given.kept:
        return
    kept = report.kept = _opened(given.kept, given.keys, "kept checkpoint", report)
    if kept:
        report.say(*compare(kept, now, None, None, ()))


def read_proof(text: str) -> tuple[int, bytes, list[bytes], str]:
    """Index, body (empty where it is not there), hashes and checkpoint. Raises `Unreadable`."""
    head, gap, note = text.partition("\n\n")
    lines = head.split("\n")
    if not gap or lines.pop(0) != PROOF_HEAD or not lines:
        raise Unreadable("This is no proof of an entry.")
    body = _bytes_of(lines.pop(0)[6:]) if lines[0].startswith("extra ") else b""
    word, _, index = lines.pop(0).partition(" ") if lines else ("", "", "")
    if word != "index" or not index.isascii() or not index.isdigit() or index != str(int(index)):
        raise Unreadable("The proof does not say the index of its entry.")
    return int(index), body, [_bytes_of(line) for line in lines], note


# A receipt


def check_receipt(raw: bytes, given: Given, report: Report) -> Receipt | None:
    """Check what a decision's answer carries. None where it is not signed as it should be."""
    found = read_json(raw)
    context = found.get("context")
    for holder in (context if isinstance(context, dict) else {}, found):
        if isinstance(holder.get("receipt"), dict):
            found = holder["receipt"]
            break
    leaf, path, index = _hash(found.get("leaf")), _hashes(found.get("path")), found.get("index")
    if len(leaf) != 32 or type(index) is not int or not isinstance(found.get("note"), str):
        raise Unreadable("This is no receipt of a decision.")
    signed = _opened_receipt(found["note"], given.keys, report)
    if signed is None:
        return None
    if not verify_inclusion(index, signed.size, leaf, path, signed.root):
        report.say(
            BROKEN, "receipt", "The receipt was changed: its signature is for other records."
        )
        return None
    name, at = str(found.get("record")), signed.more[0] if signed.more else ""
    report.say(
        HOLDS, "receipt", f"The record {name} was promised at {at}, signed by {signed.key.shown}."
    )
    return Receipt(name, leaf, at)


def _opened_receipt(note: str, keys: Sequence[Key], report: Report) -> Checkpoint | None:
    try:
        found = open_checkpoint(note, keys, "receipt")
    except Wrong as wrong:
        report.say(BROKEN, "receipt", str(wrong))
        return None
    if not found.origin.endswith(RECEIPTS):
        report.say(BROKEN, "receipt", "The receipt is signed with a key that signs no receipts.")
        return None
    return found


# The command


def check(files: Sequence[Path], given: Given) -> Report:
    """Check every file: receipts first, then what they are looked for in. Raises `Unreadable`."""
    report, receipts = Report(), []
    if not given.keys:
        raise Unreadable("Give the public key that you trust.")
    given = replace(given, keys=follow(given.keys, given.published, report))
    kinds = [(path, _kind(path)) for path in files]
    for path, kind in kinds:
        if kind == "receipt" and (found := check_receipt(path.read_bytes(), given, report)):
            receipts.append(found)
    for path, kind in kinds:
        if kind == "proof":
            check_proof(_text(path), given, report, receipts)
        elif kind == "export":
            check_export(path, given, report, receipts)
    if receipts and all(kind == "receipt" for _, kind in kinds):
        report.say(OPEN, "receipt", "Give its proof, or an export, to see that it was kept.")
    return report


def _kind(path: Path) -> str:
    with path.open("rb") as file:
        start = file.read(200)
    if start.startswith(PROOF_HEAD.encode()):
        return "proof"
    return "export" if b'"muster_export"' in start else "receipt"


def _text(path: Path) -> str:
    try:
        return path.read_bytes().decode("utf-8")
    except UnicodeDecodeError:
        raise Unreadable(f"{path.name} is no text.") from None


def _given(path: str | None) -> str:
    return _text(Path(path)) if path else ""


def _keys(given: Iterable[str]) -> list[Key]:
    """Keys that were typed, or that stand in files."""
    found = []
    for each in given:
        found += read_keys(_text(Path(each)) if Path(each).is_file() else each)
    return found


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; returns the exit code."""
    parser = argparse.ArgumentParser(prog="verify.py", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("files", nargs="+", metavar="FILE", help="an export, a proof or a receipt")
    parser.add_argument(
        "--key", action="append", default=[], help="a public key, or a file of them"
    )
    parser.add_argument("--keys", help="the keys as Muster gives them now: vouched for, or nothing")
    parser.add_argument("--kept", help="the checkpoint that you kept outside of Muster")
    parser.add_argument("--checkpoint", help="the checkpoint that goes with the export")
    parser.add_argument("--part", action="store_true", help="you asked for a part of the record")
    parser.add_argument("--first", action="store_true", help="there is no earlier checkpoint yet")
    parser.add_argument("--json", action="store_true", help="the report as JSON")
    wanted = parser.parse_args(arguments)
    try:
        given = Given(
            _keys(wanted.key),
            newest_note(_given(wanted.kept)),
            _given(wanted.checkpoint),
            wanted.part,
            wanted.first,
            _given(wanted.keys),
        )
        report = check([Path(each) for each in wanted.files], given)
    except (Unreadable, OSError) as error:
        report = Report()
        report.say(OPEN, "input", str(error))
    print(json.dumps(report.as_json(), indent=1) if wanted.json else report.as_text())
    return EXIT[report.verdict]


if __name__ == "__main__":
    sys.exit(main())
