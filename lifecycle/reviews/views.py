"""Absences, on the site: who stands in for me, and for whom I do."""

from __future__ import annotations

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_http_methods, require_POST

from governance.kernel.database_clock import database_now
from governance.kernel.errors import GovernanceError
from lifecycle.reviews import selectors
from lifecycle.reviews.forms import AbsenceForm
from registry import services
from registry.absences import duties_of
from registry.people import signed_in


@login_required
@require_http_methods(["GET", "POST"])
def absences(request: HttpRequest) -> HttpResponse:
    """Hand my duty to sign on while I am away."""
    person = signed_in(request)
    form = AbsenceForm(request.POST or None, person=person)
    if request.method == "POST" and form.is_valid():
        try:
            services.declare_absence(person=person, by=person, **form.cleaned_data)
            messages.success(request, f"{form.cleaned_data['stand_in']} stands in for you.")
            return redirect("absences")
        except GovernanceError as error:
            form.add_error(None, error.message)
    context = {
        "form": form,
        "duties": sorted(duties_of(person)),
        "rows": selectors.absences_for(person)[:50],
        "today": database_now().date(),
    }
    return render(request, "lifecycle/absences.html", context)


@login_required
@require_POST
def end_absence(request: HttpRequest, pk: int) -> HttpResponse:
    """I am back."""
    person = signed_in(request)
    found = get_object_or_404(selectors.absences_for(person), pk=pk)
    try:
        services.end_absence(absence_id=found.pk, by=person)
        messages.success(request, "It is over. The duty is with its owner again.")
    except GovernanceError as error:
        messages.error(request, error.message)
    return redirect("absences")
