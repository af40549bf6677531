"""The key files of an installation, made once and never changed by us.

The sealer's key is none of them: it makes that itself, in a folder of its own.
"""

from __future__ import annotations

import base64
import secrets
from collections.abc import Callable

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from governance.kernel import private_file, secret_key
from governance.runner import accounts
from governance.runner.places import Places
from registry.identity.keys import ensure_signing_key


def make(places: Places, host: str = "localhost") -> None:
    """Make what is missing; the run-time account may read the keys and nobody else.

    `host` is where the installation is first reached: the name of its log for good.
    """
    makers: dict[str, Callable[[], str]] = {
        "secret_key": secret_key.make,
        "kek": _random_key,
        "index_key": _random_key,
        "vault_kek": _random_key,
        "receipt_key": _random_key,
        "origin": lambda: f"{host}/{secrets.token_hex(8)}",
    }
    for name, made in makers.items():
        if not (places.keys / name).exists():
            private_file.write(places.keys / name, made())
    ensure_signing_key(places.keys)
    accounts.give(places.keys, accounts.for_run_time(places.data))


def origin(places: Places) -> str:
    """The name of this installation's log."""
    return (places.keys / "origin").read_text().strip()


def receipt_key(places: Places) -> str:
    """The public half of the key that signs receipts, for the sealer to certify."""
    text = (places.keys / "receipt_key").read_text().strip()
    seed = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    public = Ed25519PrivateKey.from_private_bytes(seed).public_key().public_bytes_raw()
    return base64.b64encode(public).decode()


def _random_key() -> str:
    return _base64url(secrets.token_bytes(32))


def _base64url(value: bytes) -> str:
    return base64.urlsafe_b64encode(value).rstrip(b"=").decode()
