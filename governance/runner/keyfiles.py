"""The key files of an installation, made once and never changed by us."""

from __future__ import annotations

import base64
import secrets
from collections.abc import Callable

from governance.kernel import secret_key
from governance.runner import accounts
from governance.runner.places import Places
from governance.runner.roles import write_private
from registry.identity.keys import ensure_signing_key


def make(places: Places) -> None:
    """Make what is missing; the run-time account may read the keys and nobody else."""
    makers: dict[str, Callable[[], str]] = {
        "secret_key": secret_key.make,
        "kek": _random_key,
        "index_key": _random_key,
        "vault_kek": _random_key,
    }
    for name, made in makers.items():
        if not (places.keys / name).exists():
            write_private(places.keys / name, made())
    ensure_signing_key(places.keys)
    accounts.give(places.keys, accounts.for_run_time(places.data))


def _random_key() -> str:
    return _base64url(secrets.token_bytes(32))


def _base64url(value: bytes) -> str:
    return base64.urlsafe_b64encode(value).rstrip(b"=").decode()
