"""What names, references and loose values may look like."""

from __future__ import annotations

import re
import zoneinfo
from datetime import date
from functools import cache
from typing import Any
from urllib.parse import urlsplit

from django.core.exceptions import ValidationError
from django.core.validators import RegexValidator

from governance.kernel import clock
from governance.kernel.business_days import UnknownCalendar, check_calendar
from registry import gates as gate_rules

SLUG = r"^[a-z0-9]+(?:[-_.][a-z0-9]+)*\Z"
TOOL_NAME = r"^[A-Za-z0-9_]+(?:[.:/-][A-Za-z0-9_]+)*\Z"
# What every JSON reader agrees on (RFC 7493).
MAX_INTEGER = 2**53 - 1
MAX_REDIRECT_URIS = 10
LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})
# The characters of a URI (RFC 3986) but for "#", which begins a fragment.
_URI = re.compile(r"[A-Za-z0-9\-._~:/?\[\]@!$&'()*+,;=%]{1,300}")
CONTROL = frozenset(map(chr, (*range(32), *range(127, 160)))) - frozenset("\t\n\r")

slug = RegexValidator(
    SLUG, "Use lower-case letters, digits, and single - _ . between them, such as refund-desk."
)
tool_name = RegexValidator(
    TOOL_NAME, "Use letters, digits, _ and single . : / - between them, such as crm.update_status."
)
country = RegexValidator(r"^[A-Z]{2}\Z", "Use the two capital letters of ISO 3166, such as IE.")
currency = RegexValidator(r"^[A-Z]{3}\Z", "Use the three capital letters of ISO 4217: EUR.")


def plain_text(value: str) -> None:
    """Refuse control characters and half surrogates, which no name or sentence needs."""
    if not CONTROL.isdisjoint(value):
        raise ValidationError("Control characters are not allowed here.")
    if not value.isascii() and any("\ud800" <= character <= "\udfff" for character in value):
        raise ValidationError("This text holds half of a character.")


def day(value: date) -> None:
    """Refuse a day with which no calendar works (`clock.is_usable`)."""
    if not clock.is_usable(value):
        raise ValidationError(f"Choose a day from {clock.USABLE}.")


def zone(value: str) -> None:
    """Refuse what is no IANA time zone."""
    if value not in zones():
        raise ValidationError("Use the IANA name of a time zone, such as Europe/Copenhagen.")


def calendar(value: str) -> None:
    """Refuse what names no holidays."""
    try:
        check_calendar(value)
    except UnknownCalendar as error:
        raise ValidationError(str(error)) from error


@cache
def zones() -> frozenset[str]:
    """Every IANA name of a time zone; asking for them walks through all files of them."""
    return frozenset(zoneinfo.available_timezones())


def json_object(value: Any) -> None:
    """Refuse what is no JSON object, and texts in it that the database cannot hold."""
    if not isinstance(value, dict):
        raise ValidationError("This must be a JSON object.")
    waiting: list[Any] = [value]
    while waiting:
        item = waiting.pop()
        if isinstance(item, str):
            plain_text(item)
        elif isinstance(item, list):
            waiting.extend(item)
        elif isinstance(item, dict):
            waiting.extend((*item.keys(), *item.values()))


def redirect_uris(value: Any) -> None:
    """Refuse what is no list of a few exact addresses: https, or this machine's own (RFC 8252)."""
    if not isinstance(value, list) or len(value) > MAX_REDIRECT_URIS:
        raise ValidationError(f"At most {MAX_REDIRECT_URIS} addresses.")
    if len(set(value)) != len(value):
        raise ValidationError("One of these addresses stands there twice.")
    for each in value:
        if not _is_redirect_uri(each):
            raise ValidationError(
                f"{str(each)[:100]} is no exact address: https, or http on 127.0.0.1, [::1] or "
                "localhost, with a path, without a fragment and without a user."
            )


def _is_redirect_uri(value: Any) -> bool:
    if not isinstance(value, str) or not value.isascii() or not _URI.fullmatch(value):
        return False
    try:
        parts = urlsplit(value)
        named = bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False
    if not named or "@" in parts.netloc or not parts.path.startswith("/"):
        return False
    return parts.scheme == "https" or (parts.scheme == "http" and parts.hostname in LOOPBACK)


def gates(value: Any) -> None:
    """Refuse what says nothing about gates, see `registry.gates`."""
    json_object(value)
    if fault := gate_rules.fault_in(value):
        raise ValidationError(fault)
