"""The page of what is due."""

from __future__ import annotations

from django.contrib.auth.decorators import login_required
from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_GET

from governance.kernel import clock
from lifecycle.due import selectors
from lifecycle.due.forms import DueFilter
from lifecycle.due.selectors import Row, Wanted
from registry.people import signed_in

PAGE = 50


@login_required
@require_GET
def due(request: HttpRequest) -> HttpResponse:
    """What must be answered next, by whom, and what follows where nobody does?"""
    person, form, now = signed_in(request), DueFilter(request.GET), clock.now()
    cleaned = form.cleaned_data if form.is_valid() else {}
    given = {name: value for name, value in cleaned.items() if value not in ("", None)}
    filtered = any(value for name, value in given.items() if name != "within")
    rows = selectors.due_for(person, Wanted(**given, sort=request.GET.get("sort", "at")), now)
    page = Paginator(rows, PAGE).get_page(request.GET.get("page"))
    context = {
        "title": _title(rows),
        "form": form,
        "filtered": filtered,
        "page": page,
        "rows": selectors.with_tiers(list(page.object_list)),
        "weeks": selectors.weeks_of(rows, now),
    }
    return render(request, "lifecycle/due/due.html", context)


def _title(rows: list[Row]) -> str:
    late = sum(row.late for row in rows)
    if not rows:
        return "Nothing is due"
    if not late:
        return "Nothing is overdue"
    return "One thing is overdue" if late == 1 else f"{late:,} things are overdue"
