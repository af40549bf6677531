"""How people prove themselves to the REST API: the session of the site, with its CSRF token."""

from __future__ import annotations

from rest_framework.authentication import SessionAuthentication
from rest_framework.request import Request


class PersonSession(SessionAuthentication):
    """Session and CSRF token of someone who signed in; 401, not 403, for nobody."""

    def authenticate_header(self, request: Request) -> str:
        return 'Session realm="muster"'
