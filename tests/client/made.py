"""A record that is made up in memory, with the tree, the checkpoints and the exports of it.

It shares no code with the verifier: roots and proofs are computed by the recursion of RFC 6962,
notes are signed with `cryptography`.
"""

import base64
import hashlib
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

ORIGIN = "muster.example/9f3c"


def _b64(raw: bytes) -> str:
    return base64.b64encode(raw).decode()


def hashed(data: bytes) -> bytes:
    return hashlib.sha256(data).digest()


def leaf_of(body: bytes) -> bytes:
    return hashed(b"\x00" + body)


def _half(size: int) -> int:
    return 1 << ((size - 1).bit_length() - 1)


def root_of(leaves: Sequence[bytes]) -> bytes:
    if len(leaves) < 2:
        return leaves[0] if leaves else hashed(b"")
    at = _half(len(leaves))
    return hashed(b"\x01" + root_of(leaves[:at]) + root_of(leaves[at:]))


def path_of(index: int, leaves: Sequence[bytes]) -> list[bytes]:
    if len(leaves) < 2:
        return []
    at = _half(len(leaves))
    if index < at:
        return [*path_of(index, leaves[:at]), root_of(leaves[at:])]
    return [*path_of(index - at, leaves[at:]), root_of(leaves[:at])]


def growth_of(old: int, leaves: Sequence[bytes], *, whole: bool = True) -> list[bytes]:
    if old == len(leaves):
        return [] if whole else [root_of(leaves)]
    at = _half(len(leaves))
    if old <= at:
        return [*growth_of(old, leaves[:at], whole=whole), root_of(leaves[at:])]
    return [*growth_of(old - at, leaves[at:], whole=False), root_of(leaves[:at])]


def parts_of(start: int, until: int, leaves: Sequence[bytes]) -> list[bytes]:
    """The hashes of the largest complete subtrees of [start, until), left to right."""
    found = []
    while start < until:
        size = 1 << 40
        while start % size or start + size > until:
            size >>= 1
        found.append(root_of(leaves[start : start + size]))
        start += size
    return found


class Signer:
    """A key that signs notes under a name."""

    def __init__(self, name: str = ORIGIN, seed: int = 1) -> None:
        self.name = name
        self.key = Ed25519PrivateKey.from_private_bytes(bytes([seed]) * 32)
        self.public = self.key.public_key().public_bytes_raw()
        self.digest = hashed(name.encode() + b"\n\x01" + self.public)[:4]
        self.vkey = f"{name}+{self.digest.hex()}+{_b64(bytes([1]) + self.public)}"

    def line(self, text: str) -> str:
        return f"— {self.name} {_b64(self.digest + self.key.sign(text.encode()))}\n"

    def note(self, size: int, root: bytes, *more: str, origin: str = "") -> str:
        text = "\n".join([origin or self.name, str(size), _b64(root), *more]) + "\n"
        return text + "\n" + self.line(text)


SIGNER = Signer()
RECEIPTS = Signer(ORIGIN + "/receipts", 2)


def columns(number: int, **changes: Any) -> dict[str, Any]:
    return {
        "at": f"2026-11-23T14:{number // 60 % 60:02}:{number % 60:02}.{number:06}Z",
        "id": f"01a208b8-16d7-71c2-b7d0-{number:012x}",
        "kind": "decision",
        "effect": "allow",
        "check": "",
        "code": "",
        "agent": "refund-desk",
        "user": "",
        "tool": "mail.send",
        "resource": "naïve\u2028",
        "tier": "internal",
        "session": "",
        "gateway": "",
        "actor": "refund-desk",
        "parent": None,
        "mode": "enforce",
        "version": 1,
    } | changes


def body_of(said: dict[str, Any], asked: dict[str, Any] | None = None) -> bytes:
    second = {name: said[name] for name in ("at", "effect", "check", "code")} | {"settled": {}}
    first = {name: value for name, value in said.items() if name not in second}
    first |= {"asked": asked or {"did": "send"}, "judged": {}}
    return f"{json.dumps(first, sort_keys=True)}\n{json.dumps(second)}".encode()


class Log:
    """Entries, and what a server would hand out of them."""

    def __init__(self, size: int, signer: Signer = SIGNER) -> None:
        self.signer = signer
        self.lines: list[dict[str, Any]] = []
        self.leaves: list[bytes] = []
        for number in range(size):
            self.append(columns(number))

    def append(self, said: dict[str, Any], asked: dict[str, Any] | None = None) -> None:
        body = body_of(said, asked)
        self.lines.append(
            {
                "index": len(self.lines),
                "record": said,
                "body": _b64(body),
                "leaf": leaf_of(body).hex(),
            }
        )
        self.leaves.append(leaf_of(body))

    def drop(self, first: int, last: int, entries: int, **more: Any) -> str:
        """Declare that so many between two places are dropped; the record that says so."""
        asked = {"did": "partition_dropped", "from": first, "to": last, "entries": entries}
        said = columns(len(self.lines), kind="admin", effect="")
        self.append(said | more, asked | {"export": "ab" * 32})
        return str(said["id"])

    def checkpoint(self, size: int | None = None) -> str:
        size = len(self.leaves) if size is None else size
        return self.signer.note(size, root_of(self.leaves[:size]))

    def head(self, start: int = 0, until: int | None = None, **more: Any) -> dict[str, Any]:
        size = len(self.leaves)
        until = size if until is None else until
        return {
            "muster_export": 1,
            "origin": self.signer.name,
            "from": start,
            "until": until,
            "size": size,
            "left": [each.hex() for each in parts_of(0, start, self.leaves)],
            "right": [each.hex() for each in parts_of(until, size, self.leaves)],
            "consistency": None,
        } | more

    def growth(self, old: int) -> dict[str, Any]:
        return {"from": old, "proof": [each.hex() for each in growth_of(old, self.leaves)]}

    def export(
        self,
        path: Path,
        start: int = 0,
        until: int | None = None,
        change: Callable[[list[dict[str, Any]]], None] = lambda lines: None,
        **more: Any,
    ) -> Path:
        lines = json.loads(json.dumps(self.lines[start:until]))
        change(lines)
        all_lines = [self.head(start, until, **more), *lines]
        path.write_text("".join(json.dumps(line) + "\n" for line in all_lines))
        return path

    def choice(self, path: Path, indexes: Sequence[int]) -> Path:
        head = {
            "muster_export": 1,
            "origin": self.signer.name,
            "size": len(self.leaves),
            "selected": True,
            "consistency": None,
        }
        lines = [
            self.lines[at] | {"proof": [each.hex() for each in path_of(at, self.leaves)]}
            for at in indexes
        ]
        path.write_text("".join(json.dumps(line) + "\n" for line in (head, *lines)))
        return path

    def proof(self, index: int, *, body: bool = True) -> str:
        hashes = [_b64(each) for each in path_of(index, self.leaves)]
        extra = [f"extra {self.lines[index]['body']}"] if body else []
        head = ["c2sp.org/tlog-proof@v1", *extra, f"index {index}", *hashes]
        return "\n".join(head) + "\n\n" + self.checkpoint()


def receipt(log: Log, index: int, batch: Sequence[int], at: str = "") -> dict[str, Any]:
    """The receipt of one entry, signed for the whole batch at once."""
    leaves = [log.leaves[each] for each in batch]
    place = list(batch).index(index)
    at = at or log.lines[index]["record"]["at"]
    return {
        "record": log.lines[index]["record"]["id"],
        "leaf": log.leaves[index].hex(),
        "index": place,
        "path": [each.hex() for each in path_of(place, leaves)],
        "note": RECEIPTS.note(len(leaves), root_of(leaves), at),
    }
