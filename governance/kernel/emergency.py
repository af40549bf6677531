"""Whether what runs now is done under emergency access, and under which.

Set by one middleware for one request; the record's one way in marks what is recorded meanwhile.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass

# What emergency access is good for. Everything else is refused to it.
RIGHTS = {
    "read": "read everything: the register, the trail, what waits",
    "suspend": "suspend agents: one, a family, or all",
    "end": "give it back before it ends",
}
REFUSED = (
    "Emergency access reads everything and suspends agents, and nothing else. "
    "It approves nothing, changes no right and no key: that waits until it is over."
)


@dataclass(frozen=True, slots=True)
class Emergency:
    """One use of emergency access, and the person who has it."""

    id: str
    pid: str


_current: ContextVar[Emergency | None] = ContextVar("emergency", default=None)


def current() -> Emergency | None:
    """The emergency access under which this request runs, if it does."""
    return _current.get()


def is_of(pid: str) -> bool:
    """Whether this request runs under emergency access of this very person."""
    found = _current.get()
    return found is not None and found.pid == pid


@contextmanager
def under(emergency: Emergency) -> Iterator[None]:
    """What runs inside is done under emergency access."""
    token = _current.set(emergency)
    try:
        yield
    finally:
        _current.reset(token)
