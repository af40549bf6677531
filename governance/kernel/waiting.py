"""One thing that waits for a person. Each app says what of its own does; the inbox shows it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class Waiting:
    """`key` names it (`hold:<id>`); `kind` says which part shows it.

    `on_expiry` is the sentence that says what happens when nobody answers. `why_not` is the
    sentence for which this person may not answer; empty where they may.
    """

    key: str
    kind: str
    title: str
    text: str
    since: datetime
    expires_at: datetime | None = None
    on_expiry: str = ""
    agent: str = ""
    why_not: str = ""
