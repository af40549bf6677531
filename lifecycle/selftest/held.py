"""What the rows of this installation hold: the same sentence, asked of the database."""

from __future__ import annotations

import time

from django.db import connection

from lifecycle.selftest.report import Try

WHERE = "all rows of this installation"
# Each names the agents of what may not be there.
QUESTIONS = (
    (
        "Secrets and keys of agents that were never active",
        """SELECT a.slug FROM registry_client c JOIN registry_agent a ON a.id = c.agent_id
        WHERE a.activated_at IS NULL
        AND (c.secret_digest <> '' OR c.previous_digest <> '' OR c.jwks <> '{}'::jsonb)""",
    ),
    (
        "Clients in identity providers that are live beside a row that is not",
        """SELECT a.slug FROM registry_externalclient c
        JOIN registry_agent a ON a.id = c.agent_id JOIN registry_person p ON p.id = a.owner_id
        WHERE c.state = 'live' AND (a.state <> 'active' OR p.employment = 'left')""",
    ),
    (
        "Leases that run for a row that is not active",
        """SELECT a.slug FROM authz_lease l JOIN registry_agent a ON a.id = l.agent_id
        JOIN registry_person p ON p.id = a.owner_id
        WHERE l.ended_at IS NULL AND l.expires_at > clock_timestamp()
        AND (a.state <> 'active' OR p.employment = 'left')""",
    ),
)


def tries() -> list[Try]:
    """One for each question; what is found was given to somebody."""
    return [_try(title, sql) for title, sql in QUESTIONS]


def found() -> list[tuple[str, str]]:
    """What may not be there: the question that finds it, and the agent that has it."""
    return [(title, slug) for title, sql in QUESTIONS for slug in _asked(sql)]


def _try(title: str, sql: str) -> Try:
    began = time.monotonic()
    count = len(_asked(sql))
    took = round((time.monotonic() - began) * 1000)
    if count:
        return Try(title, WHERE, f"{count} are there", milliseconds=took)
    return Try(title, WHERE, "", "none", "There are none.", took)


def _asked(sql: str) -> list[str]:
    with connection.cursor() as cursor:
        cursor.execute(f"{sql} ORDER BY a.slug")
        return [slug for (slug,) in cursor.fetchall()]
