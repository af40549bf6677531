"""Which vaults this installation has, by the scheme of a reference."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache

from django.conf import settings

from registry.vault import places
from registry.vault.embedded import Embedded
from registry.vault.errors import NoBackEnd
from registry.vault.types import BackEnd


def of(reference: str) -> BackEnd:
    """The vault that keeps a reference. Raises `NoBackEnd`."""
    scheme = places.scheme_of(reference)
    found = every().get(scheme)
    if found is None:
        known = ", ".join(f"{each}://" for each in every())
        raise NoBackEnd(f"No vault here keeps this reference. It must begin with {known}.")
    return found


def every() -> Mapping[str, BackEnd]:
    """The vaults that MUSTER_VAULTS names, by scheme."""
    return {places.SCHEMES[name]: _made(name) for name in settings.MUSTER_VAULTS}


@cache
def _made(name: str) -> BackEnd:
    """One of each for this process; the libraries of the others are not even loaded."""
    if name == "aws":
        from registry.vault.aws import SecretsManager  # noqa: PLC0415  takes long to load

        return SecretsManager()
    if name == "kv":
        from registry.vault.kv import KeyValue  # noqa: PLC0415  takes long to load

        return KeyValue()
    return Embedded()
