"""The tokens of sources: shown once, kept as a digest, good for this one thing."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from datetime import datetime, timedelta

from django.db.models import Q
from scim2_models import UnauthorizedException

from lifecycle import asking
from lifecycle.models import Source, SourceKind

PREFIX = "muster_scim_"
SEEN_EVERY = timedelta(minutes=1)


def new_token() -> str:
    """256 random bits, and what they are for."""
    return PREFIX + secrets.token_urlsafe(32)


def digest_of(token: str) -> str:
    """What is kept of a token; nothing to stretch, since there is nothing to guess."""
    return hashlib.sha256(token.encode("utf-8", "replace")).hexdigest()


def authenticate(authorization: str, address: str, now: datetime) -> Source:
    """The source whose token this is, where it may ask from this address.

    A right token is taken whatever failed before it.
    """
    scheme, _, token = authorization.partition(" ")
    source = _source_of(token.strip(), now) if scheme.lower() == "bearer" else None
    if source is None:
        asking.note_failure(address, now, way="scim")
        raise UnauthorizedException(detail="Send the token of a source: Authorization: Bearer ….")
    asking.check_place(source, address)
    if source.last_seen_at is None or source.last_seen_at < now - SEEN_EVERY:
        Source.objects.filter(pk=source.pk).update(last_seen_at=now)
    return source


def _source_of(token: str, now: datetime) -> Source | None:
    digest = digest_of(token)
    known = Q(token_digest=digest) | Q(previous_digest=digest, previous_until__gt=now)
    found = Source.objects.filter(known, kind=SourceKind.SCIM, ended_at__isnull=True).first()
    if found is None:
        return None
    either = (found.token_digest, found.previous_digest)
    return found if any(hmac.compare_digest(digest, each) for each in either) else None
