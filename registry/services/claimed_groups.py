"""What a source's groups mean here: agreed to by two, followed at once or at every sign-in."""

from __future__ import annotations

from collections.abc import Collection

from django.db import transaction
from django.db.models import QuerySet

from governance.kernel.errors import Conflict, Invalid, NotFound
from registry import changes, permissions
from registry.enums import GroupName
from registry.models import ClaimedGroup, GivenGroup, Person, ProposedChange
from registry.permissions import Actor, Automatic
from registry.services.people import put_in_groups
from registry.services.saving import check, found, locked, record
from registry.signals import claimed_group_agreed

KIND = "source.group"


def propose_claimed_group(
    *, source: str, claim: str, group: str, by: Person, named: str = ""
) -> ProposedChange:
    """Have everyone in a group of the source be in one here, when a second person agrees."""
    permissions.check_can_change_people(by)
    claim = claim.strip()
    if group not in GroupName.values or not claim:
        raise Invalid("Name a group of the source and one of Muster's.")
    if ClaimedGroup.objects.filter(source=source, claim=claim, group=group).exists():
        raise Conflict("This is agreed already.")
    return changes.propose(
        kind=KIND,
        target=f"{source}/{claim}"[:255],
        summary=f"Whoever is in {named or claim} at {source} is in {group} here.",
        before={},
        after={"source": source, "claim": claim, "named": named, "group": group},
        by=by,
    )


def apply_claimed_group(change: ProposedChange, by: Person) -> None:
    """A second person agrees: it counts at once where the source says so, else at sign-in."""
    row = ClaimedGroup(**change.after, proposed_by=change.proposed_by, agreed_by=by)
    check(row)
    row.save()
    _record("claimed_group_added", row, by)
    claimed_group_agreed.send(sender=ClaimedGroup, row=row, by=by)


@transaction.atomic
def remove_claimed_group(*, pk: int, by: Person) -> None:
    """Narrowing: who is in the group by this alone is out of it at once."""
    permissions.check_can_change_people(by)
    row = found(ClaimedGroup, "mapping", pk=pk)
    if row is None:
        raise NotFound("There is no such mapping.")
    _remove(row, by)


@transaction.atomic
def forget_claim(*, source: str, claim: str, by: Automatic) -> None:
    """The source has no such group any more, and never again one of this id."""
    for row in ClaimedGroup.objects.filter(source=source, claim=claim):
        _remove(row, by)


def _remove(row: ClaimedGroup, by: Actor) -> None:
    people = set(row.given.values_list("person", flat=True))
    for pk in sorted(people):
        person = locked(Person, "person", pk=pk)
        kept = GivenGroup.objects.filter(person=person).exclude(by=row)
        if not kept.filter(by__group=row.group).exists():
            _put(person, _groups_of(person) - {row.group}, by)
    _record("claimed_group_removed", row, by)
    row.delete()


def means_something(source: str, claims: Collection[str] | None = None) -> bool:
    """Whether any group of the source, or any of these, means something here."""
    rows = ClaimedGroup.objects.filter(source=source)
    return (rows if claims is None else rows.filter(claim__in=claims)).exists()


@transaction.atomic
def follow_claims(
    *, person_id: int, source: str, way: str, claims: Collection[str], by: Automatic
) -> None:
    """Have someone be in what the groups mean in which a source says, in this way, that they are.

    What the source gave in this way and does not say any more ends. What was given by hand stays,
    and so does what another source gives. Whoever may not act is in nothing.
    """
    if not means_something(source):
        return
    person = locked(Person, "person", pk=person_id)
    had = _groups_of(person)
    rows = GivenGroup.objects.filter(person=person)
    # What ended otherwise, as when somebody left, the source gives no more.
    rows.exclude(by__group__in=had).delete()
    by_hand = had - _given(rows)
    rows.filter(way=way, by__source=source).delete()
    meant = ClaimedGroup.objects.filter(source=source, claim__in=list(claims))
    for row in meant.exclude(group__in=by_hand) if person.may_act else ():
        GivenGroup.objects.create(by=row, way=way, person=person)
    _put(person, by_hand | _given(rows), by)


def _given(rows: QuerySet[GivenGroup]) -> set[str]:
    return set(rows.values_list("by__group", flat=True))


def _groups_of(person: Person) -> set[str]:
    return set(person.groups.values_list("name", flat=True))


def _put(person: Person, wanted: set[str], by: Actor) -> None:
    if wanted != _groups_of(person):
        put_in_groups(person, wanted, by)


def _record(did: str, row: ClaimedGroup, by: Actor) -> None:
    told = {"source": row.source, "claim": row.claim, "group": row.group}
    record(did, by=by, resource=f"source:{row.source}", more=told)
