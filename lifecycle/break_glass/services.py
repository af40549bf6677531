"""Every write of emergency access: seal, open, end, review."""

from __future__ import annotations

import hashlib
import secrets
from datetime import timedelta
from uuid import UUID

from django.db import IntegrityError, transaction

from audit import services as audit
from audit.enums import Kind
from governance.kernel.database_clock import database_now
from governance.kernel.emergency import Emergency, under
from governance.kernel.errors import NotAllowed, NotFound
from lifecycle.break_glass import selectors
from lifecycle.break_glass.errors import AlreadyReviewed, CodeRefused, NotReviewed, TooShort
from lifecycle.models import BreakGlass, SealedCode
from lifecycle.models.break_glass import LONGEST
from lifecycle.notices import Severity, notify
from lifecycle.permissions import (
    check_can_close_emergency,
    check_can_have_emergency,
    check_can_seal_codes,
)
from registry.models import Person

MOST_CODES = 10
# Without what is misread on paper: no I, L, O, U, 0, 1.
LETTERS = "ABCDEFGHJKMNPQRSTVWXYZ23456789"
GROUPS, GROUP = 6, 5
LEAST = 20


def emergency_of(used: BreakGlass) -> Emergency:
    return Emergency(str(used.pk), used.person.pid)


# Sealed codes


@transaction.atomic
def seal_codes(*, by: Person, second: Person, count: int) -> list[str]:
    """New codes, which are shown this once. Earlier ones that were not used end."""
    _check_two(by, second)
    check_can_seal_codes(by)
    check_can_seal_codes(second)
    if not 1 <= count <= MOST_CODES:
        raise TooShort(f"Seal 1 to {MOST_CODES} codes.")
    now, codes = database_now(), [_new_code() for _ in range(count)]
    ended, _ = SealedCode.objects.filter(used_at__isnull=True).delete()
    SealedCode.objects.bulk_create(
        SealedCode(digest=digest_of(code), made_by=by, agreed_by=second, made_at=now)
        for code in codes
    )
    _record("sealed_codes_made", by, codes=count, ended=ended, second=second.pid)
    return codes


def _check_two(one: Person, other: Person) -> None:
    if one.pk == other.pk:
        raise NotAllowed("This takes two people.")


def _new_code() -> str:
    letters = [secrets.choice(LETTERS) for _ in range(GROUPS * GROUP)]
    parts = ["".join(letters[at : at + GROUP]) for at in range(0, len(letters), GROUP)]
    return "-".join(parts)


def digest_of(code: str) -> str:
    """How a code is kept. It holds 147 random bits, so that nothing slower is needed."""
    plain = "".join(each for each in code.upper() if each.isalnum())
    return hashlib.sha256(f"muster sealed code {plain}".encode("utf-8", "replace")).hexdigest()


# Opening


@transaction.atomic
def open_with_second(
    *, person: Person, second: Person, reason: str, minutes: int = 60
) -> BreakGlass:
    """Open it for `person`, whom `second` lets; each has just proved who they are."""
    _check_two(person, second)
    check_can_have_emergency(second)
    return _open(person, reason, minutes, second=second)


@transaction.atomic
def open_with_code(*, person: Person, code: str, reason: str, minutes: int = 60) -> BreakGlass:
    """Open it with a sealed code, which ends with that."""
    sealed = SealedCode.objects.filter(digest=digest_of(code)).first()
    if sealed is None:
        raise CodeRefused()
    # Of two with the same code at once, one comes in.
    unused = SealedCode.objects.filter(pk=sealed.pk, used_at__isnull=True)
    if not unused.update(used_at=database_now()):
        raise CodeRefused()
    return _open(person, reason, minutes, code=sealed)


def _open(
    person: Person,
    reason: str,
    minutes: int,
    *,
    second: Person | None = None,
    code: SealedCode | None = None,
) -> BreakGlass:
    check_can_have_emergency(person)
    if len(reason.strip()) < LEAST:
        raise TooShort(f"Say why, in {LEAST} characters or more: it is what is reviewed.")
    if selectors.unreviewed() is not None:
        raise NotReviewed()
    now = database_now()
    lasts = min(timedelta(minutes=max(minutes, 1)), LONGEST)
    try:
        with transaction.atomic():
            used = BreakGlass.objects.create(
                person=person,
                second=second,
                code=code,
                reason=reason.strip()[:500],
                opened_at=now,
                expires_at=now + lasts,
            )
    except IntegrityError as error:
        raise NotReviewed() from error
    with under(emergency_of(used)):
        way = {"second": second.pid} if second else {"sealed_code": code.pk if code else 0}
        _record("break_glass_opened", person, used, **way)
        _page(used)
    return used


def _page(used: BreakGlass) -> None:
    """Wake everyone who must know, however they are reached."""
    said = {
        "person": str(used.person),
        "with": f"with {used.second}" if used.second else "with a sealed code",
        "until": f"{used.expires_at:%H:%M} UTC",
        "reason": used.reason,
        "id": str(used.pk),
    }
    for each in selectors.who_must_know():
        notify(
            person=each,
            severity=Severity.PAGE,
            code="break_glass.opened",
            context=said,
            event=f"break_glass:{used.pk}",
        )


# Ending and reviewing


@transaction.atomic
def end(*, used_id: UUID | str, by: Person) -> BreakGlass:
    """Give it back before it ends by itself. It still waits for its review."""
    used = _locked(used_id)
    if used.person_id != by.pk:
        raise NotAllowed(f"Only {used.person}, who has it, gives it back.")
    if used.ended_at is None:
        used.ended_at = min(database_now(), used.expires_at)
        used.save(update_fields=["ended_at"])
        _record("break_glass_ended", by, used)
    return used


@transaction.atomic
def close(*, used_id: UUID | str, by: Person, review: str) -> BreakGlass:
    """Say that it was looked through, and what was found. What was still on is over with that."""
    used = _locked(used_id)
    check_can_close_emergency(used, by)
    if len(review.strip()) < LEAST:
        raise TooShort(f"Write what you found, in {LEAST} characters or more.")
    if used.closed_at is not None:
        raise AlreadyReviewed()
    now = database_now()
    used.ended_at = used.ended_at or min(now, used.expires_at)
    used.closed_at, used.closed_by, used.review, used.slot = now, by, review.strip(), None
    used.save(update_fields=["ended_at", "closed_at", "closed_by", "review", "slot"])
    _record("break_glass_reviewed", by, used, review=used.review)
    said = {"person": str(used.person), "by": str(by), "id": str(used.pk)}
    for each in selectors.who_must_know():
        notify(
            person=each,
            severity=Severity.INFO,
            code="break_glass.closed",
            context=said,
            event=f"break_glass:{used.pk}:closed",
        )
    return used


def _locked(used_id: UUID | str) -> BreakGlass:
    rows = BreakGlass.objects.select_related("person", "second").select_for_update(
        of=("self",), no_key=True
    )
    used = rows.filter(pk=used_id).first()
    if used is None:
        raise NotFound("There is no such emergency access.")
    return used


def note_request(used: BreakGlass, *, method: str, place: str) -> None:
    """Record what is asked for under it, before it is done."""
    audit.record(
        kind=Kind.ACCESS,
        actor=used.person.pid,
        user=used.person.pid,
        resource=f"break_glass:{used.pk}",
        asked={"did": "break_glass_used", "method": method, "place": place[:300]},
    )


def _record(
    did: str, by: Person, used: BreakGlass | None = None, *, review: str = "", **more: object
) -> None:
    free = {"reason": used.reason, "review": review} if used else {}
    audit.record(
        kind=Kind.ADMIN,
        actor=by.pid,
        user=used.person.pid if used else by.pid,
        resource=f"break_glass:{used.pk}" if used else "",
        asked={"did": did, **more},
        payload={"said": {name: text for name, text in free.items() if text}} if used else {},
    )
