"""The page "No row, no key", for those who must know that it holds."""

from __future__ import annotations

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_http_methods

from lifecycle import selftest
from lifecycle.permissions import check_can_run_selftest
from registry.people import signed_in


@login_required
@require_http_methods(["GET", "POST"])
def no_row_no_key(request: HttpRequest) -> HttpResponse:
    """Does anybody get a key whom the register does not know?"""
    person = signed_in(request)
    check_can_run_selftest(person)
    report = selftest.run(by=person) if request.method == "POST" else None
    title = report.sentence if report else "No row, no key"
    return render(request, "lifecycle/selftest.html", {"title": title, "report": report})
