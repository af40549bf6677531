"""How people prove themselves to the REST API: the session of the site, or a command line's token.

A session comes with its CSRF token. A bearer token needs none: no browser sends it by itself.
"""

from __future__ import annotations

from typing import Any

from rest_framework.authentication import BaseAuthentication, SessionAuthentication
from rest_framework.exceptions import AuthenticationFailed
from rest_framework.permissions import SAFE_METHODS
from rest_framework.request import Request

from governance.kernel.errors import NotAllowed, NotSignedIn
from registry.devices import tokens
from registry.enums import TokenScope
from registry.middleware import SECOND_FACTOR, needs_second_factor
from registry.models import PersonToken


class TokenEnded(AuthenticationFailed):
    """The token of a command line that is none, or is none any more."""

    default_code = "token_ended"


class PersonSession(SessionAuthentication):
    """Session and CSRF token of someone who signed in; 401, not 403, for nobody."""

    def authenticate_header(self, request: Request) -> str:
        return 'Session realm="muster"'


class CommandLine(BaseAuthentication):
    """The token of a person's command line. Its row is read at each call: what ended is over.

    It may do what its person may, and no more: whoever approves for others and has no second
    factor any more gets in here no more than on the site.
    """

    def authenticate(self, request: Request) -> tuple[Any, PersonToken] | None:
        given = request.headers.get("Authorization", "")
        if not tokens.is_given(given):
            return None
        try:
            row = tokens.authenticate(given.partition(" ")[2])
        except NotSignedIn as error:
            raise TokenEnded(error.message) from error
        if row.scope == TokenScope.READ and request.method not in SAFE_METHODS:
            raise NotAllowed(
                "This sign-in may only read. Sign in again: muster login --write.", code="read_only"
            )
        if not row.strong and needs_second_factor(row.person):
            raise NotAllowed(SECOND_FACTOR, code="second_factor")
        return row.person, row

    def authenticate_header(self, request: Request) -> str:
        return 'Bearer realm="muster"'
