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
    """That grant type is none of those in the metadata."""

    code = "unsupported_grant_type"


class InvalidGrant(OAuthError):
    """What was presented is not good, was used, or is over."""

    code = "invalid_grant"


class InvalidScope(OAuthError):
    """The only scope is decide."""

    code = "invalid_scope"


class InvalidDetails(OAuthError):
    """These authorization details cannot be read."""

    code = "invalid_authorization_details"


class InvalidTarget(OAuthError):
    """Tokens are issued for Muster's own decision API only."""

    code = "invalid_target"


class UnsupportedResponseType(OAuthError):
    """The only response type is code."""

    code = "unsupported_response_type"


class AccessDenied(OAuthError):
    """The person refused."""

    code = "access_denied"


class LoginRequired(OAuthError):
    """Nobody is signed in."""

    code = "login_required"


class ConsentRequired(OAuthError):
    """The person must be asked."""

    code = "consent_required"


class NobodyToSendBack(OAuthError):
    """This request names no agent, or no address of that agent, so nobody is sent on."""


class TooManyFailures(OAuthError):
    """Client authentication failed too often. Wait a minute."""

    code = "invalid_client"
    status = 429
    retry_after = 60


class AuthorizationPending(OAuthError):
    """The person has not answered yet. Ask again after the interval."""

    code = "authorization_pending"


class SlowDown(OAuthError):
    """That was too soon. The interval is five seconds longer from now on."""

    code = "slow_down"


class ExpiredToken(OAuthError):
    """The code is over. Begin again."""

    code = "expired_token"


class TooManyRequests(OAuthError):
    """Too many command lines wait to be allowed. Try again in some minutes."""

    code = "slow_down"
    status = 429
    retry_after = 60
