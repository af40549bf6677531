"""What anchors took, how old it is, and what follows from it for the record."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from django.db import connection

from audit.anchors import configured
from audit.anchors.configured import Configured
from audit.models import Anchored, Checkpoint
from audit.sealing import selectors as sealing
from audit.sealing.selectors import Freshness, latest_checkpoint
from governance.kernel.database_clock import database_now

# An entry is told outside within this, or somebody hears of it.
LATEST = timedelta(minutes=15)
INTERNAL_ONLY = "Tamper evidence: internal only"
NOTHING_OUTSIDE = (
    "No anchor outside of Muster is set up. Who owns this machine can rewrite the record and sign "
    "it again, and only checkpoints that people kept by hand would show it."
)
_SAID = {
    "file": "{bytes} bytes long since",
    "git": "commit {commit}",
    "s3": "version {version}, locked until {locked_until}",
    "mail": "{message}",
    "syslog": "sent over {protocol}",
    "rfc3161": "stamped at {stamped_at}",
}
_LAST = """
SELECT DISTINCT ON (name) number, size, root, kind, name, outside, at, receipt
FROM audit.anchored WHERE name = ANY(%s) ORDER BY name, number DESC
"""


@dataclass(frozen=True, slots=True)
class State:
    """One anchor, the last that it took and how long ago; None where it took nothing yet."""

    anchor: Configured
    last: Anchored | None
    age: timedelta | None

    @property
    def said(self) -> str:
        """What the anchor said of the last, in words; empty where it took nothing."""
        if self.last is None:
            return ""
        return _SAID[self.last.kind].format_map(self.last.receipt)


@dataclass(frozen=True, slots=True)
class Standing:
    """How the record stands outside.

    `behind` is how long the oldest entry waits that no anchor outside was told of; None where
    there is none.
    """

    anchors: Sequence[State]
    latest: Checkpoint | None
    outside: bool
    anchored_size: int
    anchored_at: datetime | None
    behind: timedelta | None

    @property
    def late(self) -> bool:
        """Whether an entry waits longer than it may."""
        return self.outside and self.behind is not None and self.behind > LATEST

    @property
    def sentence(self) -> str:
        if not self.outside:
            return NOTHING_OUTSIDE
        if self.late and self.behind is not None:
            minutes = int(self.behind.total_seconds()) // 60
            return f"No anchor outside was told anything new for {minutes} minutes."
        if self.anchored_at is None:
            return "Anchors outside are set up; none has taken a checkpoint yet."
        return f"{self.anchored_size:,} entries are anchored outside of Muster."


def last() -> dict[str, Anchored]:
    """What each anchor took last, by the anchor's name."""
    names = [each.name for each in configured.every()]
    return {each.name: each for each in Anchored.objects.raw(_LAST, [names])}


def standing() -> Standing:
    """How the record stands outside, by the database's clock."""
    taken, anchors, now = last(), configured.every(), database_now()
    states = [_state(each, taken.get(each.name), now) for each in anchors]
    outside = [state.last for state in states if state.anchor.outside and state.last is not None]
    newest = max(outside, key=lambda each: (each.size, each.at), default=None)
    size = newest.size if newest else 0
    return Standing(
        anchors=states,
        latest=latest_checkpoint(),
        outside=any(each.outside for each in anchors),
        anchored_size=size,
        anchored_at=newest.at if newest else None,
        behind=_behind(size),
    )


def freshness() -> Freshness:
    """How far the record is sealed, and how far of it an anchor outside has taken."""
    outside = standing()
    return replace(
        sealing.freshness(),
        anchored_size=outside.anchored_size,
        anchored_at=outside.anchored_at,
    )


def _state(anchor: Configured, last: Anchored | None, now: datetime) -> State:
    return State(anchor, last, now - last.at if last else None)


def _behind(size: int) -> timedelta | None:
    """How long the first entry waits that is beyond this size."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT clock_timestamp() - at FROM audit.leaf_index WHERE index >= %s"
            " ORDER BY index LIMIT 1",
            [size],
        )
        row = cursor.fetchone()
    return row[0] if row else None
