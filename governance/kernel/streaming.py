"""Long answers, sent piece by piece whatever server runs: memory does not grow with them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Generator, Iterable
from contextlib import suppress

from asgiref.sync import sync_to_async
from django.http import StreamingHttpResponse

PIECE = 64 * 1024


class Streamed(StreamingHttpResponse):
    """A file to save, made of lines while it is sent.

    An asynchronous server would collect a plain iterator whole before it sends the first byte.
    """

    def __init__(self, lines: Iterable[str], *, content_type: str, name: str) -> None:
        super().__init__(pieces(lines), content_type=content_type)
        self["Content-Disposition"] = f'attachment; filename="{name}"'
        self["Cache-Control"] = "no-store"

    async def __aiter__(self) -> AsyncIterator[bytes]:
        sent = iter(self)
        following = sync_to_async(lambda: next(sent, None))
        while (piece := await following()) is not None:
            yield piece


def pieces(lines: Iterable[str]) -> Generator[bytes]:
    """The lines in pieces of about 64 KiB. Ended early, it ends what makes the lines."""
    held, size = [], 0
    try:
        for line in lines:
            held.append(line.encode())
            size += len(held[-1])
            if size >= PIECE:
                yield b"".join(held)
                held, size = [], 0
        yield b"".join(held)
    finally:
        with suppress(AttributeError):
            lines.close()  # type: ignore[attr-defined]
