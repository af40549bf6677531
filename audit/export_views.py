"""Taking along what the trail finds: the page with the forms and their size, and the files."""

from __future__ import annotations

from typing import cast

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_GET

from audit.export_forms import FORMS, form_of, size_of, take
from audit.forms import TrailForm
from audit.selectors import Reader


@login_required
@require_GET
def forms(request: HttpRequest) -> HttpResponse:
    """Every form with what it is for and how large it would be."""
    asked = TrailForm(request.GET)
    if not asked.is_valid():
        return render(request, "audit/trail.html", {"form": asked}, status=400)
    filters = asked.filters()
    size = size_of(filters, scope=cast("Reader", request.user).audit_scope())
    rows = [{"form": each, "bytes": size.bytes.get(each.name)} for each in FORMS.values()]
    given = [name for name, value in asked.cleaned_data.items() if value]
    context = {"rows": rows, "count": size.count, "given": given, "query": request.GET.urlencode()}
    return render(request, "audit/export.html", context)


@login_required
@require_GET
def export(request: HttpRequest, form: str) -> HttpResponse:
    """What the filters find in one form, streamed."""
    wanted, asked = form_of(form), TrailForm(request.GET)
    if not asked.is_valid():
        return render(request, "audit/trail.html", {"form": asked}, status=400)
    return cast(HttpResponse, take(wanted, asked.filters(), by=cast("Reader", request.user)))
