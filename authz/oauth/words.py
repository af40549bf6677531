"""What a tool lets an agent do, in plain words: its limits, and when a human is asked."""

from __future__ import annotations

from authz.narrowings import in_words
from registry.models import AllowlistEntry


def limits_of(entry: AllowlistEntry) -> tuple[str, ...]:
    """What the agent's row says of a tool besides its name; () where it says nothing more."""
    counted = (
        (entry.rate_per_minute, "at most {} calls a minute"),
        (entry.rate_per_hour, "at most {} calls an hour"),
        (entry.write_quota_per_hour, "at most {} records written an hour"),
    )
    found = in_words(entry.narrowing)
    found += [words.format(f"{most:,}") for most, words in counted if most is not None]
    if entry.gates or entry.tool.gates:
        found.append("some calls wait until a human has agreed")
    return tuple(found)
