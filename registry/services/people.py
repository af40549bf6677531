"""People: who they are, whether they are still here, what groups they are in."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date
from typing import Any, Unpack

from django.contrib.auth.models import Group
from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from django.db import transaction
from guardian.shortcuts import assign_perm

from governance.kernel.errors import Conflict, Invalid, NotAllowed
from registry import changes, permissions, selectors
from registry.enums import Employment, GroupName
from registry.errors import ChangeOutdated
from registry.models import ExternalIdentity, Person, ProposedChange
from registry.oidc import listed
from registry.permissions import Automatic
from registry.services.fields import PersonDetails, PersonFields
from registry.services.saving import (
    Changes,
    Saved,
    assign,
    check,
    check_alone,
    hold_agents_of,
    keep,
    locked,
    record,
)
from registry.signals import employment_changed, person_changed

GROUPS_KIND = "person.groups"
FIRST = Automatic("first_administrator")


@transaction.atomic
def create_person(
    *,
    email: str,
    name: str,
    by: Person | None,
    alone: bool = False,
    password: str | None = None,
    **fields: Unpack[PersonDetails],
) -> Person:
    """Put someone on the register. Without anyone on it, nobody (`by=None`) may do so.

    Without a password they cannot sign in with one. `alone` changes nothing here: a person
    without groups widens nothing.
    """
    check_alone(alone)
    if by is None:
        _check_nobody_here()
    else:
        permissions.check_can_change_people(by)
    return _create(email, name, by or FIRST, password, fields)


def _check_nobody_here() -> None:
    if Person.objects.exists():
        raise NotAllowed("Someone on the register must do this; sign in first.")


def _create(
    email: str, name: str, by: Person | Automatic, password: str | None, fields: Any
) -> Person:
    person = Person(email=email.strip().lower(), name=name.strip(), **fields)
    if password is not None:
        _check_password(password, person)
    person.set_password(password)
    keep(person, by)
    told = {"name": (None, person.name), "email": (None, person.email)}
    record("person_created", by=by, user=person.pid, resource=f"person:{person.pid}", changes=told)
    return person


def _check_password(password: str, person: Person) -> None:
    try:
        validate_password(password, person)
    except ValidationError as error:
        raise Invalid(" ".join(error.messages), fields={"password": error.messages}) from error


@transaction.atomic
def create_first_administrator(*, email: str) -> Person:
    """The person who lets everyone else in, while nobody who could has ever signed in."""
    operators = Person.objects.filter(groups__name__in=permissions.OPERATORS)
    if operators.filter(last_login__isnull=False).exists():
        raise NotAllowed("Someone administers this installation already: ask them.")
    known = operators.filter(is_active=True).exclude(employment=Employment.LEFT)
    if first := known.order_by("pk").first():
        return first
    person = Person.objects.filter(email__iexact=email).first()
    person = person or _create(email, "Administrator", FIRST, None, {"chat_handle": "@admin"})
    wanted = set(permissions.groups_of(person)) | permissions.OPERATORS
    put_in_groups(person, wanted, FIRST)
    return person


@transaction.atomic
def update_person(*, person_id: int, by: Person, **fields: Unpack[PersonFields]) -> Person:
    """Change what is known of someone; everyone keeps their own name, handle and zone."""
    person = locked(Person, "person", pk=person_id)
    wanted: dict[str, Any] = dict(fields)
    if "email" in wanted:
        wanted["email"] = wanted["email"].strip().lower()
    changed = assign(person, wanted)
    permissions.check_can_change_person(person, by, frozenset(changed))
    if "email" in changed:
        permissions.check_can_change_address(person, by)
    if not changed:
        return person
    _check_not_given(person, changed)
    _check_manager(person)
    hold_agents_of(person)
    keep(person, by, list(changed))
    record(
        "person_changed",
        by=by,
        user=person.pid,
        resource=f"person:{person.pid}",
        changes=changed,
    )
    tell_of_changes(person, changed, by)
    return person


def tell_of_changes(person: Person, changed: Changes, by: Person | Automatic) -> None:
    """Tell the apps above what is known differently of someone."""
    before = {name: pair[0] for name, pair in changed.items()}
    person_changed.send(
        sender=Person, person=person, changed=frozenset(changed), before=before, by=by
    )


def _check_not_given(person: Person, changed: Changes) -> None:
    """What a source gives is changed there: here it would only last until the source speaks."""
    given = selectors.given_by(person)
    told = {
        name: [f"It comes from {given[name]}. Change it there."]
        for name in changed
        if name in given
    }
    if told:
        names = ", ".join(sorted(told))
        sources = ", ".join(sorted({given[name] for name in told}))
        raise Invalid(
            f"{sources} says what the {names} of {person} is. Change it there.",
            code="given_by_source",
            fields=told,
        )


def _check_manager(person: Person) -> None:
    if person.manager_id == person.pk:
        raise Invalid(
            "Nobody is their own manager.", fields={"manager": ["Nobody is their own manager."]}
        )


@transaction.atomic
def set_employment(
    *,
    person_id: int,
    employment: str,
    last_day: date | None = None,
    by: Person | Automatic,
    source: str = "",
) -> Person:
    """Say that someone is employed, leaving or has left; `source` is the one of people's that did.

    Who has left is signed out, and their agents are denied, from the commit on.
    """
    person = locked(Person, "person", pk=person_id)
    if isinstance(by, Person):
        permissions.check_can_change_people(by)
    before = Employment(person.employment)
    last = None if employment == Employment.EMPLOYED else last_day or person.last_day
    wanted: dict[str, Any] = {"employment": employment, "last_day": last}
    if Employment.LEFT in {employment, before}:
        wanted["is_active"] = employment != Employment.LEFT
    if employment != before:
        wanted["access_ended_at"] = None
    changed = assign(person, wanted)
    if not changed.keys() - {"access_ended_at"}:
        return person
    hold_agents_of(person)
    keep(person, by, list(changed))
    if isinstance(by, Person) and employment == Employment.EMPLOYED:
        # A person's word ends what any source said before.
        person.identities.filter(said_gone=True).update(said_gone=False)
    record(
        "employment_changed",
        by=by,
        user=person.pid,
        resource=f"person:{person.pid}",
        changes=changed,
        more={"source": source} if source else None,
    )
    employment_changed.send(sender=Person, person=person, before=before, by=by)
    return person


@transaction.atomic
def set_groups(
    *, person_id: int, groups: Iterable[str], by: Person, alone: bool = False
) -> Saved[Person]:
    """Have someone be in exactly these groups: leaving at once, joining when another agrees."""
    permissions.check_can_change_people(by)
    check_alone(alone)
    person = locked(Person, "person", pk=person_id)
    wanted, had = _known_groups(groups), set(permissions.groups_of(person))
    joins, stays = wanted - had, wanted & had
    target = wanted if alone else stays
    if target != had:
        put_in_groups(person, target, by)
    changed = ("groups",) if target != had else ()
    if not joins or alone:
        return Saved(person, changed=changed)
    return Saved(person, changed=changed, proposed=(_propose_groups(person, joins, by),))


def _known_groups(groups: Iterable[str]) -> set[str]:
    wanted = set(groups)
    if unknown := sorted(wanted - set(GroupName.values)):
        raise Invalid(
            f"There is no group {unknown[0]!r}; there are {', '.join(GroupName.values)}.",
            fields={"groups": [f"There is no group {name!r}." for name in unknown]},
        )
    return wanted


def _propose_groups(person: Person, joins: set[str], by: Person) -> ProposedChange:
    return changes.propose(
        kind=GROUPS_KIND,
        target=person.pid,
        summary=f"{person} joins {', '.join(sorted(joins))}.",
        before={"groups": sorted(permissions.groups_of(person))},
        after={"joins": sorted(joins)},
        by=by,
    )


def put_in_groups(person: Person, names: set[str], by: Person | Automatic) -> None:
    """Set the groups; whoever is in any of them may open the admin."""
    before = sorted(permissions.groups_of(person))
    person.groups.set([Group.objects.get_or_create(name=str(name))[0] for name in names])
    person.__dict__.pop("group_names", None)
    if GroupName.SOURCE_OWNER in set(names) - set(before):
        # Who had left and comes back to their duty has the systems that are still theirs.
        for system in person.owned_systems.all():
            assign_perm("registry.change_system", person, system)
    staff = bool(names)
    if person.is_staff != staff:
        person.is_staff = staff
        keep(person, by, ["is_staff"])
    record(
        "groups_changed",
        by=by,
        user=person.pid,
        resource=f"person:{person.pid}",
        changes={"groups": (before, sorted(map(str, names)))},
    )


def apply_groups(change: ProposedChange, by: Person) -> None:
    """Let someone join, now that a second person agrees."""
    person = locked(Person, "person", pid=change.target)
    if not person.may_act:
        raise ChangeOutdated(f"{person} has left since. Reject this.")
    put_in_groups(person, {*permissions.groups_of(person), *change.after["joins"]}, by)


def check_who_agrees_to_groups(change: ProposedChange, by: Person) -> None:
    """Security; or the person themself, where there is no second one in security yet."""
    if not may_join_alone(change, by):
        permissions.check_can_agree(by)


def may_join_alone(change: ProposedChange, by: Person) -> bool:
    """The second security person joins by their own word: nobody else could agree to it."""
    return (
        by.pid == change.target
        and GroupName.SECURITY in change.after["joins"]
        and not selectors.has_separation_of_duties()
    )


def interested_in_groups(change: ProposedChange) -> set[str]:
    """Nobody agrees to their own joining, but for the exception above."""
    person = Person.objects.filter(pid=change.target).first()
    return set() if person and may_join_alone(change, person) else {change.target}


@transaction.atomic
def add_external_identity(
    *, person_id: int, source: str, external_id: str, by: Person
) -> ExternalIdentity:
    """Say how another directory names someone. An id that is somebody else's is refused, and so
    is one by which people sign in: nobody alone says who comes in as whom."""
    permissions.check_can_change_people(by)
    listed.check_signs_nobody_in(source)
    person = locked(Person, "person", pk=person_id)
    known = ExternalIdentity.objects.filter(source=source, external_id=external_id).first()
    if known and known.person_id == person.pk:
        return known
    if known:
        raise Conflict(f"In {source} this id already names someone else.")
    identity = ExternalIdentity(person=person, source=source, external_id=external_id)
    check(identity)
    identity.save()
    _record_identity("identity_added", person, by, source, (None, external_id))
    return identity


@transaction.atomic
def remove_external_identity(*, person_id: int, source: str, external_id: str, by: Person) -> None:
    """Take such a name away; nothing happens where it is not theirs."""
    permissions.check_can_change_people(by)
    person = locked(Person, "person", pk=person_id)
    deleted, _ = person.identities.filter(source=source, external_id=external_id).delete()
    if deleted:
        _record_identity("identity_removed", person, by, source, (external_id, None))


def _record_identity(
    did: str, person: Person, by: Person, source: str, pair: tuple[Any, Any]
) -> None:
    record(
        did,
        by=by,
        user=person.pid,
        resource=f"person:{person.pid}",
        changes={"external_id": pair},
        more={"source": source},
    )


@transaction.atomic
def set_own_password(*, person_id: int, password: str, by: Person) -> Person:
    """Choose one's own password. Only who did it is recorded."""
    person = locked(Person, "person", pk=person_id)
    if person.pk != by.pk:
        raise NotAllowed("Everyone chooses their own password.")
    permissions.check_may_act(by)
    _check_password(password, person)
    person.set_password(password)
    keep(person, by, ["password"])
    record("password_chosen", by=by, user=person.pid, resource=f"person:{person.pid}")
    return person


__all__ = [
    "add_external_identity",
    "create_first_administrator",
    "create_person",
    "remove_external_identity",
    "set_employment",
    "set_groups",
    "set_own_password",
    "update_person",
]
