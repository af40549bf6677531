"""What a decision does to the run that it belongs to.

It is handed to `authz.decide_batch`, which raises the run in the transaction of the record. What
the run and its agent hold already is left out, so that most calls raise nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from django.conf import settings

from authz.engine.reading import NOTHING, Reading, reading_in
from authz.engine.types import Decision, Document
from authz.engine.walk import may_go_on
from authz.resolve import Resolved

Json = Any


def raised(resolved: Resolved, decision: Decision, now: datetime) -> dict[str, Json] | None:
    """What raises the run, None for nothing. See `authz.decide_batch` for its shape."""
    agent = resolved.snapshot.agent
    if agent is None:
        return None
    session = _own_session(resolved)
    read = decision.read if may_go_on(decision.effect, resolved.request) else NOTHING
    parts = {
        name: {**reading.document(), "until": until}
        for name, reading in (("reported", decision.reported), ("read", read))
        if (until := until_of(reading, now)) and _adds(reading, until, session, agent.document)
    }
    if not parts:
        return None
    return {
        "agent": resolved.request.agent,
        "session": session["id"] if session else "",
        **parts,
    }


def _own_session(resolved: Resolved) -> Document | None:
    part, agent = resolved.snapshot.session, resolved.request.agent
    return part.document if part and part.document["agent"] == agent else None


def _adds(
    reading: Reading, until: Mapping[str, str], session: Document | None, agent: Document
) -> bool:
    if session and not reading_in(session).covers(reading):
        return True
    held: Mapping[str, str] = agent.get("carried") or {}
    # The texts have one form, so that they sort as the instants do.
    return any(held.get(fact, "") < instant for fact, instant in until.items())


def until_of(reading: Reading, now: datetime) -> dict[str, str]:
    """Until when each fact is carried: full hours, so that it is written once an hour at most."""
    hours: Mapping[str, int] = settings.MUSTER_CARRY_HOURS
    found = {}
    for fact in reading.facts():
        end = now.astimezone(UTC) + timedelta(hours=hours[reading.tier])
        end = end.replace(minute=0, second=0, microsecond=0) + timedelta(hours=1)
        found[fact] = end.strftime("%Y-%m-%dT%H:%M:%SZ")
    return found
