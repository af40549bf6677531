"""Relationships between subjects and resources, which policies ask about."""

from __future__ import annotations

from django.db import transaction

from authz import permissions
from authz.models import Relationship
from authz.services.recording import record
from registry.models import Person
from registry.services.saving import check


@transaction.atomic
def save_relationship(
    *,
    resource_type: str,
    resource_id: str,
    relation: str,
    subject_type: str,
    subject_id: str,
    by: Person,
) -> Relationship:
    """Say that the subject is `relation` of the resource. Said twice is said once."""
    permissions.check_can_propose_policies(by)
    given = Relationship(
        resource_type=resource_type,
        resource_id=resource_id,
        relation=relation,
        subject_type=subject_type,
        subject_id=subject_id,
    )
    if known := _find(given):
        return known
    check(given)
    given.save()
    _record("relationship_added", given, by)
    return given


@transaction.atomic
def remove_relationship(
    *,
    resource_type: str,
    resource_id: str,
    relation: str,
    subject_type: str,
    subject_id: str,
    by: Person,
) -> None:
    """Take a relationship back; nothing happens where there is none."""
    permissions.check_can_propose_policies(by)
    known = _find(
        Relationship(
            resource_type=resource_type,
            resource_id=resource_id,
            relation=relation,
            subject_type=subject_type,
            subject_id=subject_id,
        )
    )
    if known:
        _record("relationship_removed", known, by)
        known.delete()


def _find(given: Relationship) -> Relationship | None:
    return (
        Relationship.objects.select_for_update()
        .filter(
            resource_type=given.resource_type,
            resource_id=given.resource_id,
            relation=given.relation,
            subject_type=given.subject_type,
            subject_id=given.subject_id,
        )
        .first()
    )


def _record(did: str, row: Relationship, by: Person) -> None:
    record(
        did,
        by=by,
        # Ids of things can be personal: an e-mail, an IBAN.
        told={"relation": row.relation, "of": row.resource_type, "to": row.subject_type},
        sealed={"resource_id": row.resource_id, "subject_id": row.subject_id},
    )
