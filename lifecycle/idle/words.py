"""The sentences about idle agents."""

from __future__ import annotations

from datetime import datetime

from lifecycle.idle.rules import Silence


def silent(silence: Silence) -> str:
    """How long nobody has heard of it, after its name."""
    if silence.last is None:
        return f"has not asked for a single decision since {_day(silence.since)}"
    if silence.since > silence.last:
        return (
            f"was last decided about on {_day(silence.last)}, and its clock began anew on "
            f"{_day(silence.since)}"
        )
    return f"has asked for no decision since {_day(silence.last)}"


def _day(at: datetime) -> str:
    return f"{at.day} {at:%b %Y}"
