"""Pages about grants that two people agree to beforehand: what holds, another one, its end."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django import forms
from django.conf import settings
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from authz.models import Role
from governance.kernel.errors import GovernanceError
from lifecycle.grants import beforehand, words
from lifecycle.grants.listing import check_can_see_all
from registry.enums import ToolEffect
from registry.models import Agent
from registry.people import signed_in
from registry.permissions import can


class ProposeForm(forms.Form):
    """For whom, with what, for how long. What reads is ticked, what writes is not."""

    role = forms.ChoiceField(label="For everyone who holds the role")
    tools = forms.MultipleChoiceField(
        label="It may, in their name",
        widget=forms.CheckboxSelectMultiple,
        error_messages={"required": "Tick what it may do."},
    )
    days = forms.IntegerField(label="Each grant lasts so many days", min_value=1)
    reason = forms.CharField(label="Why", max_length=500, widget=forms.Textarea(attrs={"rows": 3}))

    def __init__(self, agent: Agent, data: Any = None) -> None:
        tools = beforehand.tools_for(agent)
        reads = [tool.name for tool in tools if tool.effect == ToolEffect.READ]
        super().__init__(data, initial={"tools": reads, "days": settings.MUSTER_GRANT_DAYS})
        offered, roles = self.fields["tools"], self.fields["role"]
        assert isinstance(offered, forms.MultipleChoiceField)  # noqa: S101 - as declared above
        assert isinstance(roles, forms.ChoiceField)  # noqa: S101 - as declared above
        offered.choices = [
            (tool.name, f"{words.said(tool, tool.name)} ({tool.effect})") for tool in tools
        ]
        held = Role.objects.filter(people__isnull=False).distinct().order_by("slug")
        roles.choices = [(slug, slug) for slug in held.values_list("slug", flat=True)]


@login_required
@require_GET
def approvals(request: HttpRequest) -> HttpResponse:
    """Which agents act for the people of a role without asking each?"""
    person = signed_in(request)
    check_can_see_all(person)
    context = {
        "rows": beforehand.shown(),
        "waiting": beforehand.proposed().select_related("proposed_by"),
        "candidates": beforehand.candidates(),
        "why_not": can(beforehand.check_can_propose, person),
        "why_not_end": can(beforehand.check_can_end, person),
    }
    return render(request, "lifecycle/grants/beforehand.html", context)


@login_required
@require_http_methods(["GET", "POST"])
def propose(request: HttpRequest, slug: str) -> HttpResponse:
    """Propose one."""
    person = signed_in(request)
    beforehand.check_can_propose(person)
    agent = beforehand.candidate(slug)
    form = ProposeForm(agent, request.POST or None)
    if request.method == "POST" and form.is_valid():
        try:
            beforehand.propose(agent_id=agent.pk, by=person, **form.cleaned_data)
        except GovernanceError as error:
            form.add_error(None, error.sentences)
        else:
            messages.success(request, "It holds when somebody else of security agrees.")
            return redirect("grants_beforehand")
    context = {"agent": agent, "form": form}
    return render(request, "lifecycle/grants/beforehand_propose.html", context)


@login_required
@require_POST
def end(request: HttpRequest, preapproval_id: UUID) -> HttpResponse:
    """End one, with every grant that came of it."""
    ended = beforehand.end(preapproval_id=preapproval_id, by=signed_in(request))
    grants = "one grant" if ended == 1 else f"{ended} grants"
    messages.success(request, f"It is over, and {grants} with it.")
    return redirect("grants_beforehand")
