"""Relationships between subjects and resources, which policies ask about.

Where a policy in force reads a relation, one more or one less may let something through, so both
wait for a second person (docs/adr/0017). Where none reads it, one person is enough.
"""

from __future__ import annotations

from typing import Any

from django.db import transaction

from audit import services as audit
from authz import permissions, rules
from authz.enums import PolicyState
from authz.models import Policy, Relationship
from authz.services.recording import record
from registry import changes
from registry.models import Person, ProposedChange
from registry.services.saving import Saved, check, check_alone

ADDING_KIND = "relationship.add"
REMOVAL_KIND = "relationship.remove"


@transaction.atomic
def save_relationship(
    *,
    resource_type: str,
    resource_id: str,
    relation: str,
    subject_type: str,
    subject_id: str,
    by: Person,
    alone: bool = False,
) -> Saved[Relationship]:
    """Say that the subject is `relation` of the resource. Said twice is said once."""
    given = _given(resource_type, resource_id, relation, subject_type, subject_id)
    _check(by, alone)
    if known := _find(given):
        return Saved(known)
    check(given)
    if not alone and _is_read(given):
        return Saved(given, proposed=(_propose(ADDING_KIND, given, by),))
    _add(given, by)
    return Saved(given, created=True)


@transaction.atomic
def remove_relationship(
    *,
    resource_type: str,
    resource_id: str,
    relation: str,
    subject_type: str,
    subject_id: str,
    by: Person,
    alone: bool = False,
) -> Saved[Relationship]:
    """Take a relationship back; nothing happens where there is none."""
    given = _given(resource_type, resource_id, relation, subject_type, subject_id)
    _check(by, alone)
    known = _find(given)
    if known is None:
        return Saved(given)
    if not alone and _is_read(known):
        return Saved(known, proposed=(_propose(REMOVAL_KIND, known, by),))
    _remove(known, by)
    return Saved(known, changed=("removed",))


def _given(
    resource_type: str, resource_id: str, relation: str, subject_type: str, subject_id: str
) -> Relationship:
    return Relationship(
        resource_type=resource_type,
        resource_id=resource_id,
        relation=relation,
        subject_type=subject_type,
        subject_id=subject_id,
    )


def _check(by: Person, alone: bool) -> None:
    permissions.check_can_change_relationships(by)
    check_alone(alone)


def _is_read(row: Relationship) -> bool:
    """Does a policy that is in force and enforced ask about this relation?"""
    active = Policy.objects.filter(state=PolicyState.ACTIVE, log_only=False)
    return rules.reads_relation(
        active.values_list("text", flat=True),
        of=row.resource_type,
        relation=row.relation,
        to=row.subject_type,
    )


def _tuple(row: Relationship) -> dict[str, Any]:
    return {
        "resource_type": row.resource_type,
        "resource_id": row.resource_id,
        "relation": row.relation,
        "subject_type": row.subject_type,
        "subject_id": row.subject_id,
    }


def _propose(kind: str, row: Relationship, by: Person) -> ProposedChange:
    there = _tuple(row)
    return changes.propose(
        kind=kind,
        # Ids of things can be personal, and the target of a change is recorded in clear.
        target=audit.index_resource(str(row)),
        summary=f"{'Add' if kind == ADDING_KIND else 'Remove'} {row}",
        before={} if kind == ADDING_KIND else there,
        after=there if kind == ADDING_KIND else {},
        by=by,
    )


def apply_adding(change: ProposedChange, by: Person) -> None:
    """Add what was agreed to, unless it is there meanwhile."""
    given = Relationship(**change.after)
    if _find(given) is None:
        check(given)
        _add(given, by)


def apply_removal(change: ProposedChange, by: Person) -> None:
    """Remove what was agreed on, unless it is gone meanwhile."""
    if known := _find(Relationship(**change.before)):
        _remove(known, by)


def interested(change: ProposedChange) -> set[str]:
    """The person whom the relationship is about: nobody decides their own matter."""
    there = change.after or change.before
    return {str(there.get("subject_id", ""))} - {""}


def _add(row: Relationship, by: Person) -> None:
    row.save()
    _record("relationship_added", row, by)


def _remove(row: Relationship, by: Person) -> None:
    _record("relationship_removed", row, by)
    Relationship.objects.filter(pk=row.pk).delete()


def _find(given: Relationship) -> Relationship | None:
    return Relationship.objects.select_for_update(no_key=True).filter(**_tuple(given)).first()


def _record(did: str, row: Relationship, by: Person) -> None:
    record(
        did,
        by=by,
        # Ids of things can be personal: an e-mail, an IBAN.
        told={"relation": row.relation, "of": row.resource_type, "to": row.subject_type},
        sealed={"resource_id": row.resource_id, "subject_id": row.subject_id},
    )
