"""What is sent next: entries in the order of the sealed log, none left out.

The order is that of the leaves, which is dense: an entry whose transaction committed late has its
place behind those that were sealed before it, so that no cursor ever passes it by.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from audit import export
from audit.models import Leaf, Record
from audit.proof_export import records_of

# A batch ends here, however few entries it holds; one alone may be larger.
MOST_BYTES = 1024 * 1024
LINES: dict[str, Callable[[Record, int | None], str]] = {
    "jsonl": export.jsonl_line,
    "ocsf": export.ocsf_line,
    "cef": export.cef_line,
}


@dataclass(frozen=True, slots=True)
class Item:
    """One entry as it is sent."""

    index: int
    record: Record
    line: str


@dataclass(frozen=True, slots=True)
class Batch:
    """The entries from place `start` to before `until`. A place whose content is gone is empty."""

    start: int
    until: int
    items: tuple[Item, ...]


def batch(form: str, *, start: int, size: int, most: int) -> Batch:
    """The next `most` entries at most, of a log of `size` entries, from `start` on."""
    leaves = list(
        Leaf.objects.filter(index__gte=start, index__lt=min(start + most, size)).order_by("index")
    )
    records, held, until = records_of(leaves), 0, start
    items: list[Item] = []
    for leaf in leaves:
        record = records.get(leaf.record)
        if record is not None:
            item = Item(leaf.index, record, LINES[form](record, leaf.index))
            held += len(item.line.encode())
            if items and held > MOST_BYTES:
                break
            items.append(item)
        until = leaf.index + 1
    return Batch(start, until, tuple(items))
