"""What the rows of this installation hold: the same sentence, asked of the database."""

from __future__ import annotations

import time

from django.db import connection

from lifecycle.selftest.report import Try

WHERE = "all rows of this installation"
# Each counts what may not be there.
QUESTIONS = (
    (
        "Secrets and keys of agents that were never active",
        """SELECT count(*) FROM registry_client c JOIN registry_agent a ON a.id = c.agent_id
        WHERE a.activated_at IS NULL
        AND (c.secret_digest <> '' OR c.previous_digest <> '' OR c.jwks <> '{}'::jsonb)""",
    ),
    (
        "Clients in identity providers that are live beside a row that is not",
        """SELECT count(*) FROM registry_externalclient c
        JOIN registry_agent a ON a.id = c.agent_id JOIN registry_person p ON p.id = a.owner_id
        WHERE c.state = 'live' AND (a.state <> 'active' OR p.employment = 'left')""",
    ),
)


def tries() -> list[Try]:
    """One for each question; what is found was given to somebody."""
    return [_ask(title, sql) for title, sql in QUESTIONS]


def _ask(title: str, sql: str) -> Try:
    began = time.monotonic()
    with connection.cursor() as cursor:
        cursor.execute(sql)
        count = int(cursor.fetchone()[0])
    took = round((time.monotonic() - began) * 1000)
    if count:
        return Try(title, WHERE, f"{count} are there", milliseconds=took)
    return Try(title, WHERE, "", "none", "There are none.", took)
