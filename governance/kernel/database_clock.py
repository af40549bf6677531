"""The database's time: one clock for every process, whatever theirs say."""

from __future__ import annotations

from datetime import datetime

from django.db import connection


def database_now() -> datetime:
    """This instant as the database knows it, not as the transaction began."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT clock_timestamp()")
        now: datetime = cursor.fetchone()[0]
    return now
