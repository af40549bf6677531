"""The page of an idle agent: is it still needed?"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from django import forms
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_GET, require_POST

from governance.kernel import clock
from governance.kernel.errors import GovernanceError
from lifecycle.decommissioning import reading
from lifecycle.decommissioning.answers import what_follows
from lifecycle.idle import permissions, selectors, services, words
from lifecycle.idle.forms import EndForm, NarrowForm, RenewForm
from lifecycle.models.cases import Case, CaseKind
from registry import permissions as register
from registry.models import Agent
from registry.people import signed_in, visible_agent
from registry.permissions import can


@login_required
@require_GET
def idle(request: HttpRequest, slug: str) -> HttpResponse:
    """How long nobody has heard of it, until when to answer, and the three answers."""
    agent = visible_agent(request, slug)
    return render(request, "lifecycle/idle/idle.html", _page(request, agent))


def _page(request: HttpRequest, agent: Agent, **forms_given: forms.Form) -> dict[str, Any]:
    person, silence = signed_in(request), selectors.silence_of(agent)
    held = selectors.tools_of(agent, silence)
    why_not = can(permissions.check_can_answer, agent, person)
    return {
        "agent": agent,
        "case": selectors.case_of(agent),
        "order": reading.open_order(agent),
        "earlier": _closed(agent),
        "silence": silence,
        "silent": words.silent(silence),
        "is_idle": silence.is_idle(clock.now()),
        "held": held,
        "days": selectors.limits(),
        "renew_form": RenewForm(),
        "narrow_form": NarrowForm(held),
        "end_form": EndForm(),
        "why_not": why_not,
        "why_not_narrow": why_not or can(register.check_can_narrow_agent, agent, person),
        "why_not_end": why_not or can(register.check_can_decommission_agent, agent, person),
        **forms_given,
    }


def _closed(agent: Agent) -> list[Case]:
    rows = Case.objects.filter(agent=agent, kind=CaseKind.IDLE, closed_at__isnull=False)
    return list(rows.select_related("closed_by").order_by("-closed_at")[:5])


@dataclass(frozen=True, slots=True)
class Answer:
    """One of the three: the form on the page, what it does, and what is said then."""

    form: str
    act: Callable[..., object]
    said: Callable[[Agent], str]


RENEW = Answer(
    "renew_form",
    services.renew_idle,
    lambda agent: f"{agent.slug} is kept. Its clock begins anew today.",
)
NARROW = Answer(
    "narrow_form",
    services.narrow_idle,
    lambda agent: f"{agent.slug} is kept with less. Its clock begins anew today.",
)
END = Answer("end_form", services.end_idle, what_follows)


@login_required
@require_POST
def renew(request: HttpRequest, slug: str) -> HttpResponse:
    """Keep it as it is."""
    return _answer(request, visible_agent(request, slug), RENEW, RenewForm(request.POST))


@login_required
@require_POST
def narrow(request: HttpRequest, slug: str) -> HttpResponse:
    """Keep it with fewer tools."""
    agent = visible_agent(request, slug)
    held = selectors.tools_of(agent, selectors.silence_of(agent))
    return _answer(request, agent, NARROW, NarrowForm(held, request.POST))


@login_required
@require_POST
def end(request: HttpRequest, slug: str) -> HttpResponse:
    """End it for good."""
    return _answer(request, visible_agent(request, slug), END, EndForm(request.POST))


def _answer(request: HttpRequest, agent: Agent, answer: Answer, form: forms.Form) -> HttpResponse:
    if form.is_valid():
        try:
            answer.act(agent_id=agent.pk, by=signed_in(request), **form.cleaned_data)
        except GovernanceError as error:
            form.add_error(None, error.sentences)
        else:
            messages.success(request, answer.said(agent))
            return redirect("agent", slug=agent.slug)
    page = _page(request, agent, **{answer.form: form})
    return render(request, "lifecycle/idle/idle.html", page)
