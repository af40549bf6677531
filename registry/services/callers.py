"""Identities that asked without standing on the register: counted, adopted or blocked."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db import connection, transaction

from governance.kernel import clock
from registry import permissions
from registry.enums import CallerState
from registry.errors import AlreadyDecided
from registry.models import Agent, Gateway, Person, UnregisteredCaller
from registry.services.agents import draft_agent
from registry.services.saving import locked, record

RECORD_EVERY = timedelta(hours=1)
# A stranger may claim a new name with every call; beyond these they are counted as one.
MAX_NAMES_PER_SOURCE = 50
UNREADABLE = "(unreadable name)"

# One statement counts, so that no call is lost however many come at once.
_COUNT = """
INSERT INTO registry_unregisteredcaller
    (claimed, source, gateway_id, first_seen, last_seen, count, state)
VALUES (%(claimed)s, %(source)s, %(gateway)s, %(now)s, %(now)s, 1, 'open')
ON CONFLICT (claimed, source) DO UPDATE SET
    count = registry_unregisteredcaller.count + 1,
    last_seen = greatest(registry_unregisteredcaller.last_seen, excluded.last_seen)
RETURNING id
"""


@dataclass(frozen=True, slots=True)
class Noted:
    """The caller's row, and whether this call is to be recorded."""

    caller: UnregisteredCaller
    record_due: bool


@transaction.atomic
def note_caller(
    *, claimed: str, source: str, gateway: Gateway | None = None, now: datetime | None = None
) -> Noted:
    """Count a call by someone unknown. Writes no record: who asks does, where one is due.

    Named by an authenticated gateway it is due every time; unauthenticated once an hour for
    each source, so that strangers cannot fill the log.
    """
    at = now or clock.now()
    place = f"gateway:{gateway.slug}" if gateway else _readable(source, 64)
    with connection.cursor() as cursor:
        # Calls of one source take turns: two of them would both find a record due.
        cursor.execute("SELECT pg_advisory_xact_lock(hashtextextended(%s, 7))", [place])
        name = _name(_readable(claimed, 120), place)
        values = {
            "claimed": name,
            "source": place,
            "gateway": gateway.pk if gateway else None,
            "now": at,
        }
        cursor.execute(_COUNT, values)
        (row,) = cursor.fetchone()
    due = gateway is not None or not _recorded_lately(place, at)
    if due:
        UnregisteredCaller.objects.filter(pk=row).update(last_recorded=at)
    return Noted(UnregisteredCaller.objects.get(pk=row), due)


def _readable(text: str, length: int) -> str:
    """The text as it can be stored; hostile bytes are said, not kept."""
    clean = "".join(character if character.isprintable() else "\ufffd" for character in text)
    return clean[:length] if text.isprintable() else (clean or UNREADABLE)[:length]


def _name(claimed: str, source: str) -> str:
    names = UnregisteredCaller.objects.filter(source=source)
    if names.filter(claimed=claimed).exists() or names.count() < MAX_NAMES_PER_SOURCE:
        return claimed
    return ""


def _recorded_lately(source: str, now: datetime) -> bool:
    since = now - RECORD_EVERY
    return UnregisteredCaller.objects.filter(source=source, last_recorded__gt=since).exists()


@transaction.atomic
def adopt_caller(
    *, caller_id: int, slug: str, owner: Person, by: Person, name: str = "", purpose: str = ""
) -> Agent:
    """Put an unregistered caller on the register, as a draft of `owner`."""
    permissions.check_can_decide_callers(by)
    caller = _open(caller_id)
    agent = draft_agent(
        slug=slug,
        name=name or caller.claimed or slug,
        owner=owner,
        by=by,
        purpose=purpose or f"Adopted: seen {caller.count} times from {caller.source}.",
    )
    caller.adopted_as = agent
    _decide(caller, CallerState.ADOPTED, by)
    return agent


@transaction.atomic
def link_caller(*, caller_id: int, agent: Agent, by: Person) -> UnregisteredCaller:
    """Say that an unregistered caller is this agent, which its owner has put on the register."""
    permissions.check_can_decide_callers(by)
    caller = _open(caller_id)
    caller.adopted_as = agent
    _decide(caller, CallerState.ADOPTED, by)
    return caller


@transaction.atomic
def block_caller(*, caller_id: int, by: Person) -> UnregisteredCaller:
    """Say that a caller is not wanted. It was refused before and stays so."""
    permissions.check_can_decide_callers(by)
    caller = _open(caller_id)
    _decide(caller, CallerState.BLOCKED, by)
    return caller


@transaction.atomic
def reopen_caller(*, caller_id: int, by: Person) -> UnregisteredCaller:
    """Take a block back. An adopted caller has a row and stays adopted."""
    permissions.check_can_decide_callers(by)
    caller = locked(UnregisteredCaller, "unregistered caller", pk=caller_id)
    if caller.state != CallerState.BLOCKED:
        raise AlreadyDecided()
    caller.state, caller.decided_by, caller.decided_at = CallerState.OPEN, None, None
    caller.save(update_fields=["state", "decided_by", "decided_at"])
    record("caller_reopened", by=by, resource=f"caller:{caller.pk}")
    return caller


def _open(caller_id: int) -> UnregisteredCaller:
    caller = locked(UnregisteredCaller, "unregistered caller", pk=caller_id)
    if caller.state != CallerState.OPEN:
        raise AlreadyDecided()
    return caller


def _decide(caller: UnregisteredCaller, state: CallerState, by: Person) -> None:
    caller.state, caller.decided_by, caller.decided_at = state, by, clock.now()
    caller.save(update_fields=["state", "decided_by", "decided_at", "adopted_as"])
    record(
        f"caller_{state}",
        by=by,
        agent=caller.adopted_as.slug if caller.adopted_as else "",
        resource=f"caller:{caller.pk}",
        more={"claimed": caller.claimed, "source": caller.source, "count": caller.count},
    )
