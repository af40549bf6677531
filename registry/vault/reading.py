"""The one way in which a value leaves the vault: on a fresh, unused decision for it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from django.conf import settings
from django.db import transaction

from audit import selectors as audit
from audit import services as record
from audit.enums import Kind, Mode
from audit.errors import UnknownRecord
from audit.models import Record
from governance.kernel import clock
from registry import guard
from registry.models import CredentialReference
from registry.models.credentials import OVER
from registry.reserved import SYSTEM, TOOL
from registry.vault import back_ends, places
from registry.vault.errors import CredentialRevoked, NoFreshDecision, UnknownCredential
from registry.vault.types import Secret

EVERYTHING = audit.AuditScope(everything=True)


@dataclass(frozen=True, slots=True)
class Leased:
    """A value on its way out, of which version, and for how long it may be used."""

    credential: CredentialReference
    secret: Secret
    version: str
    expires_at: datetime


def read(reference: str, record_id: UUID) -> Leased:
    """The current value of a credential, on the decision `record_id`.

    That it is read is on the record, committed, before the vault is asked; the decision is used
    up with it. Whatever was revoked meanwhile does not leave. Not inside a transaction.
    """
    credential = _claim(reference, record_id)
    place = places.place_of(credential.agent.slug, reference)
    secret, version = back_ends.of(reference).read(place)
    with transaction.atomic():
        hold_given(credential)
    expires_at = clock.now() + timedelta(seconds=settings.MUSTER_LEASE_SECONDS)
    return Leased(credential, secret, version, expires_at)


@transaction.atomic(durable=True)
def _claim(reference: str, record_id: UUID) -> CredentialReference:
    """Use the decision up. The row's lock makes two readers of one decision take turns."""
    credential = (
        CredentialReference.objects.select_for_update(of=("self",), no_key=True)
        .select_related("agent__owner")
        .filter(reference=reference)
        .first()
    )
    if credential is None:
        raise UnknownCredential()
    _check_given(credential)
    decision = _fresh(record_id, credential)
    now = clock.now()
    # As it is no change of the row, the row's history is left alone.
    CredentialReference.objects.filter(pk=credential.pk).update(last_read_at=now)
    record.record(
        kind=Kind.ACCESS,
        actor=decision.actor,
        agent=decision.agent,
        user=decision.user,
        tool=TOOL,
        resource=decision.resource,
        session=decision.session,
        parent=decision.id,
        asked={"did": "credential_read", "version": credential.version},
    )
    return credential


def _check_given(credential: CredentialReference) -> None:
    if credential.state in OVER:
        raise CredentialRevoked()
    guard.require_active(credential.agent)


def hold_given(credential: CredentialReference) -> None:
    """As it is now, and so until the caller's transaction ends; raise where it is given no more.

    It may have been revoked, or its agent stopped, while the vault was asked. Who does either
    from now on waits, and then finds what was given.
    """
    guard.require_active(guard.held(credential.agent_id))
    now = CredentialReference.objects.select_for_update(no_key=True).filter(pk=credential.pk)
    if now.values_list("state", flat=True).first() in (None, *OVER):
        raise CredentialRevoked()


def _fresh(record_id: UUID, credential: CredentialReference) -> Record:
    """The decision, if it allows just this and nothing was read on it yet."""
    try:
        decision = audit.get_record(record_id, scope=EVERYTHING)
    except UnknownRecord as error:
        raise NoFreshDecision() from error
    said = (decision.kind, decision.effect, decision.mode, decision.tool, decision.agent)
    wanted = (Kind.DECISION, "allow", Mode.ENFORCE, TOOL, credential.agent.slug)
    oldest = clock.now() - timedelta(seconds=settings.MUSTER_DECISION_SECONDS)
    if (
        said != wanted
        or decision.resource != f"{SYSTEM}/{credential.reference}"
        or decision.at < oldest
        or any(each.tool == TOOL for each in audit.children_of(decision))
    ):
        raise NoFreshDecision()
    return decision
