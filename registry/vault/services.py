"""What people and Muster do with a credential: store, rotate, revoke, destroy.

An outside vault is never asked inside a transaction: the row is claimed, the vault is asked, the
row is settled. What a crash leaves between two of them is taken up by doing it again, or by
`settle`, which the sweep `vault` calls.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta

from django.conf import settings
from django.db import transaction

from governance.kernel import clock
from governance.kernel.errors import GovernanceError, Invalid, Unavailable
from registry import permissions
from registry.enums import CredentialHolder, CredentialKind, CredentialState
from registry.errors import WrongState
from registry.models import Agent, CredentialReference, Person, System
from registry.models.credentials import OVER
from registry.permissions import Actor, Automatic
from registry.services.agents import add_credential_reference, today_of
from registry.services.saving import keep, locked, record
from registry.signals import credential_revoked
from registry.vault import back_ends, embedded, places
from registry.vault.errors import (
    AlreadyStored,
    BeingRotated,
    CannotRotate,
    CredentialRevoked,
    NothingStored,
)
from registry.vault.types import AtSource, Place, Secret, Version, generated

S = CredentialState
# A rotation that takes longer has died.
CLAIM = timedelta(minutes=5)
SETTLING = Automatic("vault")


def create(
    reference: str,
    value: str | None,
    *,
    agent: Agent,
    by: Person,
    system: System | None = None,
    scope: str = "",
    holder: str = CredentialHolder.OWN,
) -> CredentialReference:
    """Store a credential of an agent where its reference says; None has Muster make the value.

    Done again after a crash it is done once. Raises `AlreadyStored` where there is one.
    """
    secret = generated() if value is None else Secret(value)
    back_end = back_ends.of(reference)
    place = places.place_of(agent.slug, reference)
    with transaction.atomic():
        credential = add_credential_reference(
            agent_id=agent.pk,
            reference=reference,
            by=by,
            system=system,
            scope=scope,
            holder=holder,
        )
        _claim_storing(credential, by, made_here=value is None)
    version = back_end.create(place, secret)
    with transaction.atomic():
        credential = _locked(reference)
        if credential.state == S.STORING:
            _set_version(credential, version, by, "credential_stored")
            return credential
    # It was revoked meanwhile: what was just stored goes the same way.
    settle(credential.pk)
    raise CredentialRevoked()


def _claim_storing(credential: CredentialReference, by: Person, *, made_here: bool) -> None:
    if credential.state == S.ACTIVE:
        raise AlreadyStored()
    _check_not_over(credential)
    credential.state, credential.kind = S.STORING, CredentialKind.HERE
    credential.generated = made_here
    keep(credential, by)


def _check_not_over(credential: CredentialReference) -> None:
    if credential.state in OVER:
        raise CredentialRevoked()


def _set_version(credential: CredentialReference, version: str, by: Actor, did: str) -> None:
    before = credential.version
    credential.state, credential.version = S.ACTIVE, version
    credential.rotating_since = None
    credential.rotated_on = today_of(credential.agent.owner)
    keep(credential, by)
    _record(did, credential, by, {"version": (before, version)})


def rotate(
    reference: str, *, by: Actor, value: str | None = None, overlap: timedelta | None = None
) -> CredentialReference:
    """Make another value the current one; the one before stays for `overlap`.

    Without `value` Muster makes it, where it made the first one, or the vault does, where it
    rotates by itself. Raises `CannotRotate`, `BeingRotated`.
    """
    secret = None if value is None else Secret(value)
    lasting = timedelta(hours=settings.MUSTER_OVERLAP_HOURS) if overlap is None else overlap
    credential = _claim_rotation(reference, by)
    place = _place(credential)
    try:
        secret = _next_value(credential, place) if secret is None else secret
        version = back_ends.of(reference).rotate(place, secret, lasting)
    except GovernanceError as error:
        _give_up(reference, by, error)
        raise
    with transaction.atomic():
        credential = _locked(reference)
        if credential.state not in OVER:
            _set_version(credential, version, by, "credential_rotated")
            return credential
    settle(credential.pk)
    raise CredentialRevoked()


def _claim_rotation(reference: str, by: Actor) -> CredentialReference:
    with transaction.atomic():
        credential = _locked(reference)
        check_can_change(credential, by)
        _check_not_over(credential)
        if not _is_readable(credential):
            raise NothingStored()
        since = credential.rotating_since
        if since and since > clock.now() - CLAIM:
            raise BeingRotated()
        credential.rotating_since = clock.now()
        keep(credential, by)
        return credential


def check_can_change(credential: CredentialReference, by: Actor) -> None:
    """Muster's own sweeps, and who may change the agent."""
    if isinstance(by, Person):
        permissions.check_can_change_agent(credential.agent, by)


def _next_value(credential: CredentialReference, place: Place) -> Secret | None:
    if credential.generated:
        return generated()
    if not back_ends.of(credential.reference).rotates_itself(place):
        raise CannotRotate()
    return None


def _give_up(reference: str, by: Actor, error: GovernanceError) -> None:
    with transaction.atomic():
        credential = _locked(reference)
        credential.rotating_since = None
        keep(credential, by)
        _record("credential_rotation_failed", credential, by, {"error": ("", error.code)})


def can_rotate(credential: CredentialReference) -> str:
    """Why Muster cannot rotate it by itself; empty if it can. Asks the vault where it must."""
    try:
        _check_not_over(credential)
        if not _is_readable(credential):
            raise NothingStored()
        _next_value(credential, _place(credential))
    except GovernanceError as error:
        return error.message
    return ""


def revoke(reference: str, *, by: Actor, reason: str) -> CredentialReference:
    """End a credential at once: from the commit on nobody gets it. Twice is once.

    What an agent may have read is then ended at its source where the vault can do that;
    otherwise it counts as still live there until somebody says that it is not.
    """
    credential = revoke_here(reference, by=by, reason=reason)
    settle(credential.pk)
    credential.refresh_from_db()
    return credential


@transaction.atomic
def revoke_here(reference: str, *, by: Actor, reason: str) -> CredentialReference:
    """As `revoke`, and its vault is not asked: `settle` does that, or the sweep `vault`."""
    credential = _locked(reference)
    _check_and_revoke(credential, by, reason)
    return credential


def revoke_within(reference: str, *, by: Actor, reason: str) -> CredentialReference:
    """As `revoke`, within a transaction of the caller's: its vault is told after the commit."""
    credential = _locked(reference)
    _check_and_revoke(credential, by, reason)
    transaction.on_commit(lambda: settle(credential.pk), robust=True)
    return credential


def _check_and_revoke(credential: CredentialReference, by: Actor, reason: str) -> None:
    permissions.check_can_suspend_agent(credential.agent, by)
    if not reason.strip():
        raise Invalid("Say why.", fields={"reason": ["Say why."]})
    if credential.state not in OVER:
        _revoke(credential, by, reason.strip()[:500])


def _revoke(credential: CredentialReference, by: Actor, reason: str) -> None:
    credential.live_at_source = _may_be_known(credential)
    credential.state, credential.revoked_at = S.REVOKED, clock.now()
    credential.revoked_why, credential.rotating_since = reason, None
    keep(credential, by)
    _record("credential_revoked", credential, by, {"reason": ("", reason)})
    credential_revoked.send(sender=CredentialReference, credential=credential, by=by, reason=reason)


def _may_be_known(credential: CredentialReference) -> bool:
    """Whether anything outside may hold the value: an agent that read it, another way to it."""
    if credential.last_read_at is not None or credential.kind == CredentialKind.ELSEWHERE:
        return True
    return not credential.generated and credential.state == S.ACTIVE


def settle(credential_id: int) -> bool:
    """Have a revoked credential's vault do what it can; False where that is not done yet.

    Before this is done nobody gets the credential either: it is about what was read before.
    """
    credential = CredentialReference.objects.select_related("agent").get(pk=credential_id)
    if credential.state not in OVER:
        return False
    try:
        done = _end_at_vault(credential)
    except Unavailable:
        return False
    with transaction.atomic():
        credential = _locked(credential.reference)
        credential.settled_at = clock.now()
        if done is AtSource.ENDED:
            credential.live_at_source = False
        keep(credential, SETTLING)
        _record("credential_settled", credential, SETTLING, {"at_source": ("", str(done))})
    return True


def _end_at_vault(credential: CredentialReference) -> AtSource:
    ours = credential.kind == CredentialKind.HERE
    try:
        place, back_end = _place(credential), back_ends.of(credential.reference)
    except Invalid:
        # A pointer to somewhere that Muster has no hand in.
        return AtSource.UNTOUCHED
    return back_end.revoke(place, ours=ours)


def unsettled(now: datetime) -> list[int]:
    """Revoked credentials whose vault has not been told, or not yet done, what there is to do."""
    waiting = CredentialReference.objects.filter(state__in=OVER, settled_at__isnull=True)
    return list(waiting.order_by("revoked_at").values_list("pk", flat=True))


@transaction.atomic
def confirm_ended(reference: str, *, by: Person, reason: str) -> CredentialReference:
    """Someone's word that a revoked credential opens nothing any more at its source."""
    credential = _locked(reference)
    check_can_change(credential, by)
    if not reason.strip():
        sentence = "Say how you know: who ended it, where, when."
        raise Invalid(sentence, fields={"reason": [sentence]})
    if not credential.may_be_live:
        return credential
    credential.live_at_source = False
    credential.ended_by, credential.ended_why = by, reason.strip()[:500]
    keep(credential, by)
    _record("credential_ended_at_source", credential, by, {"reason": ("", reason.strip()[:500])})
    return credential


def destroy(reference: str, *, by: Actor) -> CredentialReference:
    """Remove every version of a revoked credential that Muster stored, for good."""
    with transaction.atomic():
        credential = _locked(reference)
        check_can_change(credential, by)
        if credential.state not in OVER:
            raise WrongState(f"{reference} is in use: revoke it first.")
    if credential.kind == CredentialKind.HERE:
        back_ends.of(reference).destroy(_place(credential))
    with transaction.atomic():
        credential = _locked(reference)
        if credential.state != S.DESTROYED:
            credential.state = S.DESTROYED
            keep(credential, by)
            _record("credential_destroyed", credential, by, {})
    return credential


def versions(reference: str) -> list[Version]:
    """What the vault still holds of a credential, the newest first."""
    credential = CredentialReference.objects.select_related("agent").filter(reference=reference)
    found = credential.first()
    if found is None:
        raise NothingStored()
    return back_ends.of(reference).versions(_place(found))


def wipe_ended(now: datetime) -> int:
    """Remove what was kept for an overlap that is over."""
    return embedded.wipe_ended(now)


def has_ended(now: datetime) -> bool:
    """Whether there is anything that `wipe_ended` would remove."""
    return embedded.ended(now).exists()


def health() -> Mapping[str, str]:
    """Each vault by its scheme: empty if it answers, else a sentence."""
    return {scheme: back_end.health() for scheme, back_end in back_ends.every().items()}


def _is_readable(credential: CredentialReference) -> bool:
    """Stored here, or named where an outside vault of this installation keeps it."""
    if credential.state == S.ACTIVE:
        return True
    scheme = places.scheme_of(credential.reference)
    return credential.state == S.DECLARED and scheme in (places.AWS, places.KV)


def _place(credential: CredentialReference) -> Place:
    return places.place_of(credential.agent.slug, credential.reference)


def _locked(reference: str) -> CredentialReference:
    """The row and who answers for it."""
    credential = locked(CredentialReference, "credential", reference=reference)
    credential.agent = Agent.objects.select_related("owner", "backup_owner").get(
        pk=credential.agent_id
    )
    return credential


def _record(
    did: str,
    credential: CredentialReference,
    by: Actor,
    changes: dict[str, tuple[object, object]],
) -> None:
    record(
        did,
        by=by,
        agent=credential.agent.slug,
        resource=f"credential:{credential.reference}",
        changes=changes,
    )
