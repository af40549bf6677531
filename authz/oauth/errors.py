"""Refusals of the OAuth endpoints (RFC 6749 section 5.2). `code` goes out as `error`."""

from __future__ import annotations

from governance.kernel.errors import GovernanceError


class OAuthError(GovernanceError):
    """The request was refused."""

    code = "invalid_request"
    status = 400


class InvalidRequest(OAuthError):
    """The request is malformed."""


class WrongMethod(OAuthError):
    """Use POST."""

    status = 405


class InvalidClient(OAuthError):
    """Client authentication failed."""

    code = "invalid_client"
    status = 401


class UnauthorizedClient(OAuthError):
    """This client gets no token."""

    code = "unauthorized_client"


class UnsupportedGrantType(OAuthError):
    """The only grant is client_credentials."""

    code = "unsupported_grant_type"


class InvalidScope(OAuthError):
    """The only scope is decide."""

    code = "invalid_scope"


class InvalidTarget(OAuthError):
    """Tokens are issued for Muster's own decision API only."""

    code = "invalid_target"


class TooManyFailures(OAuthError):
    """Client authentication failed too often. Wait a minute."""

    code = "invalid_client"
    status = 429
    retry_after = 60
