"""What names, references and loose values may look like."""

from __future__ import annotations

import zoneinfo
from functools import cache
from typing import Any

from django.core.exceptions import ValidationError
from django.core.validators import RegexValidator

from governance.kernel.business_days import UnknownCalendar, check_calendar
from registry import gates as gate_rules

SLUG = r"^[a-z0-9]+(?:[-_.][a-z0-9]+)*\Z"
TOOL_NAME = r"^[A-Za-z0-9_]+(?:[.:/-][A-Za-z0-9_]+)*\Z"
# What every JSON reader agrees on (RFC 7493).
MAX_INTEGER = 2**53 - 1
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


def gates(value: Any) -> None:
    """Refuse what says nothing about gates, see `registry.gates`."""
    json_object(value)
    if fault := gate_rules.fault_in(value):
        raise ValidationError(fault)
