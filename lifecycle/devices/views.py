"""The pages on which a person lets a command line act as them, and ends that."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.conf import settings
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.http import urlencode
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from governance.kernel.errors import GovernanceError, NotFound
from lifecycle.inbox.second_factor import confirm_url, second_factor_at
from registry.devices import requests, tokens
from registry.devices.requests import Session
from registry.enums import DeviceState
from registry.oidc import factors, listed
from registry.people import signed_in

ALLOW, REFUSE = "allow", "refuse"


@never_cache
@login_required
@require_http_methods(["GET", "POST"])
def device(request: HttpRequest) -> HttpResponse:
    """Type the code, look at what asks, and let it act as you or not.

    A code in the address is only typed for the person (RFC 8628 section 5.4): nothing is looked
    up, and nothing allowed, before they press something.
    """
    code = request.POST.get("code", request.GET.get("code", ""))[:40].replace("\0", "")
    if request.method != "POST":
        return _page(request, {"code": code})
    try:
        found = requests.find(code=code, by=signed_in(request))
        if request.POST.get("answer") in (ALLOW, REFUSE):
            return _answered(request, code)
    except GovernanceError as error:
        return _page(request, {"code": code, "error": error.message}, status=error.status)
    context = {
        "code": code,
        "found": found,
        "hours": settings.MUSTER_COMMAND_LINE_HOURS,
        "proved_at": second_factor_at(request),
        "confirm": confirm_url(request, f"{reverse('device')}?{urlencode({'code': code})}"),
    }
    return _page(request, context)


def _answered(request: HttpRequest, code: str) -> HttpResponse:
    row = requests.decide(
        code=code,
        allowed=request.POST["answer"] == ALLOW,
        session=_session(request),
        by=signed_in(request),
    )
    if row.state == DeviceState.ALLOWED:
        messages.success(request, "You let it in. Go back to your terminal, which signs in now.")
    else:
        messages.success(request, "Refused. It gets nothing.")
    return redirect("command_lines")


def _session(request: HttpRequest) -> Session:
    """How well this session knows its person, and until when a provider's word lasts."""
    name = factors.provider_of(request)
    return Session(
        second_factor_at=second_factor_at(request),
        strong=factors.is_strong(request, request.user),
        provider=name,
        until=_until(request, name),
    )


def _until(request: HttpRequest, provider: str) -> datetime | None:
    at = factors.opened_at(request)
    if not provider or at is None:
        return None
    return at + timedelta(minutes=listed.find(provider).session_minutes)


def _page(request: HttpRequest, context: dict[str, Any], status: int = 200) -> HttpResponse:
    return render(request, "lifecycle/devices/device.html", context, status=status)


@login_required
@require_GET
def command_lines(request: HttpRequest) -> HttpResponse:
    """Which command lines act as me now?"""
    rows = tokens.live_of(signed_in(request))
    return render(request, "lifecycle/devices/mine.html", {"rows": rows})


@login_required
@require_POST
def end(request: HttpRequest, token_id: UUID) -> HttpResponse:
    """End one at once."""
    try:
        tokens.end_token(token_id=token_id, by=signed_in(request))
    except NotFound as error:
        raise Http404 from error
    messages.success(request, "Ended. Its next call is refused.")
    return redirect("command_lines")


@login_required
@require_POST
def end_all(request: HttpRequest) -> HttpResponse:
    """End every one of them at once."""
    ended = tokens.end_all(by=signed_in(request))
    messages.success(request, f"Ended {ended}. No command line acts as you.")
    return redirect("command_lines")
