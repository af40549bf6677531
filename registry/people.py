"""The person behind a request."""

from __future__ import annotations

from django.http import HttpRequest

from governance.kernel.errors import NotSignedIn
from registry.models import Person


def signed_in(request: HttpRequest) -> Person:
    """Who is signed in; raises `NotSignedIn` for nobody."""
    if isinstance(request.user, Person):
        return request.user
    raise NotSignedIn()
