"""What goes wrong with a provider outside."""

from __future__ import annotations

from governance.kernel.errors import Unavailable


class ProviderRefused(Unavailable):
    """The identity provider did not do what it was asked."""

    code = "provider_refused"


class ClientGone(ProviderRefused):
    """The identity provider does not know this client any more."""

    code = "provider_client_gone"
