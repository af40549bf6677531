"""Why someone does not come in through a provider."""

from __future__ import annotations

from governance.kernel.errors import NotAllowed, Unavailable


class SignInRefused(NotAllowed):
    """You cannot come in with this account."""

    code = "sign_in_refused"


class ProviderAway(Unavailable):
    """The identity provider does not answer. Try again, or have emergency access opened."""

    code = "provider_away"
