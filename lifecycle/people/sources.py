"""Sources that sign what they send, and files: who sets them up, and their secrets."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta

from django.conf import settings
from django.db import transaction
from django.db.models import QuerySet

from governance.kernel import keys, sealing
from governance.kernel.database_clock import database_now
from governance.kernel.errors import Conflict, NotFound
from lifecycle import asking
from lifecycle.models import Source, SourceKind
from lifecycle.people import signing
from registry import permissions, services
from registry.models import Person
from registry.oidc import listed
from registry.services.saving import check, found, record

PURPOSE = "people webhooks"
FILE = "file"


def open_sources(kind: str) -> QuerySet[Source]:
    """Sources of this kind to which Muster listens."""
    return Source.objects.filter(kind=kind, ended_at__isnull=True)


@transaction.atomic
def open_webhook(
    *,
    slug: str,
    title: str,
    by: Person,
    silent_days: int | None = None,
    networks: Iterable[str] = (),
) -> tuple[Source, str]:
    """Listen to an HR system; returns its secret, which is never shown again."""
    permissions.check_can_change_people(by)
    _check_new(slug)
    secret, now = signing.new_secret(), database_now()
    source = Source(
        slug=slug,
        kind=SourceKind.WEBHOOK,
        title=title,
        secret=_seal(slug, secret),
        token_made_at=now,
        silent_days=silent_days,
        networks=asking.read_networks(networks),
        created_at=now,
        created_by=by,
    )
    check(source)
    source.save()
    _record("source_opened", source, by)
    return source, secret


def _check_new(slug: str) -> None:
    listed.check_signs_nobody_in(slug)
    if Source.objects.filter(slug=slug).exists():
        raise Conflict(f"There is a source {slug} already. Its name stands in what it said.")


@transaction.atomic
def rotate_secret(*, source_id: int, by: Person) -> tuple[Source, str]:
    """A new secret. The one before works on for `MUSTER_SOURCE_OVERLAP_HOURS`."""
    permissions.check_can_change_people(by)
    source = _locked(source_id)
    secret, now = signing.new_secret(), database_now()
    source.previous_secret = source.secret
    source.previous_until = now + timedelta(hours=settings.MUSTER_SOURCE_OVERLAP_HOURS)
    source.secret, source.token_made_at = _seal(source.slug, secret), now
    source.save()
    _record("source_secret_rotated", source, by)
    return source, secret


@transaction.atomic
def set_webhook_networks(*, source_id: int, networks: Iterable[str], by: Person) -> Source:
    """Say from where it may speak; nowhere in particular means from everywhere."""
    permissions.check_can_change_people(by)
    return asking.keep_networks(_locked(source_id), networks, by)


@transaction.atomic
def end_webhook(*, source_id: int, by: Person) -> Source:
    """Listen no more. What it gave of people may be changed by hand from now on."""
    permissions.check_can_change_people(by)
    source = _locked(source_id)
    source.secret = source.previous_secret = b""
    source.previous_until = None
    source.ended_at, source.ended_by = database_now(), by
    source.save()
    services.let_go(source=source.slug)
    _record("source_ended", source, by)
    return source


@transaction.atomic
def file_source(*, slug: str, by: Person) -> Source:
    """The source that files of this name speak for; made at the first of them."""
    permissions.check_can_change_people(by)
    listed.check_signs_nobody_in(slug)
    source = Source.objects.filter(slug=slug).first()
    if source is None:
        now = database_now()
        source = Source(slug=slug, kind=SourceKind.CSV, title=slug, created_at=now, created_by=by)
        check(source)
        source.save()
        _record("source_opened", source, by)
    if source.kind != SourceKind.CSV or not source.is_open:
        raise Conflict(f"{slug} is no source of files. Choose another name for it.")
    return source


def keys_of(source: Source, now: datetime) -> list[bytes]:
    """The keys by which this source may sign at this moment."""
    sealed = [source.secret]
    if source.previous_until and source.previous_until > now:
        sealed.append(source.previous_secret)
    return [signing.key_of(_unseal(source.slug, bytes(each))) for each in sealed if each]


def _locked(source_id: int) -> Source:
    source = found(Source, "source", pk=source_id)
    if source is None or source.kind != SourceKind.WEBHOOK:
        raise NotFound("There is no such source.")
    if not source.is_open:
        raise Conflict("This source is ended. Open another one.")
    return source


def _seal(slug: str, secret: str) -> bytes:
    return sealing.seal(keys.derived(PURPOSE), secret.encode(), slug.encode())


def _unseal(slug: str, sealed: bytes) -> str:
    return sealing.unseal(keys.derived(PURPOSE), sealed, slug.encode()).decode()


def _record(did: str, source: Source, by: Person) -> None:
    record(did, by=by, resource=f"source:{source.slug}", more={"kind": source.kind})


__all__ = [
    "FILE",
    "end_webhook",
    "file_source",
    "keys_of",
    "open_sources",
    "open_webhook",
    "rotate_secret",
    "set_webhook_networks",
]
