"""Which identity providers people sign in with: `MUSTER_SIGN_IN_PROVIDERS`."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured

from governance.kernel import egress
from governance.kernel.egress import AddressRefused
from governance.kernel.errors import NotAllowed, NotFound

SETTING = "MUSTER_SIGN_IN_PROVIDERS"
MIN_SECRET = 16
MIN_DIFFERENT = 8
NEEDS = ("id", "name", "issuer", "client_id")
# What of the amr values of RFC 8176 is, or needs, a second factor; `sms` and `tel` are not here.
STRONG = ("mfa", "otp", "hwk", "sc", "fpt", "face", "iris", "retina", "vbm")


@dataclass(frozen=True, slots=True)
class Provider:
    """One provider. `source` is how the register's external identities name it."""

    id: str
    name: str
    issuer: str
    client_id: str
    secret: str = field(default="", repr=False)
    secret_file: str = ""
    source: str = ""
    # Which claim names a person for good; Entra ID's `oid` is the same in every application.
    subject_claim: str = "sub"
    groups_claim: str = ""
    scope: str = "openid profile email"
    # Whether an address that the provider does not call verified is believed all the same.
    trust_email: bool = False
    # Claims that must be exactly so: {"hd": "example.com"}, {"tid": "…"}.
    require: Mapping[str, str] = field(default_factory=dict)
    # Whether someone whom nobody knows is put on the register, as a plain owner.
    create_people: bool = False
    second_factor_amr: tuple[str, ...] = STRONG
    second_factor_acr: tuple[str, ...] = ()
    # After how long the provider is asked again whether someone may still come in.
    session_minutes: int = 60

    def read_secret(self) -> str:
        """The client secret. Read at each use, so that a new one needs no new start."""
        if not self.secret_file:
            return self.secret
        try:
            return Path(self.secret_file).read_text().strip()
        except OSError as error:
            raise ImproperlyConfigured(
                f"The file {self.secret_file} of the sign-in provider {self.id} cannot be read."
            ) from error


def configured() -> tuple[Provider, ...]:
    """Every provider, in the operator's order; empty where there is none."""
    return tuple(_read(each) for each in settings.MUSTER_SIGN_IN_PROVIDERS)


def find(name: str) -> Provider:
    """The provider of this id. Raises `NotFound`."""
    for each in configured():
        if each.id == name:
            return each
    raise NotFound("There is no such way to sign in.")


def check_signs_nobody_in(source: str) -> None:
    """Raise `NotAllowed` where an id of this source is a way in: of a provider, or of a directory
    that tells the provider's own ids."""
    if source in {each.source for each in configured()}:
        raise NotAllowed(
            f"People sign in by the ids of {source}. The first sign-in, or the directory of that "
            "name, says whose an id is. Choose another name."
        )


def local_is_on() -> bool:
    """Whether people may come in with a password or a passkey of Muster's own."""
    return bool(settings.MUSTER_LOCAL_SIGN_IN == "on")


def check_configured() -> None:
    """Raise `ImproperlyConfigured`, which names the fault, unless the settings can be used."""
    found = configured()
    for what in ("id", "source"):
        named = [getattr(each, what) for each in found]
        if len(set(named)) < len(named):
            raise ImproperlyConfigured(f"{SETTING} names the {what} of a provider twice.")
    if settings.MUSTER_LOCAL_SIGN_IN not in ("on", "off"):
        raise ImproperlyConfigured("MUSTER_LOCAL_SIGN_IN must be on or off.")
    if not local_is_on() and not found:
        raise ImproperlyConfigured(
            f"MUSTER_LOCAL_SIGN_IN is off and {SETTING} names no provider: nobody could come in."
        )


def _read(entry: Any) -> Provider:
    if not isinstance(entry, dict):
        raise ImproperlyConfigured(f"{SETTING} is a JSON list of objects.")
    name = str(entry.get("id", ""))
    if not re.fullmatch(r"[a-z0-9][a-z0-9-]{0,39}", name):
        raise ImproperlyConfigured(f"Each of {SETTING} needs an id of lower-case letters.")
    if missing := [each for each in NEEDS if not entry.get(each)]:
        raise ImproperlyConfigured(f"The sign-in provider {name} lacks {', '.join(missing)}.")
    if unknown := sorted(set(entry) - {each.name for each in fields(Provider)}):
        raise ImproperlyConfigured(f"The sign-in provider {name} does not know {unknown[0]}.")
    _check_types(name, entry)
    given: dict[str, Any] = {
        key: tuple(value) if isinstance(value, list) else value for key, value in entry.items()
    }
    provider = Provider(**({"source": name} | given))
    _check(provider)
    return provider


_TYPES: dict[str, type] = {
    "trust_email": bool,
    "create_people": bool,
    "require": dict,
    "second_factor_amr": list,
    "second_factor_acr": list,
    "session_minutes": int,
}


def _check_types(name: str, entry: Mapping[str, Any]) -> None:
    for key, value in entry.items():
        if type(value) is not _TYPES.get(key, str):
            kind = _TYPES.get(key, str).__name__
            raise ImproperlyConfigured(f"The sign-in provider {name}: {key} must be a {kind}.")


def _check(provider: Provider) -> None:
    where = f"The sign-in provider {provider.id}"
    try:
        egress.place_of(provider.issuer)
    except AddressRefused as error:
        raise ImproperlyConfigured(f"{where}: its issuer: {error.message}") from error
    if "?" in provider.issuer:
        raise ImproperlyConfigured(f"{where}: an issuer has no query.")
    if "openid" not in provider.scope.split():
        raise ImproperlyConfigured(f"{where}: its scope must hold openid.")
    if not 5 <= provider.session_minutes <= 720:
        raise ImproperlyConfigured(f"{where}: session_minutes must be 5 to 720.")
    secret = provider.read_secret()
    if len(secret) < MIN_SECRET or len(set(secret)) < MIN_DIFFERENT:
        raise ImproperlyConfigured(
            f"{where} needs a secret of {MIN_SECRET} characters or more that nobody can guess."
        )
