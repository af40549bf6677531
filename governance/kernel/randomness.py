"""Random bytes from the kernel, fetched by the page: a call for every few bytes costs more."""

from __future__ import annotations

import os
import threading

PAGE = 4096


class _Page(threading.local):
    """What this thread has not given out yet. No byte is given out twice."""

    def __init__(self) -> None:
        self.generation = -1
        self.bytes = b""
        self.given = 0


_page = _Page()
_generation = [0]


def take(count: int) -> bytes:
    """`count` random bytes, for keys, nonces, salts and identifiers."""
    page = _page
    if page.generation != _generation[0] or page.given + count > len(page.bytes):
        page.generation, page.bytes, page.given = _generation[0], os.urandom(PAGE + count), 0
    found = page.bytes[page.given : page.given + count]
    page.given += count
    return found


def _forked() -> None:
    """The child must not give out what the parent has, too."""
    _generation[0] += 1


os.register_at_fork(after_in_child=_forked)
