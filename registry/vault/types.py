"""What every back end of the vault speaks."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import NoReturn, Protocol

from registry.vault.errors import BadSecret

MAX_BYTES = 65_536
GENERATED_BYTES = 32


class Secret:
    """A value that shows itself to nobody: not in a log, an error, a template, a queue."""

    __slots__ = ("__value",)

    def __init__(self, value: str) -> None:
        self.__value = _checked(value)

    def reveal(self) -> str:
        """The value itself. Call this where it leaves, and nowhere else."""
        return self.__value

    def __repr__(self) -> str:
        return "<secret>"

    def __reduce__(self) -> NoReturn:
        raise TypeError("A secret is not written anywhere.")


def _checked(value: object) -> str:
    """`value`, if it is a text that a vault can keep. The refusal does not repeat it."""
    if not isinstance(value, str) or not value:
        raise BadSecret()
    try:
        size = len(value.encode())
    except UnicodeEncodeError:
        size = MAX_BYTES + 1
    if size > MAX_BYTES:
        # Outside of the handler: the error of the encoder holds the value.
        raise BadSecret()
    return value


def generated() -> Secret:
    """A new value that nobody has seen."""
    return Secret(secrets.token_urlsafe(GENERATED_BYTES))


@dataclass(frozen=True, slots=True)
class Place:
    """Whose credential lies where. `path` is the reference without its scheme, checked."""

    agent: str
    reference: str
    path: str


@dataclass(frozen=True, slots=True)
class Version:
    """One version as its back end knows it; `ends_at` where it is only kept for an overlap."""

    name: str
    made_at: datetime | None
    current: bool
    ends_at: datetime | None = None


class AtSource(StrEnum):
    """What revoking came to beyond Muster's own refusal."""

    ENDED = "ended"  # the value that was read opens nothing any more
    REMOVED = "removed"  # the vault's copy is gone; what the value opens does not know
    UNTOUCHED = "untouched"  # somebody else's secret, which Muster leaves as it is


class BackEnd(Protocol):
    """One vault. Raises `VaultUnavailable` where it does not answer, never with a value."""

    # Whether what it does is part of the caller's transaction.
    inside: bool

    def create(self, place: Place, secret: Secret) -> str:
        """Store the first value and name its version. Again after a crash: `NotYours` or done."""

    def read(self, place: Place) -> tuple[Secret, str]:
        """The current value and its version. Raises `NothingStored`."""

    def rotate(self, place: Place, secret: Secret | None, overlap: timedelta) -> str:
        """Make `secret` the current value (None: the vault's own rotation); name its version."""

    def rotates_itself(self, place: Place) -> bool:
        """Whether the vault changes the value at its source as well, by itself."""

    def revoke(self, place: Place, *, ours: bool) -> AtSource:
        """Do what can be done about a value that may have been read. Twice is once."""

    def destroy(self, place: Place) -> None:
        """Remove every version for good. Twice is once."""

    def versions(self, place: Place) -> list[Version]:
        """What the vault still holds, the newest first."""

    def health(self) -> str:
        """Empty if it answers, else a sentence."""
