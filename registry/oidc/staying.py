"""A session that a provider opened is its word for a time: then it is asked again.

Who was switched off there so loses Muster within `session_minutes`, also where no other source
tells. Whoever is still welcome notices nothing: the provider sends them straight back.
"""

from __future__ import annotations

from urllib.parse import urlencode

from django.contrib.auth import logout
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse

from governance.kernel.errors import NotFound
from registry.oidc import factors, listed

# So long what someone is filling in can still be sent.
GRACE_MINUTES = 15
WITHOUT = ("/accounts/", "/sign-in/", "/static/", "/healthz", "/readyz")


def ask_again(request: HttpRequest) -> HttpResponse | None:
    """The way back to the provider where it is due; None where the page may be shown."""
    name = factors.provider_of(request)
    if not name or request.path.startswith(WITHOUT):
        return None
    try:
        minutes = listed.find(name).session_minutes
    except NotFound:
        # The operator took the provider away, and its sessions with it.
        logout(request)
        return redirect("account_login")
    if factors.is_over(request, minutes, GRACE_MINUTES):
        logout(request)
    elif not factors.is_over(request, minutes) or not _is_page(request):
        return None
    return _again(request, name)


def _is_page(request: HttpRequest) -> bool:
    """Whether a person looks at this as a page of its own, and so can be sent away and back."""
    fetched = request.headers.get("HX-Request") or request.path.startswith("/api/")
    return request.method == "GET" and not fetched


def _again(request: HttpRequest, name: str) -> HttpResponse | None:
    if not _is_page(request):
        # Answered as to someone who is not signed in.
        return None
    wanted = urlencode({"next": request.get_full_path()})
    return redirect(f"{reverse('oidc_go', args=[name])}?{wanted}")
