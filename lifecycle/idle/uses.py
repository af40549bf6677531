"""What is kept of which tools were used, as the hours of the record are counted."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from django.db import connection

_KEEP = """
INSERT INTO lifecycle_tooluse (agent, tool, last_hour)
SELECT agent, tool, %s FROM unnest(%s::text[], %s::text[]) AS used (agent, tool)
ON CONFLICT (agent, tool) DO UPDATE SET last_hour = excluded.last_hour
WHERE lifecycle_tooluse.last_hour < excluded.last_hour
"""


def keep(hour: datetime, used: Iterable[tuple[str, str]]) -> None:
    """Keep that these tools of these agents were used in this hour. One statement."""
    pairs = sorted(used)
    if pairs:
        agents, tools = zip(*pairs, strict=True)
        with connection.cursor() as cursor:
            cursor.execute(_KEEP, [hour, list(agents), list(tools)])
