"""The vault in Muster's own database: what lies there is sealed, its key lies elsewhere."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta

from django.db import connection, transaction
from django.db.models import Q, QuerySet

from governance.kernel import clock
from governance.kernel.errors import GovernanceError
from registry.models import StoredSecret, StoredVersion
from registry.vault import envelope, keyring
from registry.vault.errors import CannotRotate, NothingStored, NotYours
from registry.vault.types import AtSource, Place, Secret, Version

# Whoever wraps holds it shared; a rotation of the key holds it alone while it drops the old one.
KEY_LOCK = 0x6D757374_7661756C


class Embedded:
    """AES-256-GCM envelopes. Everything it does is part of the caller's transaction."""

    inside = True

    def create(self, place: Place, secret: Secret) -> str:
        with wrapping():
            stored = _locked(place)
            if stored and stored.agent != place.agent:
                raise NotYours()
            stored = stored or StoredSecret(reference=place.reference, agent=place.agent)
            if not stored.wrapped_key:
                _give_key(stored)
            stored.versions.all().delete()
            return _append(stored, secret)

    def read(self, place: Place) -> tuple[Secret, str]:
        stored = StoredSecret.objects.filter(reference=place.reference, agent=place.agent).first()
        version = stored.versions.filter(_open_ended()).first() if stored else None
        if stored is None or version is None:
            raise NothingStored()
        value = envelope.unseal(
            _data_key(stored), bytes(version.sealed), place.agent, place.reference, version.number
        )
        return Secret(value.decode()), str(version.number)

    def rotate(self, place: Place, secret: Secret | None, overlap: timedelta) -> str:
        if secret is None:
            raise CannotRotate()
        with transaction.atomic():
            stored = _locked(place)
            if stored is None or stored.agent != place.agent or not stored.wrapped_key:
                raise NothingStored()
            stored.versions.filter(_open_ended()).update(ends_at=clock.now() + overlap)
            name = _append(stored, secret)
            _wipe(stored, clock.now())
            return name

    def rotates_itself(self, place: Place) -> bool:
        return False

    def revoke(self, place: Place, *, ours: bool) -> AtSource:
        self.destroy(place)
        return AtSource.REMOVED

    def destroy(self, place: Place) -> None:
        with transaction.atomic():
            stored = _locked(place)
            if stored is None or stored.agent != place.agent:
                return
            stored.versions.all().delete()
            stored.wrapped_key, stored.key_id = b"", ""
            stored.save()

    def versions(self, place: Place) -> list[Version]:
        held = StoredVersion.objects.filter(
            secret__reference=place.reference, secret__agent=place.agent
        ).filter(_open_ended() | Q(ends_at__gt=clock.now()))
        return [
            Version(str(each.number), each.made_at, each.ends_at is None, each.ends_at)
            for each in held
        ]

    def health(self) -> str:
        try:
            keyring.current()
        except GovernanceError as error:
            return error.message
        strangers = unknown_keys()
        return wrong_key(strangers) if strangers else ""


def unknown_keys() -> list[str]:
    """The ids of keys that secrets here are wrapped under and that are not at hand."""
    used = StoredSecret.objects.exclude(key_id="").order_by().values_list("key_id", flat=True)
    known = {envelope.vault_key(raw).id for raw in keyring.raw_keys()}
    return sorted(set(used.distinct()) - known)


def wrong_key(strangers: list[str]) -> str:
    """What to do where keys are missing."""
    return (
        f"Secrets are wrapped under a key that is not here ({', '.join(strangers)}). "
        "Put back the key file vault_kek of the time of this database."
    )


def wipe_ended(now: datetime) -> int:
    """Remove the versions whose overlap is over; how many there were."""
    return ended(now).delete()[0]


def ended(now: datetime) -> QuerySet[StoredVersion]:
    """Versions that were kept for an overlap which is over."""
    return StoredVersion.objects.filter(ends_at__lte=now)


@contextmanager
def wrapping() -> Iterator[None]:
    """A transaction in which the key that wraps stays the one that wraps."""
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_xact_lock_shared(%s)", [KEY_LOCK])
        yield


def rewrap(stored: StoredSecret) -> bool:
    """Wrap a secret's data key under the current key; the value stays as it is."""
    key = keyring.current()
    if stored.key_id in ("", key.id):
        return False
    data_key = _data_key(stored)
    stored.wrapped_key = envelope.wrap(key, data_key, stored.agent, stored.reference)
    stored.key_id = key.id
    stored.save()
    return True


def _open_ended() -> Q:
    return Q(ends_at__isnull=True)


def _locked(place: Place) -> StoredSecret | None:
    return (
        StoredSecret.objects.select_for_update(no_key=True)
        .filter(reference=place.reference)
        .first()
    )


def _give_key(stored: StoredSecret) -> None:
    key = keyring.current()
    stored.key_id = key.id
    stored.wrapped_key = envelope.wrap(key, envelope.new_data_key(), stored.agent, stored.reference)
    stored.save()


def _data_key(stored: StoredSecret) -> bytes:
    return envelope.unwrap(
        keyring.named(stored.key_id), bytes(stored.wrapped_key), stored.agent, stored.reference
    )


def _append(stored: StoredSecret, secret: Secret) -> str:
    """A number is never given twice, also not after everything was destroyed."""
    stored.last_number += 1
    stored.save()
    sealed = envelope.seal(
        _data_key(stored),
        secret.reveal().encode(),
        stored.agent,
        stored.reference,
        stored.last_number,
    )
    StoredVersion.objects.create(
        secret=stored, number=stored.last_number, sealed=sealed, made_at=clock.now()
    )
    return str(stored.last_number)


def _wipe(stored: StoredSecret, now: datetime) -> None:
    stored.versions.filter(ends_at__lte=now).delete()
