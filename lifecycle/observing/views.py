"""Ask for an agent to be observed, see that it is, end it."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods, require_POST

from governance.kernel.errors import GovernanceError
from registry import permissions
from registry import services as register
from registry.enums import ChangeState
from registry.models import Agent, ProposedChange
from registry.models.agents import MOST_OBSERVED
from registry.people import signed_in, visible_agent
from registry.services.observation import OBSERVE_KIND


class ObserveForm(forms.Form):
    """For how long, and why."""

    days = forms.IntegerField(
        label="For how many days?",
        min_value=1,
        max_value=MOST_OBSERVED.days,
        initial=14,
        help_text=f"At most {MOST_OBSERVED.days}. Then it ends by itself.",
    )
    reason = forms.CharField(
        label="Why is it not enforced yet?",
        max_length=500,
        widget=forms.Textarea(attrs={"rows": 3}),
        help_text="Whoever agrees reads it, and it stands on the record.",
    )


@login_required
@require_http_methods(["GET", "POST"])
def observe(request: HttpRequest, slug: str) -> HttpResponse:
    """What it means, whether it is on, and the way in."""
    agent = visible_agent(request, slug, "observe_by", "observe_agreed_by")
    person = signed_in(request)
    form = ObserveForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        try:
            register.propose_observation(agent_id=agent.pk, by=person, **form.cleaned_data)
            messages.success(request, "It waits for a second person. Nothing changes until then.")
            return redirect("agent_observe", slug=slug)
        except GovernanceError as error:
            form.add_error(None, error.message)
    return render(request, "lifecycle/observe.html", _shown(agent, form, request))


def _shown(agent: Agent, form: ObserveForm, request: HttpRequest) -> dict[str, Any]:
    person = signed_in(request)
    waiting = ProposedChange.objects.filter(
        kind=OBSERVE_KIND, target=agent.slug, state=ChangeState.PROPOSED
    )
    return {
        "agent": agent,
        "form": form,
        "waiting": waiting.select_related("proposed_by").first(),
        "why_ask": permissions.can(permissions.check_can_change_agent, agent, person)
        or register.why_not_observed(agent),
        "why_end": permissions.can(permissions.check_can_suspend_agent, agent, person),
    }


@login_required
@require_POST
def end(request: HttpRequest, slug: str) -> HttpResponse:
    """End it now: one person is enough."""
    agent = visible_agent(request, slug)
    try:
        register.end_observation(
            agent_id=agent.pk, by=signed_in(request), reason=request.POST.get("reason", "")[:500]
        )
        messages.success(request, f"{agent.slug} is enforced from now on.")
    except GovernanceError as error:
        messages.error(request, error.message)
    return redirect("agent_observe", slug=slug)
