"""Directories that speak SCIM: who sets them up, and their tokens."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta

from django.conf import settings
from django.db import transaction

from governance.kernel import clock
from governance.kernel.errors import Conflict, NotAllowed, NotFound
from lifecycle import asking
from lifecycle.models import Source, SourceKind
from lifecycle.scim import effects, tokens
from registry.enums import GroupName
from registry.models import Person
from registry.permissions import OPERATORS, in_group
from registry.services.saving import check, found, record


def check_can_run_sources(by: Person) -> None:
    """Let a directory in, and shut it out."""
    if not in_group(by, GroupName.PLATFORM_ADMIN):
        raise NotAllowed("Only platform admins set up directories.")


def check_can_see_sources(by: Person) -> None:
    """See which directories there are, and what each of them did."""
    if not in_group(by, *OPERATORS, GroupName.AUDITOR):
        raise NotAllowed("Only security, auditors and platform admins see what directories did.")


@transaction.atomic
def open_source(
    *, slug: str, title: str, by: Person | None, networks: Iterable[str] = ()
) -> tuple[Source, str]:
    """Listen to a directory; returns its token, which is never shown again.

    `by=None` is the demo alone.
    """
    if by is not None:
        check_can_run_sources(by)
    if slug == "log" or Source.objects.filter(slug=slug).exists():
        raise Conflict(f"There is a source {slug} already. Its name stands in what it said.")
    token, now = tokens.new_token(), clock.now()
    source = Source(
        slug=slug,
        kind=SourceKind.SCIM,
        title=title.strip(),
        token_digest=tokens.digest_of(token),
        token_made_at=now,
        networks=asking.read_networks(networks),
        created_at=now,
        created_by=by,
    )
    check(source)
    source.save()
    _record("source_opened", source, by)
    return source, token


@transaction.atomic
def rotate_token(*, source_id: int, by: Person) -> tuple[Source, str]:
    """A new token. The one before works on for `MUSTER_SOURCE_OVERLAP_HOURS`."""
    check_can_run_sources(by)
    source = _open(source_id)
    token, now = tokens.new_token(), clock.now()
    source.previous_digest = source.token_digest
    source.previous_until = now + timedelta(hours=settings.MUSTER_SOURCE_OVERLAP_HOURS)
    source.token_digest, source.token_made_at = tokens.digest_of(token), now
    source.save()
    _record("source_token_rotated", source, by)
    return source, token


@transaction.atomic
def revoke_earlier_token(*, source_id: int, by: Person) -> Source:
    """End the token before the last one at once."""
    check_can_run_sources(by)
    source = _open(source_id)
    if source.previous_digest:
        source.previous_digest, source.previous_until = "", None
        source.save()
        _record("source_token_revoked", source, by)
    return source


@transaction.atomic
def set_networks(*, source_id: int, networks: Iterable[str], by: Person) -> Source:
    """Say from where it may ask; nowhere in particular means from everywhere."""
    check_can_run_sources(by)
    return asking.keep_networks(_open(source_id), networks, by)


@transaction.atomic
def end_source(*, source_id: int, by: Person) -> Source:
    """Listen no more. Groups that it gave end; people stay as they are."""
    check_can_run_sources(by)
    source = _open(source_id)
    source.token_digest = source.previous_digest = ""
    source.previous_until = None
    source.ended_at, source.ended_by = clock.now(), by
    source.save()
    _record("source_ended", source, by)
    effects.settle_groups(source, effects.given_by(source))
    return source


def _open(source_id: int) -> Source:
    source = found(Source, "source", pk=source_id)
    if source is None or source.kind != SourceKind.SCIM:
        raise NotFound("There is no such directory.")
    if not source.is_open:
        raise Conflict("This directory is ended. Open another one.")
    return source


def _record(did: str, source: Source, by: Person | None) -> None:
    who = by or effects.actor_of(source)
    record(did, by=who, resource=f"source:{source.slug}", more={"kind": source.kind})
