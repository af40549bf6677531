"""Failed client authentications: answered, counted, and kept from filling the record.

A correct credential is always taken, whatever failed before it: nobody can lock a client out by
failing in its name, also not from the same address. What is limited is the noise. Secrets carry
256 random bits, so there is nothing to guess (docs/adr/0021).
"""

from __future__ import annotations

from datetime import datetime, timedelta

from django.db import connection, transaction

from audit.enums import Kind
from audit.models import Record
from audit.redactor import find_secret
from audit.services import record
from authz.oauth.errors import TooManyFailures
from governance.kernel.recent import Recent
from registry import services
from registry.identity.clients import Bearer

MAX_A_MINUTE = 20
HOUR = timedelta(hours=1)
FAILED = "client.authentication_failed"
NOT_ACTIVE = "client.not_active"
UNKNOWN = "client.unknown"


_recent = Recent()


def forget() -> None:
    """Forget what this process counted."""
    _recent.clear()


def note_failure(*, claimed: str, bearer: Bearer | None, source: str, now: datetime) -> None:
    """Count a failed authentication; record it if it is the first of its hour.

    Raises `TooManyFailures` past the limit for this client and source (for clients that do not
    exist: for the source), and then touches no database.
    """
    whom = bearer.client.client_id if bearer else ""
    if _recent.count(("failure", whom, source), timedelta(minutes=1), now) > MAX_A_MINUTE:
        raise TooManyFailures()
    if bearer:
        record_hourly(bearer, code=FAILED, source=source, now=now)
    else:
        _note_unknown(claimed, source, now)


def record_hourly(bearer: Bearer, *, code: str, source: str, now: datetime) -> None:
    """Record `code` for a client unless it was recorded within the hour, by any process."""
    whom = bearer.client.client_id
    if _recent.count(("recorded", whom, code), HOUR, now) > 1:
        return
    with transaction.atomic():
        _one_at_a_time(f"{code} {whom}")
        latest = Record.objects.filter(
            kind=Kind.ACCESS,
            code=code,
            agent=bearer.agent_slug,
            gateway=bearer.gateway_slug,
            at__gt=now - HOUR,
        )
        if not latest.exists():
            record(
                kind=Kind.ACCESS,
                actor=bearer.slug,
                agent=bearer.agent_slug,
                gateway=bearer.gateway_slug,
                code=code,
                asked={"did": "token_refused", "client": whom, "source": source},
            )


def _note_unknown(claimed: str, source: str, now: datetime) -> None:
    # Someone may have sent the secret in the place of the name.
    shown = "" if find_secret(claimed) else claimed
    with transaction.atomic():
        noted = services.note_caller(claimed=shown, source=source, now=now)
        if noted.record_due:
            record(
                kind=Kind.ACCESS,
                actor="system:oauth",
                code=UNKNOWN,
                asked={"did": "token_refused", "claimed": shown, "source": source},
            )


def _one_at_a_time(name: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", [name])
