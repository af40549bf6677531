"""Registering an agent and changing one: the form, and the verdict that follows it."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.http import require_http_methods, require_POST

from governance.kernel.errors import GovernanceError
from lifecycle import pages, services, views
from lifecycle.decommissioning import again
from lifecycle.forms import AgentForm
from lifecycle.models import Template
from lifecycle.templates import selectors
from lifecycle.templates import services as templates
from lifecycle.templates.forms import MORE, PREFIX, SOMETHING_ELSE, TemplateForm, form_for
from lifecycle.templates.judging import verdict_of_plan
from lifecycle.verdict import LiveVerdict, verdict_of
from registry import permissions
from registry.models import Agent, UnregisteredCaller
from registry.people import signed_in, visible_agent
from registry.pictures import picture_of
from registry.reach import Reach, below_of, reach_of_draft


@login_required
@require_http_methods(["GET", "POST"])
def register(request: HttpRequest) -> HttpResponse:
    """One page on which an agent comes onto the register."""
    adopt, earlier = _adopted(request), _earlier(request)
    template = _template(request, usual=adopt is None and earlier is None)
    initial: dict[str, Any] = {"slug": pages.slug_from(adopt.claimed)} if adopt else {}
    initial |= again.initial_of(earlier) if earlier else {}
    form = form_for(template, request.POST or None, owner=signed_in(request), initial=initial)
    if request.method == "POST" and form.is_valid():
        try:
            return _go_on(request, _registered(request, form, adopt, earlier), form)
        except GovernanceError as error:
            _show(form, error)
    return form_page(request, form, adopt=adopt, earlier=earlier)


def _template(request: HttpRequest, *, usual: bool) -> Template | None:
    """The template that is asked for; without a word the first one, where that is `usual`."""
    asked = request.POST.get("template") or request.GET.get("template")
    in_force = selectors.in_force()
    if asked:
        return in_force.filter(slug=asked[:60].replace("\0", "")).first()
    return in_force.first() if usual and request.method == "GET" else None


@transaction.atomic
def _registered(
    request: HttpRequest,
    form: AgentForm,
    adopt: UnregisteredCaller | None,
    earlier: Agent | None,
) -> Agent:
    agent = _drafted(request, form, adopt)
    if earlier is not None:
        again.link(earlier=earlier, later=agent, by=signed_in(request))
    return agent


def _drafted(request: HttpRequest, form: AgentForm, adopt: UnregisteredCaller | None) -> Agent:
    given: dict[str, Any] = {
        "by": signed_in(request),
        "slug": form.cleaned_data["slug"],
        "facts": form.facts(),
        "relying": form.relying(),
        "adopt": adopt,
    }
    if isinstance(form, TemplateForm):
        return templates.register_from_template(
            template=form.template.slug, choices=form.choices(), **given
        )
    return services.register_agent(
        tools=form.chosen_tools(), roles=list(form.cleaned_data["roles"]), **given
    )


def _go_on(request: HttpRequest, agent: Agent, form: AgentForm) -> HttpResponse:
    """A draft as asked; or live or in review, if that is what the page showed."""
    if request.POST.get("then") != "go":
        return redirect("agent", slug=agent.slug)
    verdict, _ = _judged(form)
    if request.POST.get("seen") != verdict.seen:
        messages.warning(
            request,
            "It is saved as a draft. What it reaches, or who must sign, is not what the page "
            "showed when you sent it: look once more.",
        )
        return redirect("agent", slug=agent.slug)
    step = views.attest if verdict.alone else views.send_for_review
    return step(request, slug=agent.slug)


def _adopted(request: HttpRequest) -> UnregisteredCaller | None:
    asked = request.POST.get("adopt") or request.GET.get("adopt") or ""
    if not asked.isdecimal():
        return None
    return UnregisteredCaller.objects.filter(pk=int(asked)).first()


def _earlier(request: HttpRequest) -> Agent | None:
    """The agent that has ended and is registered again, if this is about one."""
    asked = request.POST.get("again") or request.GET.get("again") or ""
    if not asked:
        return None
    earlier = visible_agent(request, asked[:60].replace("\0", ""))
    again.check_over(earlier)
    return earlier


@login_required
@require_http_methods(["GET", "POST"])
def change(request: HttpRequest, slug: str) -> HttpResponse:
    """The same page for an agent that is on the register."""
    person = signed_in(request)
    agent = visible_agent(request, slug)
    permissions.check_can_change_agent(agent, person)
    template = _template_of(request, agent)
    form = form_for(template, request.POST or None, owner=agent.owner, agent=agent)
    if request.method == "POST" and form.is_valid():
        try:
            views.tell_saved(request, _changed(request, form, agent))
            return redirect("agent", slug=slug)
        except GovernanceError as error:
            _show(form, error)
    return form_page(request, form, agent=Agent.objects.get(pk=agent.pk))


def _template_of(request: HttpRequest, agent: Agent) -> Template | None:
    """The template that a row still is of, unless something else is asked for."""
    asked = request.POST.get("template") or request.GET.get("template")
    origin = selectors.origin_of(agent)
    if origin is None or asked == SOMETHING_ELSE or (request.method == "POST" and not asked):
        return None
    if not asked and selectors.departures_of(origin):
        return None
    return selectors.in_force().filter(slug=origin.template.slug).first()


def _changed(request: HttpRequest, form: AgentForm, agent: Agent) -> int:
    given: dict[str, Any] = {
        "agent_id": agent.pk,
        "by": signed_in(request),
        "facts": form.facts(),
        "relying": form.relying(),
    }
    if isinstance(form, TemplateForm):
        return templates.change_from_template(choices=form.choices(), **given)
    return services.change_agent(
        tools=form.chosen_tools(), roles=list(form.cleaned_data["roles"]), **given
    )


def _show(form: AgentForm, error: GovernanceError) -> None:
    """An error of a service beside the fields that it names, or above the form."""
    told = False
    for name, sentences in error.fields.items():
        field = name.removesuffix("_minor")
        field = PREFIX + field if PREFIX + field in form.fields else field
        for sentence in sentences:
            form.add_error(field if field in form.fields else None, sentence)
            told = True
    if not told:
        form.add_error(None, error.message)


def form_page(
    request: HttpRequest,
    form: AgentForm,
    *,
    agent: Agent | None = None,
    adopt: UnregisteredCaller | None = None,
    earlier: Agent | None = None,
    told: tuple[str, ...] = (),
) -> HttpResponse:
    """The page with the form as it stands; `told` are sentences about where it comes from."""
    context: dict[str, Any] = {
        "form": form,
        "agent": agent,
        "adopt": adopt,
        "earlier": earlier,
        "told": told,
        **_shape(form, agent),
        **_verdict(form),
        "open_more": bool({*MORE} & set(form.errors)),
    }
    return render(request, "lifecycle/register.html", context)


def _shape(form: AgentForm, agent: Agent | None) -> dict[str, Any]:
    """The starting points, and what the form asks for."""
    shape: dict[str, Any] = {"something_else": SOMETHING_ELSE}
    origin = selectors.origin_of(agent) if agent else None
    if agent is None:
        shape["starts"] = selectors.in_force()
    elif origin:
        shape |= {"origin": origin, "departures": selectors.departures_of(origin)}
    if isinstance(form, TemplateForm):
        return shape | {"template": form.template, "slots": form.slots(), "fixed": form.content}
    return shape | {"systems": form.systems()}


@login_required
@require_POST
def verdict(request: HttpRequest) -> HttpResponse:
    """What follows from the form as it stands; a fragment, changes nothing."""
    asked = request.POST.get("agent", "")
    mine = Agent.objects.visible_to(signed_in(request)).select_related("owner", "model_provider")
    agent = mine.filter(pk=int(asked)).first() if asked.isdecimal() and len(asked) < 19 else None
    template = _template(request, usual=False)
    owner = agent.owner if agent else signed_in(request)
    form = form_for(template, request.POST, owner=owner, agent=agent)
    context = {**_verdict(form), "swapped": True, "agent": agent}
    return render(request, "lifecycle/_verdict.html", context)


def _verdict(form: AgentForm) -> dict[str, Any]:
    verdict, reach = _judged(form)
    name = str(form.data.get("slug") or form.instance.slug)[:60]
    return {"verdict": verdict, "picture": picture_of(name, reach)}


def _judged(form: AgentForm) -> tuple[LiveVerdict, Reach]:
    if isinstance(form, TemplateForm):
        return verdict_of_plan(
            form.template,
            form.plan(),
            owner=form.owner,
            agent=form.instance if form.instance.pk else None,
            today=timezone.localdate(),
            model_provider=form.chosen_provider(),
        )
    narrowings = form.narrowings()
    tools = form.chosen_tools()
    reach = reach_of_draft(
        entries=[(tool, narrowings.get(tool.pk, {})) for tool in tools],
        model_provider=form.chosen_provider(),
        below=below_of(form.instance) if form.instance.pk else (),
    )
    said = verdict_of(
        reach,
        owner=form.owner,
        agent=form.instance if form.instance.pk else None,
        tools=tools,
        roles=form.chosen_roles(),
        today=timezone.localdate(),
    )
    return said, reach
