"""What manages a client outside, and its secret, as they are stored: AES-256-GCM.

The key is derived from the one that lies outside the database; what is sealed is bound to its row.
"""

from __future__ import annotations

import json

from governance.kernel import keys, sealing
from governance.kernel.sealing import SealBroken
from registry.identity.providers.errors import ProviderRefused
from registry.identity.providers.wire import Made
from registry.models import ExternalClient

PURPOSE = "external clients"


def seal(external: ExternalClient, made: Made) -> bytes:
    """The key and the secret of a client, as they are stored."""
    kept = json.dumps({"key": made.key, "secret": made.secret}).encode()
    return sealing.seal(keys.derived(PURPOSE), kept, _bound(external))


def unseal(external: ExternalClient) -> Made:
    """The client as it was made. Raises `ProviderRefused` where what is stored was altered."""
    try:
        opened = sealing.unseal(keys.derived(PURPOSE), bytes(external.sealed), _bound(external))
    except SealBroken as error:
        raise ProviderRefused(
            f"What manages the client of {external} does not open. Delete the client there."
        ) from error
    kept = json.loads(opened)
    return Made(external.client_id, external.place, kept["key"], kept["secret"])


def _bound(external: ExternalClient) -> bytes:
    return f"{external.pk} {external.provider} {external.client_id}".encode()
