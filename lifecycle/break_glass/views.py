"""Pages of emergency access."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.contrib import messages
from django.contrib.auth import login as open_session
from django.contrib.auth.decorators import login_required
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from governance.kernel import emergency
from governance.kernel.database_clock import database_now
from governance.kernel.errors import GovernanceError
from lifecycle.break_glass import selectors, services
from lifecycle.break_glass.forms import CloseForm, OpenForm, SealForm
from lifecycle.break_glass.middleware import KEY
from lifecycle.break_glass.proving import prove
from lifecycle.models import BreakGlass
from lifecycle.permissions import (
    check_can_close_emergency,
    check_can_have_emergency,
    check_can_seal_codes,
    check_can_see_emergencies,
)
from registry.people import signed_in
from registry.permissions import can
from registry.sign_in import BACKEND


@never_cache
@sensitive_post_parameters()
@require_http_methods(["GET", "HEAD", "POST"])
def emergency_access(request: HttpRequest) -> HttpResponse:
    """The door for when the identity provider, or the mail, is away."""
    form = OpenForm(request.POST if request.method == "POST" else None)
    if form.is_bound and form.is_valid():
        try:
            used = _open(request, form)
            _come_in(request, used)
            return redirect("break_glass_use", used.pk)
        except GovernanceError as error:
            form.add_error(None, error.message)
    context = {
        "form": form,
        "unreviewed": selectors.unreviewed(),
        "rights": emergency.RIGHTS.values(),
    }
    return render(request, "lifecycle/break_glass/open.html", context)


def _open(request: HttpRequest, form: OpenForm) -> BreakGlass:
    said = form.cleaned_data
    person = prove(request, email=said["email"], password=said["password"], code=said["factor"])
    if said["sealed"]:
        return services.open_with_code(person=person, code=said["sealed"], reason=said["reason"])
    second = prove(
        request,
        email=said["second_email"],
        password=said["second_password"],
        code=said["second_factor"],
    )
    return services.open_with_second(person=person, second=second, reason=said["reason"])


def _come_in(request: HttpRequest, used: BreakGlass) -> None:
    """A session of its own, which knows nothing of an earlier one."""
    request.session.flush()
    with emergency.under(services.emergency_of(used)), transaction.atomic():
        open_session(request, used.person, backend=BACKEND)
    request.session[KEY] = str(used.pk)
    request.session.set_expiry(int((used.expires_at - used.opened_at).total_seconds()))


@login_required
@require_POST
def end(request: HttpRequest) -> HttpResponse:
    """Give it back."""
    services.end(used_id=UUID(request.session[KEY]), by=signed_in(request))
    request.session.flush()
    messages.success(request, "You gave emergency access back. It now waits for its review.")
    return redirect("account_login")


@login_required
@require_GET
def uses(request: HttpRequest) -> HttpResponse:
    """Every use, and whether the safe still holds codes."""
    person = signed_in(request)
    check_can_see_emergencies(person)
    context = {
        "uses": selectors.all_uses()[:100],
        "codes_left": selectors.codes_left(),
        "why_not_seal": can(check_can_seal_codes, person),
        "may_have": not can(check_can_have_emergency, person),
        "rights": emergency.RIGHTS.values(),
    }
    return render(request, "lifecycle/break_glass/uses.html", context)


@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def use(request: HttpRequest, used_id: UUID) -> HttpResponse:
    """What was done under it, and the review that closes it."""
    person = signed_in(request)
    check_can_see_emergencies(person)
    used = get_object_or_404(selectors.all_uses(), pk=used_id)
    form = CloseForm(request.POST if request.method == "POST" else None)
    if form.is_bound and form.is_valid():
        try:
            services.close(used_id=used.pk, by=person, review=form.cleaned_data["review"])
            messages.success(request, "Reviewed and closed.")
            return redirect("break_glass_use", used.pk)
        except GovernanceError as error:
            form.add_error(None, error.message)
    context = {
        "used": used,
        "is_on": used.is_on(database_now()),
        "is_mine": emergency.is_of(person.pid) and used.person_id == person.pk,
        "rights": emergency.RIGHTS.values(),
        "form": form,
        "why_not": can(check_can_close_emergency, used, person),
        **_deeds(used),
    }
    return render(request, "lifecycle/break_glass/use.html", context)


def _deeds(used: BreakGlass) -> dict[str, Any]:
    """What was recorded under it: what was done, what was asked for, who was told."""
    deeds = selectors.deeds(used)
    return {
        "done": [each for each in deeds if not (each.asked or each.told)],
        "changed": sum(each.changed for each in deeds),
        "requests": [each for each in deeds if each.asked],
        "told": selectors.told_in(deeds),
    }


@never_cache
@login_required
@sensitive_post_parameters()
@require_http_methods(["GET", "HEAD", "POST"])
def seal(request: HttpRequest) -> HttpResponse:
    """Make the codes that go into the safe: two people at one screen, shown this once."""
    person = signed_in(request)
    check_can_seal_codes(person)
    form = SealForm(request.POST if request.method == "POST" else None)
    if form.is_bound and form.is_valid():
        try:
            return _sealed(request, form)
        except GovernanceError as error:
            form.add_error(None, error.message)
    context = {"form": form, "codes_left": selectors.codes_left()}
    return render(request, "lifecycle/break_glass/seal.html", context)


def _sealed(request: HttpRequest, form: SealForm) -> HttpResponse:
    said = form.cleaned_data
    second = prove(
        request,
        email=said["second_email"],
        password=said["second_password"],
        code=said["second_factor"],
    )
    codes = services.seal_codes(by=signed_in(request), second=second, count=said["count"])
    return render(request, "lifecycle/break_glass/sealed.html", {"codes": codes, "second": second})
