"""The device authorization grant (RFC 8628): a program asks, a person allows, it gets a token."""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum

from django.conf import settings
from django.db import connection, transaction
from django.utils.crypto import salted_hmac

from audit import services as audit
from audit.enums import Kind
from audit.models import Record
from governance.kernel.database_clock import database_now
from governance.kernel.recent import Recent
from registry import permissions
from registry.devices.errors import NoSuchCode, TooManyCodes, TooManyDevices
from registry.devices.tokens import Made, make_token
from registry.enums import DeviceState, TokenScope
from registry.models import DeviceRequest, Person
from registry.models.devices import LABEL_LENGTH

LASTS = timedelta(minutes=10)
INTERVAL = 5
# Each poll that comes too soon makes the wait so much longer (RFC 8628 section 3.5).
LONGER = 5
MAX_INTERVAL = 300
# No vowels, so that no word comes out, and nothing that looks like something else (section 6.1).
LETTERS = "BCDFGHJKLMNPQRSTVWXZ"
CODE_LENGTH = 8
MAX_WRONG = 10
MAX_A_MINUTE = 20
MAX_WAITING = 1_000
WRONG = "device.wrong_code"

_recent = Recent()


@dataclass(frozen=True, slots=True)
class Asked:
    """What a program is told that asks: the two codes, each known here as a hash alone."""

    device_code: str
    user_code: str
    expires_in: int
    interval: int


@dataclass(frozen=True, slots=True)
class Session:
    """Where the person gives their word: how well that session knows them, and until when."""

    second_factor_at: datetime | None = None
    strong: bool = False
    provider: str = ""
    until: datetime | None = None


class Answer(Enum):
    """What a program that polls is told while it gets no token (RFC 8628 section 3.5)."""

    PENDING = "authorization_pending"
    TOO_SOON = "slow_down"
    REFUSED = "access_denied"
    OVER = "expired_token"
    UNKNOWN = "invalid_grant"


def forget() -> None:
    """Forget what this process counted."""
    _recent.clear()


@transaction.atomic
def ask(*, label: str, scope: TokenScope, source: str) -> Asked:
    """Begin to wait for somebody. Raises `TooManyDevices`.

    Nothing is recorded: whoever asks is nobody yet.
    """
    now = database_now()
    DeviceRequest.objects.filter(until__lt=now - LASTS).delete()
    often = _recent.count(("asked", source), timedelta(minutes=1), now) > MAX_A_MINUTE
    if often or DeviceRequest.objects.filter(until__gt=now).count() >= MAX_WAITING:
        raise TooManyDevices()
    device_code = secrets.token_urlsafe(32)
    user_code = "".join(secrets.choice(LETTERS) for _ in range(CODE_LENGTH))
    DeviceRequest.objects.create(
        device_digest=_digest(device_code),
        code_digest=_code_digest(user_code),
        label=label[:LABEL_LENGTH],
        source=source[:45],
        scope=scope,
        made_at=now,
        until=now + LASTS,
        interval=INTERVAL,
    )
    shown = f"{user_code[:4]}-{user_code[4:]}"
    return Asked(device_code, shown, int(LASTS.total_seconds()), INTERVAL)


def find(*, code: str, by: Person) -> DeviceRequest:
    """What waits with this code. Raises `NoSuchCode`; `TooManyCodes` after too many of those.

    A wrong one is recorded, and counted from the record: so in every process the same.
    """
    permissions.check_may_act(by)
    with transaction.atomic():
        _one_at_a_time(f"device code {by.pid}")
        now = database_now()
        if _wrong_lately(by, now) >= MAX_WRONG:
            raise TooManyCodes()
        found = _waiting(code, now)
        if found is None:
            audit.record(
                kind=Kind.ACCESS,
                actor=by.pid,
                user=by.pid,
                code=WRONG,
                asked={"did": "device_code_wrong"},
            )
    if found is None:
        raise NoSuchCode()
    return found


def _waiting(code: str, now: datetime, *, locked: bool = False) -> DeviceRequest | None:
    rows = (
        DeviceRequest.objects.select_for_update(no_key=True)
        if locked
        else DeviceRequest.objects.all()
    )
    return rows.filter(
        code_digest=_code_digest(code), state=DeviceState.WAITING, until__gt=now
    ).first()


def _wrong_lately(by: Person, now: datetime) -> int:
    return Record.objects.filter(
        kind=Kind.ACCESS, actor=by.pid, code=WRONG, at__gt=now - LASTS
    ).count()


@transaction.atomic
def decide(*, code: str, allowed: bool, session: Session, by: Person) -> DeviceRequest:
    """Let what waits with this code act as `by`, or refuse it: once. Raises as `find`.

    What is wrong is rolled back with everything here, so `find` is asked before.
    """
    permissions.check_may_act(by)
    now = database_now()
    row = _waiting(code, now, locked=True)
    if row is None:
        raise NoSuchCode()
    row.state = DeviceState.ALLOWED if allowed else DeviceState.REFUSED
    row.person, row.decided_at = by, now
    row.second_factor_at, row.strong = session.second_factor_at, session.strong
    row.provider, row.session_until = session.provider, session.until
    row.save()
    audit.record(
        kind=Kind.ACCESS,
        actor=by.pid,
        user=by.pid,
        asked={
            "did": "device_allowed" if allowed else "device_refused",
            "scope": row.scope,
            "source": row.source,
        },
    )
    return row


def poll(*, device_code: str) -> Made | Answer:
    """The token where the person has allowed it, this once; else what to tell the program."""
    with transaction.atomic():
        rows = DeviceRequest.objects.select_for_update(of=("self",), no_key=True).select_related(
            "person"
        )
        row = rows.filter(device_digest=_digest(device_code)).first()
        if row is None or row.state == DeviceState.USED:
            return Answer.UNKNOWN
        now = database_now()
        answer = _answer(row, now)
        row.polled_at = now
        if answer is None:
            row.state = DeviceState.USED
        if answer is Answer.TOO_SOON:
            row.interval = min(row.interval + LONGER, MAX_INTERVAL)
        row.save(update_fields=["state", "polled_at", "interval"])
        return answer or _token_of(row, now)


def _answer(row: DeviceRequest, now: datetime) -> Answer | None:
    """None where there is a token."""
    if row.until <= now:
        return Answer.OVER
    if row.polled_at and now < row.polled_at + timedelta(seconds=row.interval):
        return Answer.TOO_SOON
    if row.state == DeviceState.WAITING:
        return Answer.PENDING
    # Whoever left, or whose session ran out, between their word and this has said nothing.
    over = row.session_until is not None and row.session_until <= now
    may = row.person is not None and row.person.may_act and not over
    return None if row.state == DeviceState.ALLOWED and may else Answer.REFUSED


def _token_of(row: DeviceRequest, now: datetime) -> Made:
    until = now + timedelta(hours=settings.MUSTER_COMMAND_LINE_HOURS)
    return make_token(row, min(until, row.session_until or until), now)


def _digest(device_code: str) -> str:
    # 256 random bits need no stretching: there is nothing to guess (docs/adr/0021).
    return hashlib.sha256(device_code.encode("utf-8", "replace")).hexdigest()


def _code_digest(user_code: str) -> str:
    """Keyed, since eight letters could be tried one by one by whoever reads the table."""
    letters = "".join(each for each in user_code.upper() if each.isalnum())[:40]
    return salted_hmac("muster.device", letters, algorithm="sha256").hexdigest()


def _one_at_a_time(name: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", [name])
