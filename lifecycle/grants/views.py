"""A person's pages: what may act for me, what it did, its renewal and its end."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_GET, require_http_methods

from authz import permissions, timekeeper
from authz.errors import NoSuchGrant
from authz.models import Grant
from authz.services import grants as services
from governance.kernel.errors import GovernanceError
from lifecycle.grants import rules, selectors, words
from lifecycle.grants.calls import calls_of
from lifecycle.grants.forms import AgainForm
from lifecycle.grants.services import give_again
from registry.models import Person
from registry.people import signed_in

PAGE = 20


@login_required
@require_GET
def my_grants(request: HttpRequest) -> HttpResponse:
    """Which agents may act for me, and what did they do in my name?"""
    person, now = signed_in(request), timekeeper.now()
    live = list(selectors.live_of(person, now))
    page = Paginator(selectors.over_of(person, now), PAGE).get_page(request.GET.get("page"))
    context = {
        "title": words.title(len(live)),
        "rows": selectors.held(live, now),
        "page": page,
        "over": selectors.held(list(page.object_list), now),
    }
    return render(request, "lifecycle/grants/mine.html", context)


@login_required
@require_GET
def my_calls(request: HttpRequest) -> HttpResponse:
    """What was decided in my name?"""
    return render(request, "lifecycle/grants/calls.html", calls_of(signed_in(request), request.GET))


@login_required
@require_http_methods(["GET", "POST"])
def end(request: HttpRequest, grant_id: UUID) -> HttpResponse:
    """End one: what ends with it, then the end itself."""
    person = signed_in(request)
    grant = _to_end(person, grant_id)
    mine = grant.person_id == person.pk
    if request.method == "POST":
        services.end_grant(grant_id=grant.pk, by=person)
        whom = "you" if mine else str(grant.person)
        messages.success(request, f"{grant.agent.slug} acts for {whom} no more.")
        return redirect("my_grants" if mine else "grants")
    context = _ending([grant]) | {"grant": grant, "mine": mine}
    return render(request, "lifecycle/grants/end.html", context)


def _to_end(person: Person, grant_id: UUID) -> Grant:
    """A grant that the person may end. Raises `NoSuchGrant`."""
    rows = Grant.objects.select_related("agent", "person", "ended_by")
    grant = rows.filter(pk=grant_id).first()
    if grant is None:
        raise NoSuchGrant()
    permissions.check_can_end_grant(grant, person)
    return grant


@login_required
@require_http_methods(["GET", "POST"])
def end_all(request: HttpRequest) -> HttpResponse:
    """End every one of mine at once."""
    person = signed_in(request)
    if request.method == "POST":
        ended = services.end_own_grants(by=person)
        said = "One grant is over." if ended == 1 else f"{ended} grants are over."
        messages.success(request, f"{said} No agent may act for you.")
        return redirect("my_grants")
    live = list(selectors.live_of(person, timekeeper.now()))
    return render(request, "lifecycle/grants/end_all.html", _ending(live) | {"grants": live})


def _ending(grants: list[Grant]) -> dict[str, Any]:
    """What ends with them."""
    now = timekeeper.now()
    live = [grant for grant in grants if rules.is_live(grant, now)]
    links = selectors.live_links(live, now)
    return {
        "live": bool(live),
        "agents": sorted(set(links.values_list("receiver__slug", flat=True))),
        "waiting": selectors.waiting_in_name(live, now) if live else 0,
    }


@login_required
@require_http_methods(["GET", "POST"])
def again(request: HttpRequest, grant_id: UUID) -> HttpResponse:
    """Give one again, or less of it: everything is looked at as it is now."""
    person, now = signed_in(request), timekeeper.now()
    grant = selectors.own_grant(person, grant_id)
    if not rules.is_live(grant, now) and (newer := _live_beside(grant)):
        return redirect("grant_again", grant_id=newer.pk)
    asked = selectors.again(grant, now)
    form = AgainForm(asked, request.POST or None)
    if request.method == "POST" and form.is_valid() and _given(request, form):
        return redirect("my_grants")
    context = {"grant": grant, "asked": asked, "form": form}
    return render(request, "lifecycle/grants/again.html", context)


def _live_beside(grant: Grant) -> Grant | None:
    """What the person gave the same agent since."""
    rows = selectors.live_of(grant.person, timekeeper.now())
    return rows.filter(agent=grant.agent_id).first()


def _given(request: HttpRequest, form: AgainForm) -> bool:
    try:
        grant = give_again(
            grant_id=form.asked.held.grant.pk,
            tools=form.cleaned_data["tools"],
            until=form.until(timekeeper.now()),
            by=signed_in(request),
        )
    except GovernanceError as error:
        form.add_error(None, error.sentences)
        return False
    messages.success(request, f"{grant.agent.slug} may act for you again.")
    return True
