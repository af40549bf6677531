"""Figures and times as people read them; the same words on every page, in mails and in files."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal

from django.utils import timezone

_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_NUMBERS = (
    "no one two three four five six seven eight nine ten eleven twelve".split()  # noqa: SIM905
)
_SYMBOLS = {"EUR": "€", "USD": "$", "GBP": "£", "JPY": "¥"}
_WITHOUT_MINOR = {"JPY", "KRW", "ISK", "CLP", "VND"}


def count(value: object) -> str:
    """A count with separators; unknown is not nought."""
    if value is None or value == "":
        return "not known"
    return f"{value:,}" if isinstance(value, int | float | Decimal) else str(value)


def number_word(value: int) -> str:
    """A count in a sentence: `four`, `no`, from thirteen on in figures."""
    return _NUMBERS[value] if 0 <= value < len(_NUMBERS) else f"{value:,}"


def money(minor: int | None, currency: str = "EUR") -> str:
    """Minor units as an amount: `€1,240.00`."""
    if minor is None:
        return "not known"
    digits = minor_digits(currency)
    amount = f"{abs(Decimal(minor).scaleb(-digits)):,.{digits}f}"
    sign = "−" if minor < 0 else ""
    symbol = _SYMBOLS.get(currency)
    return f"{sign}{symbol}{amount}" if symbol else f"{sign}{currency}\u00a0{amount}"


def minor_digits(currency: str) -> int:
    """How many digits of an amount in minor units stand after the point."""
    return 0 if currency in _WITHOUT_MINOR else 2


def percent(share: float | None) -> str:
    """A share of one: `92 %`, with a decimal where it is small."""
    if share is None:
        return "not known"
    value = share * 100
    digits = 0 if value == int(value) or value >= 10 else 2
    return f"{value:.{digits}f}\u202f%"


def duration(value: dt.timedelta | float | None) -> str:
    """Two units at most: `2 h 10 min`, `46 days`, `1.8 ms`."""
    if value is None:
        return "not known"
    seconds = value.total_seconds() if isinstance(value, dt.timedelta) else float(value)
    if seconds < 1:
        return f"{seconds * 1000:.1f}".removesuffix(".0") + " ms"
    whole = round(seconds)
    days, hours, minutes = whole // 86400, whole % 86400 // 3600, whole % 3600 // 60
    if days:
        return _units((days, "day" if days == 1 else "days"), (hours if days < 3 else 0, "h"))
    if hours:
        return _units((hours, "h"), (minutes, "min"))
    return _units((minutes, "min"), (whole % 60 if minutes < 10 else 0, "s"))


def _units(*pairs: tuple[int, str]) -> str:
    told = [f"{amount} {unit}" for amount, unit in pairs if amount]
    return " ".join(told) or f"0 {pairs[-1][1]}"


def day(date: dt.date, *, year: bool | None = None) -> str:
    """The year is left out within 60 days either side."""
    today = timezone.localdate()
    far = abs((date - today).days) > 60 if year is None else year
    said = f"{_DAYS[date.weekday()]} {date.day} {_MONTHS[date.month - 1]}"
    return f"{said} {date.year}" if far else said


def instant(value: dt.datetime, style: str = "minute") -> str:
    """A time in the reader's zone; the styles are those of the tag `when`."""
    local = timezone.localtime(value)
    clock, named, date = local.strftime("%H:%M:%S"), local.strftime("%Z"), day(local.date())
    milliseconds = f"{local.microsecond // 1000:03d}"
    styles = {
        "minute": f"{date}, {clock[:5]} {named}",
        "second": f"{date}, {clock} {named}",
        "stamp": f"{date}, {clock}",
        "record": f"{day(local.date(), year=True)}, {clock}.{milliseconds} {named}",
        "day": date,
        "hour": f"{clock[:5]} {named}",
        "clock": clock,
        "clock_ms": f"{clock}.{milliseconds}",
    }
    return styles[style]
