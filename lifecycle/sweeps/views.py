"""The page of the sweeps, for those who operate Muster."""

from __future__ import annotations

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_GET, require_POST

from governance.words import number_word
from lifecycle.models import SweepRun
from lifecycle.notices.selectors import not_sent
from lifecycle.permissions import check_can_see_sweeps
from lifecycle.sweeps import jobs, services
from lifecycle.sweeps.selectors import sweep_states
from registry.people import signed_in

NEWEST = 30


@login_required
@require_GET
def sweeps(request: HttpRequest) -> HttpResponse:
    """Does everything come through that falls due with time?"""
    check_can_see_sweeps(signed_in(request))
    states = sweep_states()
    late = [each for each in states if each.late]
    context = {
        "title": _title(len(late)),
        "late": late,
        "states": states,
        "jobs": jobs.states(),
        "runs": SweepRun.objects.all()[:NEWEST],
        "not_sent": not_sent()[:NEWEST],
    }
    return render(request, "lifecycle/sweeps.html", context)


@login_required
@require_POST
def run_now(request: HttpRequest, name: str) -> HttpResponse:
    """Have a sweep run before its time."""
    services.set_off_now(name=name, by=signed_in(request))
    messages.success(
        request, f"{name} is set off. Its run appears here as soon as a worker has it."
    )
    return redirect("sweeps")


def _title(late: int) -> str:
    if not late:
        return "Every sweep comes through"
    verb = "does" if late == 1 else "do"
    word = "sweep" if late == 1 else "sweeps"
    return f"{number_word(late).capitalize()} {word} {verb} not come through"
