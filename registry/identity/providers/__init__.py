"""The clients of agents in identity providers outside: made, read, changed, disabled, deleted.

`listed` says which providers there are, `rfc7591` and `keycloak` speak to them, `services`
keeps what became of it. Nothing here waits for a provider inside a transaction.
"""

from registry.identity.providers.errors import ProviderRefused
from registry.identity.providers.listed import Provider, check_configured, configured
from registry.identity.providers.services import (
    Registered,
    confirm_deleted,
    delete,
    disable,
    due,
    follow,
    handle,
    open_row,
    register,
    settle,
    take_secret,
)

__all__ = [
    "Provider",
    "ProviderRefused",
    "Registered",
    "check_configured",
    "configured",
    "confirm_deleted",
    "delete",
    "disable",
    "due",
    "follow",
    "handle",
    "open_row",
    "register",
    "settle",
    "take_secret",
]
