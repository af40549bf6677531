"""When the person behind a request last used their second factor."""

from __future__ import annotations

from datetime import UTC, datetime

from allauth.account.authentication import get_authentication_records
from django.http import HttpRequest

from registry.people import signed_in


def second_factor_at(request: HttpRequest) -> datetime | None:
    """The newest use of a second factor in this session, at sign-in or since; None without one."""
    records = get_authentication_records(request, signed_in(request))
    times = [each["at"] for each in records if each["method"] == "mfa"]
    return datetime.fromtimestamp(max(times), UTC) if times else None
