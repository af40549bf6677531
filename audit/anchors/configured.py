"""Which anchors there are: `MUSTER_ANCHORS`, a list without secrets.

What an anchor signs in with lies in the file `MUSTER_ANCHOR_SECRETS`, of which the worker alone is
told: the web process never holds it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from django.conf import settings

from audit.anchors.errors import AnchorFailed, NoSuchAnchor
from audit.listed import Listing

# What each kind must be told, what it may be told, and how many minutes pass between two.
MUST: dict[str, frozenset[str]] = {
    "file": frozenset({"path"}),
    "git": frozenset({"remote"}),
    "s3": frozenset({"bucket"}),
    "mail": frozenset({"to"}),
    "syslog": frozenset({"host"}),
    "rfc3161": frozenset({"url", "ca_file"}),
}
MAY: dict[str, frozenset[str]] = {
    "file": frozenset(),
    "git": frozenset({"branch"}),
    "s3": frozenset({"prefix", "region", "endpoint", "retain_days", "mode"}),
    "mail": frozenset(),
    "syslog": frozenset({"port", "protocol"}),
    "rfc3161": frozenset(),
}
ALWAYS = frozenset({"name", "kind", "minutes", "outside"})
MINUTES = {"mail": 15, "rfc3161": 60}
MOST_MINUTES = 24 * 60
LISTING = Listing("MUSTER_ANCHORS", "MUSTER_ANCHOR_SECRETS", "an anchor", MUST, MAY, ALWAYS)


@dataclass(frozen=True, slots=True)
class Configured:
    """One anchor as the operator set it up."""

    name: str
    kind: str
    every: timedelta
    outside: bool
    options: Mapping[str, Any] = field(default_factory=dict)

    @property
    def where(self) -> str:
        """Where it lies, in words."""
        return _WHERE[self.kind].format_map(self.options)


_WHERE = {
    "file": "{path}",
    "git": "{remote}",
    "s3": "bucket {bucket}",
    "mail": "{to}",
    "syslog": "{host}",
    "rfc3161": "{url}",
}


def every() -> list[Configured]:
    """All anchors, in the order of the setting."""
    return [read(each) for each in LISTING.given]


def find(name: str) -> Configured:
    """The anchor of this name. Raises `NoSuchAnchor`."""
    for each in every():
        if each.name == name:
            return each
    raise NoSuchAnchor()


def check() -> None:
    """Refuse to start with a setting that cannot work. Raises `ImproperlyConfigured`."""
    LISTING.check(each.name for each in every())


def read(given: Any) -> Configured:
    """One anchor of the list. Raises `ImproperlyConfigured`, naming it."""
    name, kind, options = LISTING.read(given)
    minutes = given.get("minutes", MINUTES.get(kind, 5))
    every = timedelta(minutes=LISTING.whole(name, "minutes", minutes, MOST_MINUTES))
    outside = given.get("outside", is_outside(kind, options))
    return Configured(name, kind, every, bool(outside), options)


def is_outside(kind: str, options: Mapping[str, Any]) -> bool:
    """Whether who owns this machine cannot take back what the anchor was told.

    A time stamp shows when a checkpoint was there, but nobody outside keeps it. A file is outside
    where the operator says so: on a disk that is written once.
    """
    if kind == "git":
        return not str(options["remote"]).startswith(("/", "file:", "."))
    if kind == "mail":
        return bool(settings.EMAIL_URL)
    if kind == "syslog":
        return options["host"] not in ("localhost", "127.0.0.1", "::1")
    return kind == "s3"


def secrets_of(name: str) -> Mapping[str, str]:
    """What the anchor signs in with; nothing where the file does not name it."""
    found = LISTING.secrets_of(name, AnchorFailed)
    return {key: str(value) for key, value in found.items()}
