"""The owner's side: what needs me, my agents, one agent. Registering is in `registering`."""

from __future__ import annotations

import json
from collections.abc import Callable

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.core.paginator import Paginator
from django.db.models import Q
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from governance.kernel.errors import GovernanceError
from lifecycle import pages, services
from lifecycle.forms import AgentFilter, CredentialForm, NarrowForm, ReasonForm
from lifecycle.inbox.entries import queue_for
from lifecycle.provisioning.views import live_page
from registry import services as register_services
from registry.people import signed_in, visible_agent

PAGE = 50


@login_required
@require_GET
def home(request: HttpRequest) -> HttpResponse:
    """What waits for me, and whether my agents are well."""
    return render(
        request, "lifecycle/home.html", pages.home_of(signed_in(request), queue_for(request))
    )


@login_required
@require_GET
def agents(request: HttpRequest) -> HttpResponse:
    """My agents, or with `?all=1` everyone's."""
    person = signed_in(request)
    everyone = bool(request.GET.get("all"))
    form = AgentFilter(request.GET)
    rows = pages.agents_listed(person, everyone=everyone)
    if form.is_valid():
        if text := form.cleaned_data["q"]:
            rows = rows.filter(
                Q(slug__icontains=text)
                | Q(owner__name__icontains=text)
                | Q(purpose__icontains=text)
            )
        if state := form.cleaned_data["state"]:
            rows = rows.filter(state=state)
    page = Paginator(pages.sorted_by(rows, request.GET.get("sort", "")), PAGE).get_page(
        request.GET.get("page")
    )
    context = {
        "form": form,
        "page": page,
        "rows": pages.agent_rows(page.object_list),
        "everyone": everyone,
        "title": pages.agents_title(page.paginator.count, everyone=everyone),
    }
    return render(request, "lifecycle/agents.html", context)


def tell_saved(request: HttpRequest, proposed: int) -> None:
    """Say whether a change took effect, or waits for a second person."""
    if proposed:
        messages.warning(
            request, f"Saved. {proposed} widening change(s) wait for a second person to agree."
        )
    else:
        messages.success(request, "Saved.")


@login_required
@require_GET
def agent(request: HttpRequest, slug: str) -> HttpResponse:
    """What this agent is, what it can do, and how to stop it."""
    found = visible_agent(request, slug)
    context = pages.agent_page(found, signed_in(request))
    context |= {"suspend_form": ReasonForm(), "credential_form": CredentialForm()}
    return render(request, "lifecycle/agent.html", context)


@login_required
@require_GET
def history(request: HttpRequest, slug: str) -> HttpResponse:
    """Every change of the row, who made it and when."""
    found = visible_agent(request, slug)
    context = {"agent": found, "changes": pages.history_of(found)}
    return render(request, "lifecycle/history.html", context)


@login_required
@require_http_methods(["GET", "POST"])
def narrow(request: HttpRequest, slug: str, tool: str) -> HttpResponse:
    """One allowlist entry: the parameters, rates and quotas that it allows."""
    found = visible_agent(request, slug)
    entry = get_object_or_404(found.allowlist.select_related("tool__system"), tool__name=tool)
    initial = {
        "narrowing": json.dumps(entry.narrowing, indent=2) if entry.narrowing else "",
        "rate_per_minute": entry.rate_per_minute,
        "rate_per_hour": entry.rate_per_hour,
        "write_quota_per_hour": entry.write_quota_per_hour,
        "gates": json.dumps(entry.gates, indent=2) if entry.gates else "",
    }
    form = NarrowForm(request.POST or None, initial=initial)
    if request.method == "POST" and form.is_valid():
        try:
            saved = register_services.set_allowlist_entry(
                agent_id=found.pk, tool=entry.tool, by=signed_in(request), **form.cleaned_data
            )
            tell_saved(request, len(saved.proposed))
            return redirect("agent", slug=slug)
        except GovernanceError as error:
            form.add_error(None, error.sentences)
    context = {"agent": found, "entry": entry, "form": form}
    return render(request, "lifecycle/narrow.html", context)


@login_required
@require_POST
def add_credential(request: HttpRequest, slug: str) -> HttpResponse:
    """Name where a credential lies."""
    found = visible_agent(request, slug)
    form = CredentialForm(request.POST)
    if not form.is_valid():
        messages.error(request, " ".join(str(each[0]) for each in form.errors.values()))
        return redirect("agent", slug=slug)
    return _act(
        request,
        slug,
        lambda: register_services.add_credential_reference(
            agent_id=found.pk, by=signed_in(request), **form.cleaned_data
        ),
        "The reference is on the row.",
    )


@login_required
@require_POST
def attest(request: HttpRequest, slug: str) -> HttpResponse:
    """The owner's word, after which a public or internal agent is live. Shows its secret once."""
    found = visible_agent(request, slug)
    try:
        issued = services.attest_agent(
            agent_id=found.pk,
            by=signed_in(request),
            reach_digest=request.POST.get("reach_digest", ""),
        )
    except GovernanceError as error:
        messages.error(request, error.sentences)
        return redirect("agent", slug=slug)
    return live_page(request, found, issued)


@login_required
@require_POST
def new_secret(request: HttpRequest, slug: str) -> HttpResponse:
    """A new secret, shown once; tokens made with the old one end at once."""
    found = visible_agent(request, slug)
    try:
        issued = services.new_secret(agent_id=found.pk, by=signed_in(request))
    except GovernanceError as error:
        messages.error(request, error.sentences)
        return redirect("agent", slug=slug)
    return live_page(request, found, issued)


@login_required
@require_POST
def send_for_review(request: HttpRequest, slug: str) -> HttpResponse:
    """Confidential and above: security looks at it first."""
    found = visible_agent(request, slug)
    return _act(
        request,
        slug,
        lambda: register_services.submit_for_review(agent_id=found.pk, by=signed_in(request)),
        "It waits for security. You see here what they answer.",
    )


@login_required
@require_POST
def withdraw(request: HttpRequest, slug: str) -> HttpResponse:
    """Back to a draft."""
    found = visible_agent(request, slug)
    return _act(
        request,
        slug,
        lambda: register_services.withdraw_from_review(agent_id=found.pk, by=signed_in(request)),
        "It is a draft again.",
    )


@login_required
@require_http_methods(["GET", "POST"])
def suspend(request: HttpRequest, slug: str) -> HttpResponse:
    """The kill switch: from the next decision on everything is denied."""
    found = visible_agent(request, slug)
    form = ReasonForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        return _act(
            request,
            slug,
            lambda: register_services.suspend_agent(
                agent_id=found.pk, by=signed_in(request), reason=form.cleaned_data["reason"]
            ),
            f"{found.slug} is suspended. Every call is denied from now on.",
        )
    return render(request, "lifecycle/suspend.html", {"agent": found, "form": form})


@login_required
@require_POST
def resume(request: HttpRequest, slug: str) -> HttpResponse:
    """Start a suspended agent again."""
    found = visible_agent(request, slug)
    return _act(
        request,
        slug,
        lambda: register_services.resume_agent(agent_id=found.pk, by=signed_in(request)),
        f"{found.slug} is active again.",
    )


def _act(request: HttpRequest, slug: str, act: Callable[[], object], said: str) -> HttpResponse:
    """Do it, say what happened, and go back to the agent."""
    try:
        act()
        messages.success(request, said)
    except GovernanceError as error:
        messages.error(request, error.sentences)
    return redirect("agent", slug=slug)
