"""Taking in what was found: each thing once, as an unregistered caller that somebody answers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import connection, transaction

from audit import services as audit
from audit.enums import Kind
from authz.asks import Caller
from authz.outcomes import check_token
from governance.kernel import clock
from lifecycle.models import Discovery
from registry import services as register

FOUND = "found:"
MOST_SOURCE = 64 - len(FOUND)
Finding = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Taken:
    """How many of the findings were not known, and how many were."""

    new: int
    known: int


@transaction.atomic
def take_findings(*, source: str, findings: Sequence[Finding], caller: Caller) -> Taken:
    """Keep what an agent or a gateway found in `source`. Told twice, it is one.

    Raises `NotSignedIn` where its token was ended. Nothing is allowed by this: a caller that is
    adopted is a draft like any other.
    """
    check_token(caller)
    now = clock.now()
    with connection.cursor() as cursor:
        # Two reports about one source take turns: both would find a thing new.
        cursor.execute("SELECT pg_advisory_xact_lock(hashtextextended(%s, 23))", [source])
    wanted = {each["fingerprint"]: each for each in findings}
    rows = Discovery.objects.filter(source=source, fingerprint__in=wanted)
    known = set(rows.values_list("fingerprint", flat=True))
    rows.update(last_seen=now)
    for fingerprint in wanted.keys() - known:
        _keep(source, wanted[fingerprint], caller, now)
    taken = Taken(len(wanted) - len(known), len(known))
    if taken.new:
        audit.record(
            kind=Kind.SYSTEM,
            actor=caller.slug,
            asked={"did": "discoveries_reported", "source": source, "new": taken.new},
        )
    return taken


def _keep(source: str, finding: Finding, caller: Caller, now: datetime) -> None:
    # The end of a long place says more of it than its beginning.
    place = FOUND + source[-MOST_SOURCE:]
    noted = register.note_caller(claimed=finding["name"], source=place, now=now)
    Discovery.objects.create(
        source=source,
        fingerprint=finding["fingerprint"],
        kind=finding["kind"],
        name=finding["name"],
        path=finding["path"],
        detail=finding["detail"],
        caller=noted.caller,
        reported_by=f"{caller.kind}:{caller.slug}",
        first_seen=now,
        last_seen=now,
    )
