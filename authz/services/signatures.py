"""Denied signatures: one person of security adds one; what lets more through needs two."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypedDict, Unpack

from django.db import transaction

from authz import permissions
from authz.engine.signatures import SignatureError, compiled
from authz.models import Signature
from authz.services.guarded import Guarded, Terms
from governance.kernel.errors import Invalid
from registry.models import Person, ProposedChange
from registry.services.saving import Saved, check

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
    return _SIGNATURES.save(
        lambda: Signature(slug=slug), slug=slug, by=by, alone=alone, fields=fields
    )


@transaction.atomic
def remove_signature(*, slug: str, by: Person, alone: bool = False) -> Saved[Signature]:
    """Take a signature out. One that is in force stays until a second person agrees."""
    permissions.check_can_change_signatures(by)
    return _SIGNATURES.remove(slug=slug, by=by, alone=alone)


def apply_signature(change: ProposedChange, by: Person) -> None:
    """Change or remove a signature as was agreed, if it still is as it was shown."""
    _SIGNATURES.apply(change, by)


def _check(row: Signature) -> None:
    check(row)
    try:
        compiled(row.pattern)
    except SignatureError as error:
        raise Invalid(error.message, fields={"pattern": [error.message]}) from error


def _waiting(_: Terms, new: Terms) -> Terms:
    return new


def _summary(row: Signature, after: Terms) -> str:
    done = "other terms" if after else "removed"
    if after.get("is_active") is False:
        done = "no longer in force"
    return f"Denied signature {row.slug}: {done}"


_SIGNATURES: Guarded[Signature] = Guarded(
    model=Signature,
    what="signature",
    word="signature",
    kind=SIGNATURE_KIND,
    terms=TERMS,
    check=_check,
    waiting=_waiting,
    summary=_summary,
    told=lambda row: {
        "is_active": row.is_active,
        "effects": list(row.effects),
        "tools": list(row.tools),
    },
    sealed=lambda row: {"pattern": row.pattern, "reason": row.reason},
)
