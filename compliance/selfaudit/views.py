"""Pages of the self-audit: is this installation governed, and what is to be done where not?"""

from __future__ import annotations

from django.contrib.auth.decorators import login_required
from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET

from compliance.permissions import check_can_see_evidence
from compliance.selfaudit.standing import DAYS, Standing, stand
from governance.words import number_word
from registry.people import signed_in

PAGE = 50


@never_cache
@login_required
@require_GET
def overview(request: HttpRequest) -> HttpResponse:
    """How does each of the sixteen points stand?"""
    check_can_see_evidence(signed_in(request))
    standing = stand()
    context = {"title": title_of(standing), "standing": standing, "days": DAYS}
    return render(request, "compliance/selfaudit/points.html", context)


@never_cache
@login_required
@require_GET
def point(request: HttpRequest, number: int) -> HttpResponse:
    """Why does this point stand so, and what mends it?"""
    check_can_see_evidence(signed_in(request))
    standing = stand()
    found = standing.point(number)
    context = {
        "standing": standing,
        "found": found,
        "page": Paginator(found.rows, PAGE).get_page(request.GET.get("page")),
        "before": number - 1,
        "after": number + 1 if number < standing.total else 0,
        "dated": any(each.since for each in found.rows),
    }
    return render(request, "compliance/selfaudit/point.html", context)


def title_of(standing: Standing) -> str:
    """The answer of the page, in a sentence."""
    total, broken = number_word(standing.total), standing.not_met
    if standing.met == standing.total:
        return f"All {total} points are met"
    if not broken:
        unknown = number_word(standing.cannot_tell).capitalize()
        return f"{unknown} of {total} points cannot be told"
    verb = "is" if broken == 1 else "are"
    return f"{number_word(broken).capitalize()} of {total} points {verb} not met"
