"""The pages of rotation: what is due, what was done, and what nobody used."""

from __future__ import annotations

from datetime import UTC
from typing import Any

from django.conf import settings
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_variables
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from governance.kernel import clock
from governance.kernel.errors import GovernanceError
from governance.words import number_word
from lifecycle.models import Rotation, RotationState
from lifecycle.models.rotation import OPEN
from lifecycle.rotation import rules, selectors, services
from lifecycle.rotation.forms import ScopeForm
from registry import permissions
from registry.identity import providers
from registry.models import Agent, Person
from registry.people import signed_in
from registry.permissions import can

PAGE = 50


@login_required
@require_GET
def rotation(request: HttpRequest) -> HttpResponse:
    """Which keys are due, what was done about them, and what failed?"""
    person = signed_in(request)
    keys = Paginator(selectors.keys_of(selectors.shown_to(person)), PAGE)
    rows = selectors.rotations_of(person)
    waiting = rows.filter(state__in=OPEN)
    context = {
        "title": _title(waiting.count()),
        "page": keys.get_page(request.GET.get("page")),
        "today": clock.now().astimezone(UTC).date(),
        "open": [_told(each, person) for each in waiting[:PAGE]],
        "done": [_told(each, person) for each in rows.filter(state=RotationState.DONE)[:PAGE]],
        "days": settings.MUSTER_ROTATION_DAYS,
        "overlap": settings.MUSTER_ROTATION_OVERLAP_DAYS,
    }
    return render(request, "lifecycle/rotation/rotation.html", context)


def _title(waiting: int) -> str:
    if not waiting:
        return "No rotation is open"
    word, verb = ("rotation", "is") if waiting == 1 else ("rotations", "are")
    return f"{number_word(waiting).capitalize()} {word} {verb} open"


def _told(row: Rotation, person: Person) -> dict[str, Any]:
    return {
        "rotation": row,
        "name": services.name_of(row),
        "fetch": services.is_unfetched(row),
        "confirm": row.state in {RotationState.WAITING, RotationState.FAILED}
        and row.key != rules.CLIENT,
        "why_not": can(permissions.check_can_change_agent, row.agent, person),
    }


@login_required
@require_POST
def confirm(request: HttpRequest, pk: int) -> HttpResponse:
    """Say that a credential was changed where it lies."""
    person = signed_in(request)
    try:
        done = services.confirm_rotated(rotation_id=_own(pk, person).pk, by=person)
    except GovernanceError as error:
        messages.error(request, error.message)
    else:
        messages.success(request, f"Noted: {services.name_of(done)} was rotated today.")
    return redirect("rotation")


@sensitive_variables()
@never_cache
@login_required
@require_POST
def fetch(request: HttpRequest, pk: int) -> HttpResponse:
    """The new secret of an agent, shown this once."""
    person = signed_in(request)
    row = _own(pk, person)
    try:
        issued = services.fetch_secret(rotation_id=row.pk, by=person)
    except GovernanceError as error:
        messages.error(request, error.message)
        return redirect("rotation")
    context = {"agent": row.agent, "issued": issued, "until": issued.client.previous_until}
    return render(request, "lifecycle/rotation/secret.html", context)


@sensitive_variables()
@never_cache
@login_required
@require_POST
def outside(request: HttpRequest, slug: str, pk: int) -> HttpResponse:
    """The secret that an identity provider gave an agent, shown this once."""
    person = signed_in(request)
    agent = get_object_or_404(Agent.objects.visible_to(person), slug=slug)
    row = get_object_or_404(agent.external_clients, pk=pk)
    try:
        secret = providers.take_secret(external_id=row.pk, by=person)
    except GovernanceError as error:
        messages.error(request, error.message)
        return redirect("agent", slug=slug)
    issued = {"client_id": row.client_id, "secret": secret}
    return render(request, "lifecycle/rotation/secret.html", {"agent": agent, "issued": issued})


def _own(pk: int, person: Person) -> Rotation:
    return get_object_or_404(selectors.rotations_of(person), pk=pk)


@login_required
@require_http_methods(["GET", "POST"])
def scope(request: HttpRequest, slug: str) -> HttpResponse:
    """Does the agent use what it holds?"""
    person = signed_in(request)
    visible = Agent.objects.visible_to(person).select_related("owner")
    agent = get_object_or_404(visible, slug=slug)
    scopes = selectors.scopes_of(agent, clock.now())
    form = ScopeForm(scopes, request.POST or None)
    if request.method == "POST" and form.is_valid() and _answered(request, agent, form, person):
        return redirect("agent_scope", slug=slug)
    context = {
        "agent": agent,
        "scopes": scopes,
        "form": form,
        "days": settings.MUSTER_SCOPE_DAYS,
        "why_not": can(permissions.check_can_change_agent, agent, person),
    }
    return render(request, "lifecycle/rotation/scope.html", context)


def _answered(request: HttpRequest, agent: Agent, form: ScopeForm, person: Person) -> bool:
    try:
        gone = services.narrow_scope(
            agent_id=agent.pk,
            narrow=form.cleaned_data["narrow"],
            keep=form.kept,
            by=person,
            reason=form.cleaned_data["reason"],
        )
    except GovernanceError as error:
        form.add_error("reason" if "reason" in error.fields else None, error.message)
        return False
    messages.success(request, f"{gone} taken away, {len(form.kept)} kept.")
    return True
