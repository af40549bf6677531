"""Which identity providers the operator named in `MUSTER_IDENTITY_PROVIDERS`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured

from governance.kernel import egress
from governance.kernel.egress import AddressRefused
from governance.kernel.errors import NotFound

RFC7591 = "rfc7591"
KEYCLOAK = "keycloak"
# What each kind needs besides its name.
NEEDS = {RFC7591: ("registration",), KEYCLOAK: ("url", "realm", "client_id", "secret_file")}
MAY = {RFC7591: ("token_file", "token", "scope"), KEYCLOAK: ("login_realm",)}
MAX_NAME = 40


@dataclass(frozen=True, slots=True)
class Provider:
    """One identity provider: its name, what it speaks, and how it is reached."""

    name: str
    kind: str
    options: Mapping[str, str] = field(default_factory=dict, repr=False)

    def secret(self, name: str) -> str:
        """An option that is secret: what stands in the file that is named, else in the setting.

        Read at each use, so that a new one needs no new start.
        """
        place = self.options.get(f"{name}_file", "")
        if not place:
            return self.options.get(name, "")
        try:
            return Path(place).read_text().strip()
        except OSError as error:
            raise ImproperlyConfigured(
                f"The file {place} of the identity provider {self.name} cannot be read."
            ) from error


def configured() -> tuple[Provider, ...]:
    """Every provider, in the operator's order; empty where there is none."""
    return tuple(_read(each) for each in settings.MUSTER_IDENTITY_PROVIDERS)


def find(name: str) -> Provider:
    """The provider of this name. Raises `NotFound`."""
    for each in configured():
        if each.name == name:
            return each
    raise NotFound(f"MUSTER_IDENTITY_PROVIDERS names no provider {name[:MAX_NAME]}.")


def check_configured() -> None:
    """Raise `ImproperlyConfigured`, which names the fault, unless the setting can be used."""
    names = [each.name for each in configured()]
    if len(set(names)) < len(names):
        raise ImproperlyConfigured("MUSTER_IDENTITY_PROVIDERS names a provider twice.")


def _read(entry: Any) -> Provider:
    if not isinstance(entry, dict) or not all(isinstance(each, str) for each in entry.values()):
        raise ImproperlyConfigured("MUSTER_IDENTITY_PROVIDERS is a JSON list of flat objects.")
    name, kind = entry.get("name", ""), entry.get("kind", "")
    if not 0 < len(name) <= MAX_NAME or not name.isascii() or not name.isprintable():
        raise ImproperlyConfigured("Each of MUSTER_IDENTITY_PROVIDERS needs a short plain name.")
    if kind not in NEEDS:
        kinds = ", ".join(sorted(NEEDS))
        raise ImproperlyConfigured(f"The identity provider {name} must be one of {kinds}.")
    options = {key: value for key, value in entry.items() if key not in ("name", "kind")}
    _check_options(name, kind, options)
    return Provider(name, kind, options)


def _check_options(name: str, kind: str, options: Mapping[str, str]) -> None:
    if missing := [each for each in NEEDS[kind] if not options.get(each)]:
        raise ImproperlyConfigured(
            f"The identity provider {name} lacks {', '.join(missing)} in MUSTER_IDENTITY_PROVIDERS."
        )
    if unknown := sorted(set(options) - {*NEEDS[kind], *MAY[kind]}):
        raise ImproperlyConfigured(
            f"The identity provider {name} does not know {', '.join(unknown)}."
        )
    try:
        egress.place_of(options["registration" if kind == RFC7591 else "url"])
    except AddressRefused as error:
        raise ImproperlyConfigured(f"The identity provider {name}: {error.message}") from error
