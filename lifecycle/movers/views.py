"""The page of one case of a mover: keep it, hand it over, take it over."""

from __future__ import annotations

from collections.abc import Callable

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_GET, require_POST

from governance.kernel.errors import GovernanceError, NotFound
from lifecycle.cases import kinds
from lifecycle.decommissioning.answers import what_follows
from lifecycle.leavers import permissions as handing
from lifecycle.leavers import selectors
from lifecycle.leavers import services as leavers
from lifecycle.leavers.story import lines_of
from lifecycle.models import Case, CaseKind
from lifecycle.movers import permissions, services
from registry.models import Person
from registry.people import signed_in
from registry.permissions import can


@login_required
@require_GET
def case(request: HttpRequest, pk: int) -> HttpResponse:
    """What is asked here, and who may answer what?"""
    by = signed_in(request)
    found = _seen(pk, by)
    if found.kind != CaseKind.MOVER:
        return redirect(kinds.of(found).place(found))
    may = {
        "keep": can(permissions.check_can_keep, found, by),
        "name": can(handing.check_can_name, found, by),
        "accept": can(handing.check_can_accept, found, by),
        "end": can(handing.check_can_end, found, by),
    }
    lines = lines_of(list(found.events.select_related("by", "case__agent")))
    kind = kinds.of(found)
    context = {
        "case": found,
        "kind": kind,
        "question": kind.question(found),
        "may": may,
        "lines": lines,
    }
    return render(request, "lifecycle/movers/case.html", context)


def _seen(pk: int, by: Person) -> Case:
    return get_object_or_404(selectors.visible_to(by), pk=pk)


@login_required
@require_POST
def answer(request: HttpRequest, pk: int, word: str) -> HttpResponse:
    """Keep it, end it, or answer whether one takes it over."""
    by = signed_in(request)
    found = _seen(pk, by)
    if found.kind != CaseKind.MOVER:
        raise NotFound()
    act = _ANSWERS.get(word)
    if act is None:
        raise NotFound()
    reason = request.POST.get("reason", "").replace("\0", "")[:500]
    try:
        messages.success(request, act(found, by, reason))
    except GovernanceError as error:
        messages.error(request, error.sentences)
    return redirect("case", pk=pk)


def _keep(found: Case, by: Person, reason: str) -> str:
    services.keep(case_id=found.pk, by=by, reason=reason)
    return f"{found.agent.slug} stays with {found.agent.owner}."


def _accept(found: Case, by: Person, reason: str) -> str:
    leavers.accept(case_id=found.pk, by=by)
    return f"{found.agent.slug} is yours from now on."


def _refuse(found: Case, by: Person, reason: str) -> str:
    leavers.refuse(case_id=found.pk, by=by, reason=reason)
    return f"{found.agent.slug} is not yours. Its owner reads your reason."


def _end(found: Case, by: Person, reason: str) -> str:
    leavers.end_agent(case_id=found.pk, by=by, reason=reason)
    return what_follows(found.agent)


_ANSWERS: dict[str, Callable[[Case, Person, str], str]] = {
    "keep": _keep,
    "accept": _accept,
    "refuse": _refuse,
    "end": _end,
}
