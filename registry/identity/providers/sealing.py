"""What manages a client outside, and its secret, as they are stored: AES-256-GCM.

The key is derived from the one that lies outside the database; what is sealed is bound to its row.
"""

from __future__ import annotations

import json

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from governance.kernel import keys
from governance.kernel.randomness import take
from registry.identity.providers.errors import ProviderRefused
from registry.identity.providers.wire import Made
from registry.models import ExternalClient

NONCE = 12
PURPOSE = "external clients"


def seal(external: ExternalClient, made: Made) -> bytes:
    """nonce ‖ AES-256-GCM over the key and the secret of a client."""
    nonce = take(NONCE)
    kept = json.dumps({"key": made.key, "secret": made.secret}).encode()
    return nonce + AESGCM(keys.derived(PURPOSE)).encrypt(nonce, kept, _bound(external))


def unseal(external: ExternalClient) -> Made:
    """The client as it was made. Raises `ProviderRefused` where what is stored was altered."""
    sealed = bytes(external.sealed)
    try:
        opened = AESGCM(keys.derived(PURPOSE)).decrypt(
            sealed[:NONCE], sealed[NONCE:], _bound(external)
        )
    except (InvalidTag, ValueError) as error:
        raise ProviderRefused(
            f"What manages the client of {external} does not open. Delete the client there."
        ) from error
    kept = json.loads(opened)
    return Made(external.client_id, external.place, kept["key"], kept["secret"])


def _bound(external: ExternalClient) -> bytes:
    return f"{external.pk} {external.provider} {external.client_id}".encode()
