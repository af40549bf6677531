"""Denied signatures: one person of security adds one; what lets more through needs two."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypedDict, Unpack

from django.db import transaction

from authz import permissions
from authz.engine.signatures import SignatureError, compiled
from authz.models import Signature
from authz.services.recording import record
from governance.kernel.errors import Invalid
from registry import changes
from registry.errors import ChangeOutdated
from registry.models import Person, ProposedChange
from registry.services.saving import (
    Saved,
    assign,
    check,
    check_alone,
    found,
    keep,
    locked,
    plain,
    remove,
)

SIGNATURE_KIND = "signature"
# What a signature refuses; its reason only describes it.
TERMS = ("pattern", "effects", "tools", "is_active")


class SignatureFields(TypedDict, total=False):
    """What a signature says of itself."""

    pattern: str
    reason: str
    effects: Sequence[str]
    tools: Sequence[str]
    is_active: bool


@transaction.atomic
def save_signature(
    *, slug: str, by: Person, alone: bool = False, **fields: Unpack[SignatureFields]
) -> Saved[Signature]:
    """Add or change a signature. While it is in force, other terms wait for a second person."""
    permissions.check_can_change_signatures(by)
    check_alone(alone)
    row = found(Signature, "signature", slug=slug)
    created = row is None
    row = row or Signature(slug=slug)
    before = _terms(row)
    changed = assign(row, fields)
    _check(row)
    waiting = {} if created or alone or not before["is_active"] else _terms_of(changed)
    for name in waiting:
        setattr(row, name, before[name])
    at_once = sorted(set(changed) - set(waiting))
    if created or at_once:
        keep(row, by)
        _record("signature_added" if created else "signature_changed", row, by, at_once)
    proposed = (_propose(row, waiting, by),) if waiting else ()
    return Saved(row, created=created, changed=tuple(at_once), proposed=proposed)


@transaction.atomic
def remove_signature(*, slug: str, by: Person, alone: bool = False) -> Saved[Signature]:
    """Take a signature out. One that is in force stays until a second person agrees."""
    permissions.check_can_change_signatures(by)
    check_alone(alone)
    row = locked(Signature, "signature", slug=slug)
    if row.is_active and not alone:
        return Saved(row, proposed=(_propose(row, {}, by),))
    _remove(row, by)
    return Saved(row, changed=("removed",))


def apply_signature(change: ProposedChange, by: Person) -> None:
    """Change or remove a signature as was agreed, if it still is as it was shown."""
    row = locked(Signature, "signature", slug=change.target)
    if _terms(row) != change.before:
        raise ChangeOutdated()
    if change.after == {"removed": True}:
        _remove(row, by)
        return
    assign(row, change.after)
    _check(row)
    keep(row, by)
    _record("signature_changed", row, by, sorted(change.after), proposed_by=change.proposed_by)


def _check(row: Signature) -> None:
    check(row)
    try:
        compiled(row.pattern)
    except SignatureError as error:
        raise Invalid(error.message, fields={"pattern": [error.message]}) from error


def _terms(row: Signature) -> dict[str, Any]:
    return {name: plain(getattr(row, name)) for name in TERMS}


def _terms_of(changed: Mapping[str, tuple[Any, Any]]) -> dict[str, Any]:
    return {name: plain(changed[name][1]) for name in TERMS if name in changed}


def _propose(row: Signature, after: Mapping[str, Any], by: Person) -> ProposedChange:
    done = "other terms" if after else "removed"
    if after.get("is_active") is False:
        done = "no longer in force"
    return changes.propose(
        kind=SIGNATURE_KIND,
        target=row.slug,
        summary=f"Denied signature {row.slug}: {done}",
        before=_terms(row),
        after=after or {"removed": True},
        by=by,
    )


def _remove(row: Signature, by: Person) -> None:
    _record("signature_removed", row, by, [])
    remove(row, by)


def _record(
    did: str,
    row: Signature,
    by: Person,
    changed: Sequence[str],
    proposed_by: Person | None = None,
) -> None:
    record(
        did,
        by=by,
        resource=f"signature:{row.slug}",
        told={
            "is_active": row.is_active,
            "effects": list(row.effects),
            "tools": list(row.tools),
            **({"changed": list(changed)} if changed else {}),
            **({"proposed_by": proposed_by.pid} if proposed_by else {}),
        },
        sealed={"pattern": row.pattern, "reason": row.reason},
    )
