"""The owner's pages of renewal: what is due, and three questions about one agent."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from governance.kernel import clock
from governance.kernel.errors import GovernanceError
from governance.words import number_word
from lifecycle.decommissioning import reading
from lifecycle.decommissioning.answers import what_follows
from lifecycle.renewals import badge, rules, selectors, services
from lifecycle.renewals.errors import SeenOtherwise
from lifecycle.renewals.forms import ExtensionForm, RenewalForm
from registry import permissions
from registry.models import Agent, Person
from registry.people import signed_in
from registry.permissions import can
from registry.services.agents import today_of

PAGE = 50


@login_required
@require_GET
def renewals(request: HttpRequest) -> HttpResponse:
    """Which of my agents must I answer for now?"""
    person = signed_in(request)
    rows = selectors.due_for(person, today_of(person))
    mine = selectors.of_person(rows, person)
    everyone = request.GET.get("whose") == "all"
    page = Paginator(rows if everyone else mine, PAGE).get_page(request.GET.get("page"))
    used = selectors.used_of(list(page.object_list), clock.now())
    context = {
        "title": _title(mine.count()),
        "page": page,
        "rows": [_row(agent, person, used[agent.slug]) for agent in page.object_list],
        "everyone": everyone,
        "others": rows.count() - mine.count(),
    }
    return render(request, "lifecycle/renewals/renewals.html", context)


def _title(waiting: int) -> str:
    if not waiting:
        return "No renewal waits for you"
    word, verb = ("renewal", "waits") if waiting == 1 else ("renewals", "wait")
    return f"{number_word(waiting).capitalize()} {word} {verb} for you"


def _row(agent: Agent, person: Person, used: int) -> dict[str, Any]:
    today = today_of(agent.owner)
    due = agent.renewal_due
    return {
        "agent": agent,
        "late": due is not None and due < today,
        "used": used,
        "why_not": can(permissions.check_can_renew_agent, agent, person),
    }


@login_required
@require_http_methods(["GET", "POST"])
def renewal(request: HttpRequest, slug: str) -> HttpResponse:
    """Is it still needed, with what, and with which credentials?"""
    person = signed_in(request)
    agent = _agent(slug, person)
    asked = selectors.asked_about(agent, clock.now())
    form = RenewalForm(asked, request.POST or None)
    if request.method == "POST" and (done := _answer(request, agent, form, person)):
        return done
    return render(request, "lifecycle/renewals/renewal.html", _page(agent, form, person))


def _agent(slug: str, person: Person) -> Agent:
    visible = Agent.objects.visible_to(person).select_related("owner__manager", "backup_owner")
    return get_object_or_404(visible, slug=slug)


def _answer(
    request: HttpRequest, agent: Agent, form: RenewalForm, person: Person
) -> HttpResponse | None:
    """Answer and go on to the next that waits; None where something must be said anew."""
    if not form.is_valid():
        return None
    try:
        messages.success(request, _give(agent, form, person))
    except SeenOtherwise as error:
        messages.error(request, error.message)
        return redirect("renewal", slug=agent.slug)
    except GovernanceError as error:
        form.add_error(None, error.message)
        return None
    waits = selectors.of_person(selectors.due_for(person, today_of(person)), person).exists()
    return redirect("renewals") if waits else redirect("agent", slug=agent.slug)


def _give(agent: Agent, form: RenewalForm, person: Person) -> str:
    given = form.cleaned_data
    if form.is_ended:
        services.end(agent_id=agent.pk, by=person, seen=given["seen"], reason=given["reason"])
        return what_follows(agent)
    told = services.renew(
        agent_id=agent.pk,
        by=person,
        seen=given["seen"],
        drop=given["drop"],
        revoke=given["revoke"],
        reason=given["reason"],
    )
    gone = f" {len(told.dropped)} taken away." if told.dropped else ""
    return f"{agent.slug} is renewed until {told.next_due:%d %b %Y}.{gone}"


def _page(agent: Agent, form: RenewalForm, person: Person) -> dict[str, Any]:
    now, today = form.asked.now, today_of(agent.owner)
    due = agent.renewal_due
    return {
        "agent": agent,
        "form": form,
        "asked": form.asked,
        "case": selectors.case_of(agent),
        "is_asked": selectors.is_asked(agent, today),
        "order": reading.open_order(agent),
        "opens": rules.opens_on(due) if due else None,
        "late": due is not None and due < today,
        "weeks": selectors.weeks_of(agent, now, form.asked.days),
        "last": selectors.last_decision(agent),
        "before": selectors.attestations_of(agent)[:5],
        "extension": selectors.extension_of(agent),
        "extension_form": ExtensionForm(),
        "why_not": can(permissions.check_can_renew_agent, agent, person),
        "why_not_end": can(permissions.check_can_decommission_agent, agent, person),
    }


@login_required
@require_POST
def extend(request: HttpRequest, slug: str) -> HttpResponse:
    """Ask security for more time."""
    person = signed_in(request)
    agent, form = _agent(slug, person), ExtensionForm(request.POST)
    if not form.is_valid():
        messages.error(request, "Say until when, and why.")
        return redirect("renewal", slug=slug)
    try:
        services.ask_for_extension(agent_id=agent.pk, by=person, **form.cleaned_data)
        messages.success(request, "Security was asked. Until they agree the day stays as it is.")
    except GovernanceError as error:
        messages.error(request, error.message)
    return redirect("renewal", slug=slug)


@login_required
@require_POST
def new_badge(request: HttpRequest, slug: str) -> HttpResponse:
    """A key for the badge of an agent, shown this once; the earlier one ends."""
    person = signed_in(request)
    agent = _agent(slug, person)
    try:
        key = badge.make_key(agent_id=agent.pk, by=person)
    except GovernanceError as error:
        messages.error(request, error.message)
        return redirect("agent", slug=slug)
    address = f"{settings.MUSTER_BASE_URL}/api/v1/agents/{slug}/badge"
    context = {
        "agent": agent,
        "markdown": f"![muster]({address}.svg?key={key})",
        "document": f"{address}.json?key={key}",
    }
    return render(request, "lifecycle/renewals/badge.html", context)
