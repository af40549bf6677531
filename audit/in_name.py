"""What agents did in people's names, as the record counts it.

Each question is one statement, whatever it is asked about, and walks the index of user and agent.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from django.db import connection

from audit.selectors import limited_time

_EARNEST = "r.kind = 'decision' AND r.mode IN ('enforce', 'observe')"
_WENT_ON = "(r.effect = 'allow' OR r.mode = 'observe')"

_USED = f"""
SELECT span.key, used.tool, used.went_on, used.refused, used.last
FROM unnest(%s::text[], %s::text[], %s::text[], %s::timestamptz[], %s::timestamptz[])
    AS span (key, "user", agent, since, until)
CROSS JOIN LATERAL (
    SELECT r.tool, count(*) FILTER (WHERE {_WENT_ON}) AS went_on,
        count(*) FILTER (WHERE NOT {_WENT_ON}) AS refused,
        max(r.at) FILTER (WHERE {_WENT_ON}) AS last
    FROM audit.record AS r
    WHERE r."user" = span."user" AND r."user" <> '' AND r.agent = span.agent AND r.agent <> ''
        AND r.at >= span.since AND r.at < span.until AND {_EARNEST}
    GROUP BY r.tool
) AS used
ORDER BY span.key, used.tool
"""  # noqa: S608 - of our words
_FIRST = f"""
SELECT span.key, first.tool, first.at
FROM unnest(%s::text[], %s::text[], %s::text[], %s::timestamptz[], %s::timestamptz[])
    AS span (key, "user", agent, since, until)
CROSS JOIN LATERAL (
    SELECT r.tool, r.at FROM audit.record AS r
    WHERE r."user" = span."user" AND r."user" <> '' AND r.agent = span.agent AND r.agent <> ''
        AND r.at >= span.since AND r.at < span.until AND {_EARNEST} AND {_WENT_ON}
    ORDER BY r.at LIMIT 1
) AS first
ORDER BY first.at, span.key
"""  # noqa: S608 - of our words


@dataclass(frozen=True, slots=True)
class Span:
    """An agent (slug) that acts for a user (pseudonymous id) from `since` to before `until`.

    `key` is whatever the caller knows it by.
    """

    key: str
    user: str
    agent: str
    since: datetime
    until: datetime


@dataclass(frozen=True, slots=True)
class Used:
    """How often a tool's calls went on and did not, and when one last did (None for never)."""

    key: str
    tool: str
    went_on: int
    refused: int
    last: datetime | None


@dataclass(frozen=True, slots=True)
class First:
    """The first call of a span that went on."""

    key: str
    tool: str
    at: datetime


def uses_of(spans: Sequence[Span]) -> list[Used]:
    """What was called in each span, by tool. Raises `SearchTooSlow` after five seconds.

    A call that is held counts as refused; the one after its approval went on.
    """
    with limited_time(), connection.cursor() as cursor:
        cursor.execute(_USED, _columns(spans))
        return [Used(*row) for row in cursor.fetchall()]


def first_uses(spans: Sequence[Span]) -> list[First]:
    """The first call that went on in each span that has one, the oldest first."""
    with limited_time(), connection.cursor() as cursor:
        cursor.execute(_FIRST, _columns(spans))
        return [First(*row) for row in cursor.fetchall()]


def _columns(spans: Sequence[Span]) -> list[list[object]]:
    names = ("key", "user", "agent", "since", "until")
    return [[getattr(span, name) for span in spans] for name in names]
