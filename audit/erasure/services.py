"""Writes of erasure. What the database answers for, it does in functions of its own: who sets and
lifts holds is the web's matter, and only the worker erases."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any
from uuid import UUID

from django.db import connection

from audit import services as audit
from audit.enums import Kind
from audit.erasure.enums import Ground
from governance.kernel import clock

MOST = 20_000


@dataclass(frozen=True, slots=True)
class Done:
    """How many entries lost their keys, and how many a legal hold keeps."""

    erased: int = 0
    held: int = 0

    def __add__(self, other: Done) -> Done:
        return Done(self.erased + other.erased, self.held + other.held)


@dataclass(frozen=True, slots=True)
class Approved:
    """By which request something is erased, and by which two people."""

    request: str
    asked_by: str
    agreed_by: str


def set_legal_hold(
    *,
    subject: str = "",
    agent: str = "",
    first: date | None = None,
    last: date | None = None,
    ground: Ground,
    reason: str,
    by: str,
) -> UUID:
    """Keep what fits from being erased, from now on. One person does it; it is recorded."""
    hold = clock.uuid7()
    given = (hold, subject, agent, first, last, ground, reason, by)
    _call("SELECT audit.set_legal_hold(%s, %s, %s, %s, %s, %s, %s, %s)", *given)
    audit.record(
        kind=Kind.ADMIN,
        actor=by,
        agent=agent,
        user=subject if subject.startswith("p_") else "",
        asked={
            "did": "legal_hold_set",
            "hold": str(hold),
            "ground": f"17(3)({ground})",
            "first": first.isoformat() if first else None,
            "last": last.isoformat() if last else None,
        },
        payload={"reason": reason},
    )
    return hold


def lift_legal_hold(*, hold: UUID, asked_by: str, agreed_by: str) -> bool:
    """End a hold, by two people; False where it was over."""
    lifted = bool(_call("SELECT audit.lift_legal_hold(%s, %s, %s)", hold, asked_by, agreed_by))
    if lifted:
        audit.record(
            kind=Kind.ADMIN,
            actor=agreed_by,
            asked={"did": "legal_hold_lifted", "hold": str(hold), "asked_by": asked_by},
        )
    return lifted


def lay_aside(base: str, *, request: str) -> list[str]:
    """Have nothing more sealed under what `base`'s keys are now; their names."""
    return list(_call("SELECT audit.lay_aside(%s, %s)", base, request))


def erase_keys(names: Sequence[str], approved: Approved) -> Done:
    """Erase these keys, which are laid aside, with all that they wrap and no hold keeps."""
    done = Done()
    for name in names:
        done += _done(_call("SELECT audit.erase_key(%s, %s, %s, %s)", name, *_approval(approved)))
    audit.forget_holder_keys()
    return done


def erase_entries(records: Sequence[UUID], approved: Approved) -> Done:
    """Erase the keys of these entries, as far as no hold keeps them."""
    given = (list(records), *_approval(approved))
    return _done(_call("SELECT audit.erase_entries(%s, %s, %s, %s)", *given))


def erase_old(tier: str, *, days: int, request: str) -> int:
    """Erase the keys of up to `MOST` entries that are older than they are kept; how many went."""
    return int(_call("SELECT audit.erase_old(%s, %s, %s, %s)", tier, days, MOST, request))


def _approval(approved: Approved) -> tuple[str, str, str]:
    return approved.request, approved.asked_by, approved.agreed_by


def _done(answer: Any) -> Done:
    return Done(**(json.loads(answer) if isinstance(answer, str) else answer))


def _call(statement: str, *given: Any) -> Any:
    with connection.cursor() as cursor:
        cursor.execute(statement, list(given))
        return cursor.fetchone()[0]
