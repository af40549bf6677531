"""The tokens of command lines: made once, read at each call, ended by their person or with them."""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from django.db import transaction
from django.db.models import Q, QuerySet

from audit import services as audit
from audit.enums import Kind
from governance.kernel.database_clock import database_now
from governance.kernel.errors import NotFound, NotSignedIn
from registry.models import DeviceRequest, Person, PersonToken
from registry.oidc import listed

PREFIX = "mcl_"
ENDED = "This sign-in is over. Sign in again with: muster login"
# How exactly a page can say when a command line was last there.
USED_EVERY = timedelta(minutes=1)
KEPT = timedelta(days=30)


@dataclass(frozen=True, slots=True)
class Made:
    """A token, as it is shown this once, and its row."""

    raw: str
    row: PersonToken
    expires_in: int


def make_token(request: DeviceRequest, until: datetime, now: datetime) -> Made:
    """A token of whoever allowed `request`, in the caller's transaction."""
    person = request.person
    assert person is not None  # noqa: S101 - the database says so of what is allowed
    raw = PREFIX + secrets.token_urlsafe(32)
    PersonToken.objects.filter(person=person, until__lt=now - KEPT).delete()
    row = PersonToken.objects.create(
        digest=_digest(raw),
        person=person,
        label=request.label,
        source=request.source,
        scope=request.scope,
        made_at=now,
        until=until,
        second_factor_at=request.second_factor_at,
        strong=request.strong,
        provider=request.provider,
        bound_to=_bound_to(person),
    )
    _record("device_token_issued", row, person.pid)
    return Made(raw, row, int((until - now).total_seconds()))


def is_given(authorization: str) -> bool:
    """Whether a header holds the token of a command line, and none of an agent or a gateway."""
    scheme, _, raw = authorization.partition(" ")
    return scheme.lower() == "bearer" and raw.startswith(PREFIX)


def authenticate(raw: str) -> PersonToken:
    """The live token of this text, with its person. Raises `NotSignedIn`."""
    rows = PersonToken.objects.select_related("person")
    row, now = rows.filter(digest=_digest(raw)).first(), database_now()
    if row is None or not is_live(row, now):
        raise NotSignedIn(ENDED, code="token_ended")
    if row.used_at is None or row.used_at < now - USED_EVERY:
        PersonToken.objects.filter(pk=row.pk).update(used_at=now)
    return row


def is_live(row: PersonToken, now: datetime) -> bool:
    """Whether it is good now: not ended, and its person may act and has not changed their way in.

    Where a provider let the person in, that provider is still one here.
    """
    if row.ended_at is not None or row.until <= now or not row.person.may_act:
        return False
    if row.bound_to != _bound_to(row.person):
        return False
    return not row.provider or row.provider in {each.id for each in listed.configured()}


def live_of(person: Person) -> list[PersonToken]:
    """Those with which somebody may act as `person` now, the newest first."""
    now = database_now()
    return [row for row in _open(person).filter(until__gt=now) if is_live(row, now)]


@transaction.atomic
def end_token(*, token_id: UUID, by: Person) -> None:
    """End one of one's own. Raises `NotFound`; twice is once."""
    if not PersonToken.objects.filter(pk=token_id, person=by).exists():
        raise NotFound()
    _end(_open(by).filter(pk=token_id), by.pid)


@transaction.atomic
def end_all(*, by: Person) -> int:
    """End every one of one's own; returns how many."""
    return _end(_open(by), by.pid)


@transaction.atomic
def revoke(raw: str) -> None:
    """End the token that is presented (RFC 7009); what is none needs no ending."""
    row = PersonToken.objects.select_related("person").filter(digest=_digest(raw)).first()
    if row is not None:
        _end(_open(row.person).filter(pk=row.pk), row.person.pid)


def _open(person: Person) -> QuerySet[PersonToken]:
    return PersonToken.objects.select_related("person").filter(Q(ended_at=None), person=person)


def _end(rows: QuerySet[PersonToken], actor: str) -> int:
    ended = list(rows.select_for_update(of=("self",), no_key=True))
    for row in ended:
        row.ended_at = database_now()
        row.save(update_fields=["ended_at"])
        _record("device_token_ended", row, actor)
    return len(ended)


def _record(did: str, row: PersonToken, actor: str) -> None:
    audit.record(
        kind=Kind.ACCESS,
        actor=actor,
        user=row.person.pid,
        asked={"did": did, "command_line": str(row.pk), "scope": row.scope, "source": row.source},
    )


def _digest(raw: str) -> str:
    # 256 random bits need no stretching: there is nothing to guess (docs/adr/0021).
    return hashlib.sha256(raw.encode("utf-8", "replace")).hexdigest()


def _bound_to(person: Person) -> str:
    return hashlib.sha256(person.get_session_auth_hash().encode()).hexdigest()
