"""Where a call reaches out to: the domains of its recipients."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator, Mapping
from urllib.parse import urlsplit

import re2

from authz.engine.types import Json

MAX_DOMAIN = 253
# Every @ of a recipient begins a domain: a text with two of them has two recipients.
_AFTER_AT = re2.compile(r"@\s*([^\s@<>()\[\],;:\"'\\/?#]+)")
_ADDRESS = re2.compile(r"[^\s@<>]+@[^\s@<>]+")
_DOMAIN = re2.compile(r"(?:[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?\.)+[a-z0-9-]{2,63}")

# What another reader may drop, or not: nobody knows then where it goes.
_INVISIBLE = frozenset({"Cc", "Cf", "Co", "Cn", "Cs"})

Facts = Mapping[str, Json]


def domains_of(tool: Facts, parameters: Facts) -> frozenset[str] | None:
    """The domains that a call sends to; None where one of its recipients names none.

    What counts is the tool's recipient parameter, and each other parameter that is nothing but
    an address, such as a copy's. A call without a recipient names none.
    """
    found: set[str] = set()
    named = str(tool.get("recipient") or "")
    values = list(_texts(parameters.get(named))) if named in parameters else [""]
    others = (value for name, value in parameters.items() if name != named)
    values += [text for value in others for text in _texts(value) if _is_address(text)]
    for text in values:
        domains = _domains_in(text)
        if not domains:
            return None
        found.update(domains)
    return frozenset(found)


def _texts(value: Json) -> Iterator[str]:
    for one in value if isinstance(value, list | tuple) else [value]:
        yield one if isinstance(one, str) else ""


def _is_address(text: str) -> bool:
    return bool(_ADDRESS.fullmatch(text.strip()))


def _domains_in(text: str) -> list[str]:
    """The domains of one recipient text, none where any of them cannot be read."""
    plain = unicodedata.normalize("NFKC", text).strip().lower()
    if any(unicodedata.category(character) in _INVISIBLE for character in plain):
        return []
    if "://" in plain:
        found = [_host(plain)]
    elif "@" in plain:
        found = _AFTER_AT.findall(plain)
        if len(found) != plain.count("@"):
            return []
    else:
        found = [plain]
    domains = [_domain(one) for one in found]
    return domains if all(domains) else []


def _host(url: str) -> str:
    try:
        return urlsplit(url).hostname or ""
    except ValueError:
        return ""


def _domain(text: str) -> str:
    """A domain in its one form, "" for what is none."""
    try:
        name = text.rstrip(".").encode("idna").decode("ascii").lower()
    except UnicodeError:
        return ""
    return name if len(name) <= MAX_DOMAIN and _DOMAIN.fullmatch(name) else ""
