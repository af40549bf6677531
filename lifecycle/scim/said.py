"""What a directory said of someone, read: pure, from the resource as it was sent."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime
from typing import Any

from django.core.exceptions import ValidationError
from django.core.validators import validate_email

from governance.kernel import clock
from governance.kernel.errors import Invalid
from lifecycle.scim.protocol import ENTERPRISE, OURS
from registry.services.joining import Facts
from registry.validators import CONTROL, zones

Said = Mapping[str, Any]


def name_of(said: Said) -> str:
    """What someone is called: as the directory shows them, else as their name is put together.

    Where it says neither, their user name is their name only where nothing else tells who they
    are: whoever is known by an address keeps the name that they have.
    """
    name = said.get("name") or {}
    parts = " ".join(filter(None, (name.get("givenName"), name.get("familyName"))))
    found = said.get("displayName") or name.get("formatted") or parts
    if not found and not address_of(said):
        found = said.get("userName")
    return _line(found or "", 150)


def address_of(said: Said) -> str:
    """Their address: the primary one, else the work one, else the first, else the user name."""
    emails = [each for each in said.get("emails") or [] if each.get("value")]
    ranked = sorted(emails, key=lambda each: (not each.get("primary"), each.get("type") != "work"))
    for value in (*(each["value"] for each in ranked), said.get("userName") or ""):
        address = str(value).strip().lower()
        if len(address) <= 254 and _is_address(address):
            return address
    return ""


def last_day_of(said: Said) -> date | None:
    """Their last day: the date as it is written, in whatever zone that is.

    A day after the usable years says that there is none (9999-12-31, 2999-12-31). It is not
    refused, as with it the word that this person has left would be.
    """
    written = (said.get(OURS) or {}).get("lastDay")
    if not written:
        return None
    try:
        datetime.fromisoformat(str(written).strip())
        day = date.fromisoformat(str(written).strip()[:10])
    except ValueError as error:
        raise Invalid("lastDay must be a date, such as 2026-12-31.") from error
    if day.year > clock.LATEST:
        return None
    if not clock.is_usable(day):
        raise Invalid(f"lastDay lies outside {clock.USABLE}.")
    return day


def manager_of(said: Said) -> str:
    """What names their manager."""
    return str(((said.get(ENTERPRISE) or {}).get("manager") or {}).get("value") or "")


def facts_of(said: Said, before: Said | None, today: date) -> Facts:
    """What is new in it: everything at first, later what is not as it was.

    That someone is not active is said each time, that they are only where they were not.
    """
    facts: Facts = {}
    now, had = _plain(said), _plain(before) if before is not None else {}
    for name, value in now.items():
        if value != had.get(name):
            facts[name] = value  # type: ignore[literal-required]
    _say_active(facts, said, before)
    _say_last_day(facts, said, before, today)
    return facts


def _plain(said: Said) -> dict[str, str]:
    enterprise = said.get(ENTERPRISE) or {}
    plain = {
        "email": address_of(said),
        "department": _line(enterprise.get("department") or "", 100),
    }
    if name := name_of(said):
        plain["name"] = name
    if said.get("timezone") in zones():
        plain["zone"] = said["timezone"]
    return plain


def _say_active(facts: Facts, said: Said, before: Said | None) -> None:
    active = said.get("active") is not False
    if not active or before is None or before.get("active") is False:
        facts["active"] = active


def _say_last_day(facts: Facts, said: Said, before: Said | None, today: date) -> None:
    day, had = last_day_of(said), last_day_of(before or {})
    again = bool(before) and facts.get("active") is True
    if day != had or (again and day is not None and day >= today):
        facts["last_day"] = day


def _line(text: Any, length: int) -> str:
    """Text for a column: without what no name needs, and not too long."""
    kept = "".join(" " if each in CONTROL else each for each in str(text))
    return " ".join(kept.split())[:length].strip()


def _is_address(text: str) -> bool:
    try:
        validate_email(text)
    except ValidationError:
        return False
    return True
