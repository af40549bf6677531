"""What must hold of the vault before a process may serve; see `governance.kernel.checks`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.conf import settings
from django.core import checks
from django.core.checks import CheckMessage, Error, Tags
from django.core.exceptions import ImproperlyConfigured
from django.db import DatabaseError

from governance.kernel.checks import TAG, UNCHECKED, weakness
from registry.vault import embedded, keyring


@checks.register(TAG, Tags.security)
def check_vault_key(app_configs: Any, **_: Any) -> list[CheckMessage]:
    """E009: the keys of the embedded vault are there, whole and not text or a pattern."""
    if settings.MUSTER_PROCESS in UNCHECKED or "embedded" not in settings.MUSTER_VAULTS:
        return []
    try:
        found = keyring.raw_keys()
    except ImproperlyConfigured as error:
        return [Error(f"The vault has no key: {error}", id="muster.E009")]
    return [
        Error(f"The vault's key is unsafe: {fault}", id="muster.E009")
        for key in found
        if (fault := weakness(key))
    ]


@checks.register(TAG, Tags.database)
def check_vault_opens(
    app_configs: Any, databases: Sequence[str] | None = None, **_: Any
) -> list[CheckMessage]:
    """E010: no secret is wrapped under a key that is not here, as after restoring one of two."""
    unchecked = settings.MUSTER_PROCESS in UNCHECKED or not databases
    if unchecked or "embedded" not in settings.MUSTER_VAULTS:
        return []
    try:
        strangers = embedded.unknown_keys()
    except (ImproperlyConfigured, DatabaseError):
        # Told by E009 and E005.
        return []
    return [Error(embedded.wrong_key(strangers), id="muster.E010")] if strangers else []
