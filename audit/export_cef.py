"""An entry as a line of CEF (Common Event Format, version 0)."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any

from audit.enums import Kind
from audit.export_text import plain, read_plain
from audit.models import Record
from governance.kernel.version import VERSION

MOST_IN_NAME = 120
SEVERITY = {"allow": 2, "hold": 5, "deny": 6}
OUTCOMES = {"allow": "success", "hold": "held", "deny": "failure"}
# The fields for which CEF has no name of its own: a label beside each.
LABELLED = {
    "cs1": "agent",
    "cs2": "tool",
    "cs3": "resource",
    "cs4": "check",
    "cs5": "tier",
    "cs6": "session",
    "flexString1": "parent",
    "flexString2": "mode",
    "cn1": "index",
}
COLUMN = {"check": "deciding_check"}
LEAF, LEFT_OUT = "MusterLeaf", "MusterLeftOut"
CHAIN, DELEGATION = "MusterChain", "MusterDelegation"
# What a shortened line never leaves out, and then what it keeps first. Anything else goes first.
ALWAYS = ("rt", "externalId", "index", LEAF)
KEPT_FIRST = (
    *("act", "outcome", "cat", "reason", "agent", "tool", "suser", "suid", CHAIN),
    *("check", "resource", "tier", "mode", "session", "parent", DELEGATION),
)
# The head of a shortened line is no longer than this; a longer one names the kind alone.
MOST_IN_HEAD = 300


def line(record: Record, said: Mapping[str, Any], index: int | None = None) -> str:
    """One line without its end. `said` is what the body says, `index` the place in the log."""
    return _head(record, said) + " ".join(_fields(record, said, index).values())


def shortened(
    record: Record, said: Mapping[str, Any], index: int | None = None, *, most: int
) -> str:
    """The same in at most so many bytes: what it leaves out whole, it names in `MusterLeftOut`.

    Time, id, place and leaf always stay: with the id, the rest is found in Muster. Nothing is cut
    inside. What never fits, in fewer than some 700 bytes, is longer.
    """
    whole = line(record, said, index)
    if _size(whole) <= most:
        return whole
    head, fields = _head(record, said), _fields(record, said, index)
    gone = [] if _size(head) <= MOST_IN_HEAD else ["signature", "name"]
    head = _plain_head(record) if gone else head
    kept = [name for name in fields if name in ALWAYS]
    for name in sorted(fields.keys() - set(ALWAYS), key=_rank):
        if _size(_shorter(head, fields, [*kept, name], gone)) <= most:
            kept.append(name)
    return _shorter(head, fields, kept, gone)


def _rank(name: str) -> tuple[int, str]:
    return (KEPT_FIRST.index(name) if name in KEPT_FIRST else len(KEPT_FIRST)), name


def _shorter(
    head: str, fields: Mapping[str, str], kept: Collection[str], gone: Sequence[str]
) -> str:
    """The line with those fields, and the names of all the others."""
    left_out = [*gone, *(name for name in fields if name not in kept)]
    parts = [text for name, text in fields.items() if name in kept]
    return head + " ".join([*parts, *_pairs_of([(LEFT_OUT, ",".join(left_out))])])


def _head(record: Record, said: Mapping[str, Any]) -> str:
    return _head_of(record.code or record.kind, name_of(record, said), record.effect)


def _plain_head(record: Record) -> str:
    kind = record.kind if record.kind in Kind.values else "other"
    return _head_of(kind, kind, record.effect)


def _head_of(signature: str, name: str, effect: str) -> str:
    head = ("Muster", "Muster", VERSION, signature, name)
    return "|".join(("CEF:0", *map(_in_head, head), str(SEVERITY.get(effect, 1)))) + "|"


def _size(text: str) -> int:
    return len(text.encode())


def name_of(record: Record, said: Mapping[str, Any]) -> str:
    """What happened, in a few words."""
    if record.kind == "decision":
        return f"Call of {record.tool or 'no tool'}: {record.effect}"[:MOST_IN_NAME]
    asked = said.get("asked")
    did = asked.get("did") if isinstance(asked, dict) else None
    return str(did or record.kind).replace("_", " ")[:MOST_IN_NAME]


def givers_of(said: Mapping[str, Any]) -> list[str]:
    """The agents that handed a call on by delegations, the first one first."""
    judged = said.get("judged")
    found = judged.get("givers") if isinstance(judged, dict) else None
    return [str(each) for each in found] if isinstance(found, list) else []


def delegation_of(said: Mapping[str, Any]) -> str:
    """The delegation under which a call was made, or that an entry is about."""
    asked = said.get("asked")
    return str(asked.get("delegation") or "") if isinstance(asked, dict) else ""


def read(text: str) -> dict[str, str]:
    """The fields of a line, as any reader of CEF finds them, with the text as it was."""
    *head, extension = _split(text, "|", 7)
    names = ("version", "vendor", "product", "release", "signature", "name", "severity")
    found = dict(zip(names, map(_out_of, head), strict=True))
    return {key: read_plain(value) for key, value in (found | dict(_pairs(extension))).items()}


def _fields(record: Record, body: Mapping[str, Any], index: int | None) -> dict[str, str]:
    """Each field as it stands in the line, by its name, or by its label where it has one."""
    at = int(record.at.timestamp() * 1000)
    said: Mapping[str, object] = {
        "rt": at,
        "externalId": record.id,
        "cat": record.kind,
        "act": record.effect,
        "outcome": OUTCOMES.get(record.effect, ""),
        "reason": record.code,
        "suser": record.actor,
        "suid": record.user,
        "requestClientApplication": record.gateway,
        CHAIN: ",".join(givers_of(body)),
        DELEGATION: delegation_of(body),
    }
    fields = {key: "".join(_pairs_of([(key, value)])) for key, value in said.items()}
    for key, label in LABELLED.items():
        value = index if label == "index" else getattr(record, COLUMN.get(label, label))
        if value not in (None, ""):
            fields[label] = " ".join(_pairs_of([(f"{key}Label", label), (key, value)]))
    fields[LEAF] = "".join(_pairs_of([(LEAF, bytes(record.leaf).hex())]))
    return {name: text for name, text in fields.items() if text}


def _pairs_of(given: Iterable[tuple[str, object]]) -> Iterator[str]:
    return (f"{key}={_in_extension(str(value))}" for key, value in given if value != "")


def _in_head(text: str) -> str:
    return plain(text).replace("\\", "\\\\").replace("|", "\\|")


def _in_extension(text: str) -> str:
    return plain(text).replace("\\", "\\\\").replace("=", "\\=")


def _split(text: str, mark: str, most: int) -> list[str]:
    """Split where `mark` stands without a backslash before it, at most so many times."""
    parts: list[str] = []
    start = place = 0
    while place < len(text) and len(parts) < most:
        if text[place] == mark:
            parts.append(text[start:place])
            start = place + 1
        place += 2 if text[place] == "\\" else 1
    return [*parts, text[start:]]


def _pairs(extension: str) -> Iterator[tuple[str, str]]:
    """Keys and values: a key is the word before an equals sign that is not escaped."""
    pieces = _split(extension, "=", len(extension))
    key = pieces[0]
    for piece in pieces[1:-1]:
        value, _, following = piece.rpartition(" ")
        yield key, _out_of(value)
        key = following
    yield key, _out_of(pieces[-1])


def _out_of(text: str) -> str:
    found: list[str] = []
    place = 0
    while place < len(text):
        place += text[place] == "\\"
        found.append(text[place : place + 1])
        place += 1
    return "".join(found)
