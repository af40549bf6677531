"""What a grant lets an agent do, and why it ended, in plain words."""

from __future__ import annotations

from datetime import datetime, timedelta

from authz.enums import EndCause
from authz.models import Grant
from governance.words import number_word
from registry.models import Tool

_CAUSES = {
    EndCause.PERSON: "{whose} ended it",
    EndCause.SECURITY: "{by} of security ended it",
    EndCause.REPLACED: "{whose} replaced it by a newer one",
    EndCause.EXPIRED: "Its time was over",
    EndCause.LEFT: "{whose} left",
    EndCause.AGENT: "The agent stopped",
}


def said(tool: Tool | None, name: str) -> str:
    """What a tool does, as its system's owner titled it; its name where nobody did."""
    return (tool.title if tool else "") or name


def why_ended(grant: Grant, *, whose: str, now: datetime) -> str:
    """Why it is over; `whose` is what the person is called, "You" to themself."""
    if grant.ended_at is None and grant.until <= now:
        return _CAUSES[EndCause.EXPIRED]
    cause = EndCause(grant.end_cause)
    words = _CAUSES.get(cause, str(cause.label).capitalize())
    return words.format(whose=whose, by=grant.ended_by or "Someone")


def left(until: datetime, now: datetime) -> str:
    """How long it lasts still: `46 days left`, `5 hours left`."""
    hours = max(1, int((until - now) / timedelta(hours=1)))
    many, unit = (hours // 24, "day") if hours >= 48 else (hours, "hour")
    return f"{many} {unit}{'' if many == 1 else 's'} left"


def title(live: int) -> str:
    """The answer above the page of one's own grants."""
    if not live:
        return "No agent may act for you"
    noun = "agent" if live == 1 else "agents"
    return f"{number_word(live).capitalize()} {noun} may act for you"
