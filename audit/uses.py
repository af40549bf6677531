"""When something was last used, as the record tells it.

Each question is one statement, whatever it is asked about: for every pair it goes from the
newest entry of the one or the other back, by their indexes, to the first that fits.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from django.db import connection

from audit.selectors import limited_time

Pair = tuple[str, str]

_LAST = """
SELECT asked.who, asked.tool, used.at
FROM unnest(%s::text[], %s::text[]) AS asked (who, tool)
CROSS JOIN LATERAL (
    SELECT r.at FROM audit.record AS r
    WHERE r.{column} = asked.who AND r.{column} <> '' AND r.tool = asked.tool AND r.tool <> ''
      AND r.at >= %s AND r.kind = 'decision' AND r.effect <> 'deny'
    ORDER BY r.at DESC LIMIT 1
) AS used
"""
_FIRED = """
SELECT asked.policy, fired.at
FROM jsonb_to_recordset(%s::jsonb) AS asked (policy text, tools text[])
CROSS JOIN LATERAL (
    SELECT max(each.at) AS at
    FROM unnest(asked.tools) AS named (tool)
    CROSS JOIN LATERAL (
        SELECT r.at FROM audit.record AS r
        WHERE r.tool = named.tool AND r.tool <> '' AND r.at >= %s AND r.kind = 'decision'
          AND position(convert_to(to_json(asked.policy)::text, 'UTF8') IN r.body) > 0
          AND (split_part(convert_from(r.body, 'UTF8'), chr(10), 1)::jsonb #> '{judged,policies}'
               ? asked.policy
            OR split_part(convert_from(r.body, 'UTF8'), chr(10), 1)::jsonb #> '{judged,log_only}'
               ? asked.policy)
        ORDER BY r.at DESC LIMIT 1
    ) AS each
) AS fired
WHERE fired.at IS NOT NULL
"""


def reaches_back_to() -> datetime | None:
    """When the record begins, None while nothing is recorded."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT r.at FROM audit.record AS r ORDER BY r.at, r.id LIMIT 1")
        row = cursor.fetchone()
    return row[0] if row else None


def last_uses_by_agents(pairs: Iterable[Pair], *, since: datetime) -> dict[Pair, datetime]:
    """When each agent (slug) was last let through, or held, with each tool; only since then."""
    return _last("agent", list(pairs), since)


def last_uses_by_people(pairs: Iterable[Pair], *, since: datetime) -> dict[Pair, datetime]:
    """The same for people, by pseudonymous id, alone or acted for."""
    return _last('"user"', list(pairs), since)


def _last(column: str, pairs: Sequence[Pair], since: datetime) -> dict[Pair, datetime]:
    names, tools = ([pair[part] for pair in pairs] for part in (0, 1))
    rows = _rows(_LAST.format(column=column), names, tools, since)
    return {(who, tool): at for who, tool, at in rows}


def last_fired(
    policies: Iterable[tuple[str, Sequence[str]]], *, since: datetime
) -> dict[str, datetime]:
    """When each policy (its id, and the tools it can concern) last had a part in a decision."""
    asked = [{"policy": policy, "tools": list(tools)} for policy, tools in policies]
    return dict(_rows(_FIRED, json.dumps(asked), since))


def _rows(statement: str, *given: Any) -> list[Any]:
    with limited_time(), connection.cursor() as cursor:
        cursor.execute(statement, list(given))
        return list(cursor.fetchall())
