"""The pages of directories: their tokens, networks and groups, and what each of them did."""

from __future__ import annotations

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
from governance.kernel.errors import GovernanceError, NotFound
from lifecycle.models import Source, SourceKind
from lifecycle.scim import selectors, sources
from lifecycle.scim.forms import DirectoryForm, LogForm, NetworksForm
from lifecycle.scim.protocol import base_url
from registry.people import signed_in
from registry.permissions import can, check_can_change_people

PAGE = 50


@login_required
@never_cache
@sensitive_variables("token")
@require_http_methods(["GET", "POST"])
def directories(request: HttpRequest) -> HttpResponse:
    """Every directory; a new one and its token, which is shown this once."""
    by = signed_in(request)
    sources.check_can_see_sources(by)
    form = DirectoryForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        said = form.cleaned_data
        try:
            made, token = sources.open_source(
                slug=said["slug"], title=said["title"], networks=form.lines(), by=by
            )
            return _directory(request, made, token=token)
        except GovernanceError as error:
            form.add_error(None, error.sentences)
    rows, now = selectors.directories(), clock.now()
    context = {
        "form": form,
        "rows": rows,
        "silent": selectors.silent(rows, now),
        "why_not": can(sources.check_can_run_sources, by),
        "days": settings.MUSTER_SOURCE_SILENT_DAYS,
    }
    status = 400 if form.is_bound and form.errors else 200
    return render(request, "lifecycle/scim/directories.html", context, status=status)


@login_required
@never_cache
@require_GET
def directory(request: HttpRequest, slug: str) -> HttpResponse:
    """One directory."""
    return _directory(request, _found(request, slug))


@login_required
@never_cache
@sensitive_variables("token")
@require_POST
def change(request: HttpRequest, slug: str, word: str) -> HttpResponse:
    """Do one thing to it. A new token is shown this once."""
    source = _found(request, slug)
    try:
        if word == "rotate":
            source, token = sources.rotate_token(source_id=source.pk, by=signed_in(request))
            return _directory(request, source, token=token)
        _do(request, source, word)
    except GovernanceError as error:
        messages.error(request, error.sentences)
    return redirect("directory", slug=slug)


@login_required
@require_GET
def log(request: HttpRequest) -> HttpResponse:
    """What each source did, when, to whom, and what came of it."""
    sources.check_can_see_sources(signed_in(request))
    form = LogForm(request.GET)
    wanted = form.cleaned_data if form.is_valid() else {}
    page = Paginator(selectors.events(wanted), PAGE).get_page(request.GET.get("page"))
    context = {"form": form, "page": page, "days": settings.MUSTER_SOURCE_LOG_DAYS}
    return render(request, "lifecycle/scim/log.html", context)


def _do(request: HttpRequest, source: Source, word: str) -> None:
    by, of = signed_in(request), source.pk
    given = request.POST
    if word == "networks":
        lines = given.get("networks", "")[:4000].splitlines()
        sources.set_networks(source_id=of, networks=lines, by=by)
    elif word == "revoke":
        sources.revoke_earlier_token(source_id=of, by=by)
    elif word == "end":
        sources.end_source(source_id=of, by=by)
    else:
        raise NotFound()
    messages.success(request, "Done.")


@sensitive_variables("token")
def _directory(request: HttpRequest, source: Source, *, token: str = "") -> HttpResponse:
    context: dict[str, Any] = {
        "source": source,
        "counts": selectors.directories().get(pk=source.pk),
        "token": token,
        "address": base_url(),
        "groups": selectors.groups_of(source),
        "networks_form": NetworksForm(initial={"networks": "\n".join(source.networks)}),
        "events": selectors.events({"source": source.slug})[:10],
        "silent": source.is_silent(clock.now()),
        "days": settings.MUSTER_SOURCE_SILENT_DAYS,
        "why_not": can(sources.check_can_run_sources, signed_in(request)),
        "why_not_mapped": can(check_can_change_people, signed_in(request)),
    }
    return render(request, "lifecycle/scim/directory.html", context)


def _found(request: HttpRequest, slug: str) -> Source:
    sources.check_can_see_sources(signed_in(request))
    return get_object_or_404(Source, slug=slug, kind=SourceKind.SCIM)
