"""What no policy governs, nobody holds and nobody uses."""

from __future__ import annotations

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_GET

from authz import permissions
from authz.coverage import DAYS, coverage
from registry.people import signed_in

SHOWN = 200


@login_required
@require_GET
def covered(request: HttpRequest) -> HttpResponse:
    """Every list, each row with the way to where it is mended."""
    permissions.check_can_see_coverage(signed_in(request))
    context = {"coverage": coverage(), "days": DAYS, "shown": f":{SHOWN}", "most": SHOWN}
    return render(request, "authz/coverage.html", context)
