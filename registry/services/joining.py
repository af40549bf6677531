"""How someone whom a source of people tells of (a directory, an HR system, a file) becomes ours.

A source's id names a person only through `ExternalIdentity`, never through an id of ours. People
are never deleted, and what somebody who left was called is nobody else's inheritance.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date
from typing import Any, TypedDict, cast

from allauth.account.models import EmailAddress
from django.db import IntegrityError, transaction

from governance.kernel import business_days, clock
from governance.kernel.errors import Conflict, Invalid, NotFound
from registry import selectors
from registry.enums import Employment
from registry.models import ExternalIdentity, Person
from registry.permissions import Automatic
from registry.services.people import set_employment, tell_of_changes
from registry.services.saving import (
    Changes,
    assign,
    check,
    found,
    hold_agents_of,
    keep,
    locked,
    record,
)

# Undeliverable on purpose (RFC 2606): what is sent to someone who left reaches no newcomer.
NOWHERE = "nowhere.invalid"
LEFT = "left.invalid"
# Facts that are fields of a person; a source that said one keeps it.
GIVEN = frozenset({"name", "email", "department", "manager", "zone"})
OWN_ID = re.compile(r"p_[0-9a-f]{20}\Z")


class Facts(TypedDict, total=False):
    """What a source says of someone. Absent means unsaid, and stays as it is."""

    name: str
    email: str
    department: str
    manager: Person | None
    zone: str
    # False is heard each time. True is only to be said where the source says it anew.
    active: bool
    # None takes back that someone is leaving.
    last_day: date | None


@dataclass(frozen=True, slots=True)
class Synced:
    """Whom it came to, and what was done for it."""

    person: Person
    created: bool = False
    # Someone on the register was recognised by their address.
    linked: bool = False
    changed: tuple[str, ...] = ()


def person_of(source: str, external_id: str) -> Person | None:
    """Whom this source means by this id."""
    return selectors.person_by_external_id(source, external_id)


@transaction.atomic
def sync_person(*, source: str, external_id: str, facts: Facts, by: Automatic) -> Synced:
    """Bring someone in line with what a source says of them, or take them up.

    They are known by the source's id alone. An address links only at first sight, and only to
    someone employed whom this source never named.
    """
    fields = _fields_of(facts, external_id)
    met = meet_person(source=source, external_id=external_id, facts=facts, by=by)
    if met is None:
        met = take_up(source=source, external_id=external_id, facts=facts, by=by)
        changed = dict.fromkeys(fields, (None, None))
    else:
        changed = _change(met.person, source, fields, by)
    person = met.person
    employment = _employ(person, source, _heard(person, source, facts, by), by)
    _keep_said(source, external_id, facts)
    return Synced(person, met.created, met.linked, (*changed, *employment))


@transaction.atomic
def meet_person(*, source: str, external_id: str, facts: Facts, by: Automatic) -> Synced | None:
    """Whom a source means, locked: by its id, else by their address at first sight, from when on
    the id names them. None where that is nobody here."""
    if known := person_of(source, external_id):
        return Synced(locked(Person, "person", pk=known.pk))
    if (holder := recognised(source, facts)) is None:
        return None
    _name_in(source, external_id, holder, by, linked=True)
    return Synced(holder, linked=True)


@transaction.atomic
def take_up(*, source: str, external_id: str, facts: Facts, by: Automatic) -> Synced:
    """Someone new, named by this source's id, without a password and in no group."""
    person = _take_up(source, _fields_of(facts, external_id), by)
    _name_in(source, external_id, person, by, linked=False)
    return Synced(person, created=True)


@transaction.atomic
def rename_identity(*, source: str, before: str, after: str, by: Automatic) -> None:
    """A source calls the same person by another id from now on."""
    identity = found(ExternalIdentity, "identity", source=source, external_id=before)
    if identity is None:
        raise NotFound(f"{source} names nobody so.")
    _check_free(source, after)
    identity.external_id = after
    _save(identity)
    _record_identity("identity_renamed", identity.person, by, source, (before, after))


def recognised(source: str, facts: Facts) -> Person | None:
    """Who has the address that the source gives, locked, if they may be recognised by it."""
    holder = _holder(_address(facts))
    if holder is None or not holder.is_employed or _is_named(source, holder):
        return None
    return holder


def _holder(address: str) -> Person | None:
    return found(Person, "person", email__iexact=address) if address else None


def _is_named(source: str, person: Person) -> bool:
    return person.identities.filter(source=source).exists()


def _address(facts: Facts) -> str:
    return facts.get("email", "").strip().lower()


def _fields_of(facts: Facts, external_id: str) -> dict[str, Any]:
    """The columns of a person that were said."""
    plain = ("name", "department", "manager", "zone")
    fields: dict[str, Any] = {name: facts[name] for name in plain if name in facts}  # type: ignore[literal-required]
    if "name" in fields:
        fields["name"] = fields["name"].strip() or _address(facts) or external_id
    if address := _address(facts):
        fields["email"] = address
    return fields


def _take_up(source: str, fields: dict[str, Any], by: Automatic) -> Person:
    """A new person, without a password and in no group."""
    person = Person(**{name: value for name, value in fields.items() if name != "email"})
    person.email = _claim(person, source, fields.get("email", ""), by) or f"{person.pid}@{NOWHERE}"
    person.name = person.name or fields.get("email", "") or "Without a name"
    person.set_password(None)
    keep(person, by)
    told: Changes = {"name": (None, person.name), "email": (None, person.email)}
    _record("person_created", person, by, source, told)
    return person


def _change(person: Person, source: str, fields: dict[str, Any], by: Automatic) -> Changes:
    wanted = dict(fields)
    if wanted.get("email", person.email) != person.email:
        wanted["email"] = _claim(person, source, wanted["email"], by) or person.email
    if wanted.get("manager") == person:
        raise Invalid("Nobody is their own manager.", fields={"manager": ["It is this person."]})
    changed = assign(person, wanted)
    if changed:
        if "email" in changed:
            forget_address(person, changed["email"][0])
        hold_agents_of(person)
        keep(person, by, list(changed))
        _record("person_changed", person, by, source, changed)
        tell_of_changes(person, changed, by)
    return changed


def _claim(person: Person, source: str, address: str, by: Automatic) -> str:
    """The address, if this person may have it: it is free, or who had it has left."""
    holder = _holder(address)
    if holder is None or holder.pk == person.pk:
        return address
    if holder.is_employed:
        _record("address_taken", person, by, source, {"email": (None, address)})
        return ""
    _move_aside(holder, source, by)
    return address


def _move_aside(holder: Person, source: str, by: Automatic) -> None:
    """What they were called goes to someone else, and nothing of theirs goes with it."""
    before = holder.email
    forget_address(holder, before)
    holder.email = f"{before.partition('@')[0][:200]}.{holder.pid}@{LEFT}"
    keep(holder, by, ["email"])
    _record("address_moved_aside", holder, by, source, {"email": (before, holder.email)})


def forget_address(person: Person, address: str) -> None:
    """Nobody signs in as this person by that address any more."""
    EmailAddress.objects.filter(user=person, email__iexact=address).delete()


def _name_in(source: str, external_id: str, person: Person, by: Automatic, *, linked: bool) -> None:
    _check_free(source, external_id)
    _save(ExternalIdentity(person=person, source=source, external_id=external_id))
    did = "identity_linked_by_email" if linked else "identity_added"
    _record_identity(did, person, by, source, (None, external_id))


def _check_free(source: str, external_id: str) -> None:
    if OWN_ID.match(external_id):
        raise Invalid("This is an id of Muster's. Send the id that your directory has.")
    if person_of(source, external_id):
        raise Conflict(f"In {source} this id already names someone else.")


def _save(identity: ExternalIdentity) -> None:
    check(identity)
    try:
        with transaction.atomic():
            identity.save()
    except IntegrityError as error:
        raise Conflict("This person was sent twice at once. Send them again.") from error


def _heard(person: Person, source: str, facts: Facts, by: Automatic) -> Facts:
    """The facts; without those that would bring back whom this source cannot bring back.

    Who leaves or has left stays so as long as another source says it, and where a person alone
    said it: then a person says that they are back.
    """
    if not _brings_back(person, facts):
        return facts
    gone = set(person.identities.filter(said_gone=True).values_list("source", flat=True))
    if gone == {source}:
        return facts
    _record("return_ignored", person, by, source, {})
    rest = {name: value for name, value in facts.items() if name not in {"active", "last_day"}}
    return cast(Facts, rest)


def _brings_back(person: Person, facts: Facts) -> bool:
    if person.employment == Employment.LEFT:
        return facts.get("active") is True
    takes_back = "last_day" in facts and facts["last_day"] is None
    return person.employment == Employment.LEAVING and takes_back


def _keep_said(source: str, external_id: str, facts: Facts) -> None:
    """What this source gives, and whether it said last that they leave."""
    identity = locked(ExternalIdentity, "identity", source=source, external_id=external_id)
    said = {"gives": sorted({*identity.gives, *(set(facts) & GIVEN)}), "said_gone": _gone(facts)}
    if said["said_gone"] is None:
        del said["said_gone"]
    if changed := assign(identity, said):
        identity.save(update_fields=list(changed))


def _gone(facts: Facts) -> bool | None:
    """Whether these facts say that someone leaves or left; None where they say neither."""
    if facts.get("active") is False or facts.get("last_day") is not None:
        return True
    return False if facts.get("active") or "last_day" in facts else None


@transaction.atomic
def let_go(*, source: str) -> int:
    """A source says nothing any more: what it gave may be changed by hand. Returns of how many."""
    told = ExternalIdentity.objects.filter(source=source).exclude(gives=[])
    return told.update(gives=[])


def _employ(person: Person, source: str, facts: Facts, by: Automatic) -> tuple[str, ...]:
    """Move their employment where what was said does."""
    today = business_days.date_in(person.zone, clock.now())
    before = Employment(person.employment)
    employment, last_day = employment_after(before, person.last_day, facts, today)
    if (employment, last_day) == (before, person.last_day):
        return ()
    moved = set_employment(
        person_id=person.pk, employment=employment, last_day=last_day, by=by, source=source
    )
    person.employment, person.last_day = moved.employment, moved.last_day
    person.is_active = moved.is_active
    return ("employment",)


def employment_after(
    before: Employment, last_day: date | None, facts: Facts, today: date
) -> tuple[Employment, date | None]:
    """Whether someone is employed, leaving or gone by what was said, and their last day."""
    said = facts.get("last_day", last_day)
    if facts.get("active") is False or (before == Employment.LEFT and "active" not in facts):
        return Employment.LEFT, _earliest(said, last_day if before == Employment.LEFT else today)
    if before == Employment.LEFT and facts.get("last_day") is None:
        # Back again: an earlier last day is over, unless it is said anew.
        return Employment.EMPLOYED, None
    if said is None:
        return Employment.EMPLOYED, None
    return (Employment.LEFT if said < today else Employment.LEAVING), said


def _earliest(*days: date | None) -> date:
    return min(day for day in days if day)


def _record(did: str, person: Person, by: Automatic, source: str, changes: Changes) -> None:
    record(
        did,
        by=by,
        user=person.pid,
        resource=f"person:{person.pid}",
        changes=changes,
        more={"source": source},
    )


def _record_identity(
    did: str, person: Person, by: Automatic, source: str, pair: tuple[Any, Any]
) -> None:
    _record(did, person, by, source, {"external_id": pair})
