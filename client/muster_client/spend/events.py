"""Server-sent events (WHATWG HTML, section 9.2), cut where they end and otherwise left alone."""

from __future__ import annotations

import re
from collections.abc import Iterator

# A carriage return ends a line by itself, or with a line feed behind it: never twice.
_END = re.compile(rb"(?:\r\n|\n|\r(?!\n)){2}")
_LINE = re.compile(rb"\r\n|\n|\r")
# The longest end of an event, less one: where looking goes on.
_BEFORE = 3
MAX_EVENT = 8 * 1024 * 1024


class TooLong(ValueError):
    """An event has no end within `MAX_EVENT` bytes."""


class Splitter:
    """Takes bytes as they come and gives whole events, byte for byte as they came.

    However the bytes are cut, the events are the same, and they joined with `rest()` are the bytes.
    """

    def __init__(self) -> None:
        self._held = bytearray()
        self._looked = 0

    def feed(self, chunk: bytes) -> Iterator[bytes]:
        """The events that end in this chunk, each with the empty line that ends it.

        Raises `TooLong`; what is held then comes with `rest()`.
        """
        self._held += chunk
        # A carriage return at the very end may have its line feed still to come.
        until = len(self._held) - self._held.endswith(b"\r")
        start = 0
        while found := _END.search(self._held, max(start, self._looked), until):
            yield bytes(self._held[start : found.end()])
            start = self._looked = found.end()
        del self._held[:start]
        self._looked = max(0, len(self._held) - _BEFORE - 1)
        if len(self._held) > MAX_EVENT:
            raise TooLong("An event has no end.")

    def rest(self) -> bytes:
        """What came behind the last whole event."""
        left = bytes(self._held)
        self._held.clear()
        self._looked = 0
        return left


def data_of(event: bytes) -> bytes:
    """The data of an event: its `data` lines, joined by line feeds.

    >>> data_of(b"event: x\\ndata: 1\\r\\ndata:2\\n\\n")
    b'1\\n2'
    """
    lines = _LINE.split(event.removeprefix(b"\xef\xbb\xbf"))
    fields = (line.partition(b":") for line in lines)
    return b"\n".join(value.removeprefix(b" ") for name, _, value in fields if name == b"data")
