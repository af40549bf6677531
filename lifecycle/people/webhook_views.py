"""The page of HR systems that tell Muster by themselves: their secrets, and what they said last."""

from __future__ import annotations

from django.conf import settings
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_variables
from django.views.decorators.http import require_http_methods, require_POST

from governance.kernel.database_clock import database_now
from governance.kernel.errors import GovernanceError
from lifecycle.models import Source, SourceEvent, SourceKind
from lifecycle.people import sources
from lifecycle.people.forms import WebhookForm
from lifecycle.scim.forms import NetworksForm
from registry.people import signed_in
from registry.permissions import check_can_change_people

LAST = 50


@login_required
@never_cache
@sensitive_variables("secret")
@require_http_methods(["GET", "POST"])
def webhooks(request: HttpRequest) -> HttpResponse:
    """Every HR system; a new one and its secret, which is shown this once."""
    by = signed_in(request)
    check_can_change_people(by)
    form = WebhookForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        try:
            said = {**form.cleaned_data, "networks": form.lines()}
            made, secret = sources.open_webhook(by=by, **said)
            return _page(request, WebhookForm(), made=made, secret=secret)
        except GovernanceError as error:
            form.add_error(None, error.sentences)
    return _page(request, form)


@sensitive_variables("secret")
def _page(
    request: HttpRequest, form: WebhookForm, *, made: Source | None = None, secret: str = ""
) -> HttpResponse:
    now = database_now()
    rows = Source.objects.filter(kind=SourceKind.WEBHOOK).order_by("ended_at", "slug")
    heard = SourceEvent.objects.filter(source__kind=SourceKind.WEBHOOK)
    context = {
        "form": form,
        "sources": [
            {"row": each, "silent": each.is_silent(now), "networks": _networks(each)}
            for each in rows
        ],
        "made": made,
        "secret": secret,
        "address": f"{settings.MUSTER_BASE_URL}/api/v1/people/events/",
        "overlap": settings.MUSTER_SOURCE_OVERLAP_HOURS,
        "events": heard.select_related("source", "person")[:LAST],
    }
    status = 400 if form.is_bound and form.errors else 200
    return render(request, "lifecycle/people/webhooks.html", context, status=status)


def _networks(source: Source) -> NetworksForm:
    """From where it may speak, each form on the page with names of its own."""
    told = {"networks": "\n".join(source.networks)}
    return NetworksForm(initial=told, auto_id=f"id_{source.pk}_%s")


@login_required
@never_cache
@sensitive_variables("secret")
@require_POST
def rotate(request: HttpRequest, pk: int) -> HttpResponse:
    """A new secret, shown this once; the one before works on for a while."""
    try:
        source, secret = sources.rotate_secret(source_id=pk, by=signed_in(request))
        return _page(request, WebhookForm(), made=source, secret=secret)
    except GovernanceError as error:
        messages.error(request, error.sentences)
    return redirect("people_webhooks")


@login_required
@require_POST
def networks(request: HttpRequest, pk: int) -> HttpResponse:
    """Have it speak from these networks alone."""
    form = NetworksForm(request.POST)
    try:
        lines = form.lines() if form.is_valid() else request.POST.get("networks", "").split()
        sources.set_webhook_networks(source_id=pk, networks=lines, by=signed_in(request))
        messages.success(request, "Done.")
    except GovernanceError as error:
        messages.error(request, error.sentences)
    return redirect("people_webhooks")


@login_required
@require_POST
def end(request: HttpRequest, pk: int) -> HttpResponse:
    """Listen to it no more."""
    try:
        source = sources.end_webhook(source_id=pk, by=signed_in(request))
        messages.success(request, f"Muster listens to {source.title} no more.")
    except GovernanceError as error:
        messages.error(request, error.sentences)
    return redirect("people_webhooks")
