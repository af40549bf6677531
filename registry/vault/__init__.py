"""The vault: one interface, and as many vaults behind it as the installation has.

Call none of these inside a transaction of your own: an outside vault is asked in between. But
`hold_given` asks none, and holds what it finds until your transaction ends.
"""

from registry.vault.reading import Leased, hold_given, read
from registry.vault.services import (
    can_rotate,
    confirm_ended,
    create,
    destroy,
    has_ended,
    health,
    revoke,
    revoke_here,
    revoke_within,
    rotate,
    settle,
    unsettled,
    versions,
    wipe_ended,
)
from registry.vault.types import Secret, Version

__all__ = [
    "Leased",
    "Secret",
    "Version",
    "can_rotate",
    "confirm_ended",
    "create",
    "destroy",
    "has_ended",
    "health",
    "hold_given",
    "read",
    "revoke",
    "revoke_here",
    "revoke_within",
    "rotate",
    "settle",
    "unsettled",
    "versions",
    "wipe_ended",
]
