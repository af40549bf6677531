"""The page on which a person says whether an agent may act for them, and with what."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from csp.decorators import csp_update
from django import forms
from django.conf import settings
from django.contrib.auth.views import redirect_to_login
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods

from authz import rights, timekeeper
from authz.models import Grant
from authz.oauth import authorizing, codes
from authz.oauth.authorizing import Wanted, Way
from authz.oauth.errors import AccessDenied, LoginRequired, OAuthError
from authz.oauth.words import limits_of
from authz.rights import Offer
from governance.kernel.errors import GovernanceError
from registry.enums import ToolEffect
from registry.models import Agent, AllowlistEntry, Person, Tool
from registry.people import signed_in

ALLOW = "allow"
SHORTER = (1, 7, 30)


@dataclass(frozen=True, slots=True)
class Row:
    """One tool that the agent asks for and may be let use: what it does, and its limits."""

    tool: Tool
    limits: tuple[str, ...]
    ticked: bool


@dataclass(frozen=True, slots=True)
class Page:
    """What a person is asked. `beyond` is asked for and cannot be let, by name."""

    rows: tuple[Row, ...]
    beyond: tuple[str, ...]
    withheld: tuple[Tool, ...]
    earlier: Grant | None


class ConsentForm(forms.Form):
    """Which of the tools, and for how long."""

    tools = forms.MultipleChoiceField(required=False)
    days = forms.TypedChoiceField(label="Until", coerce=int)

    def __init__(self, *args: object, asked: Sequence[str], **kwargs: object) -> None:
        super().__init__(*args, **kwargs)  # type: ignore[arg-type]
        tools, days = self.fields["tools"], self.fields["days"]
        assert isinstance(tools, forms.MultipleChoiceField)  # noqa: S101 - declared above
        assert isinstance(days, forms.TypedChoiceField)  # noqa: S101 - declared above
        tools.choices = [(name, name) for name in asked]
        days.choices = [(str(each), _said(each)) for each in lasting()]
        days.initial = str(longest())


def longest() -> int:
    """How many days a grant lasts where nothing is said."""
    return int(settings.MUSTER_GRANT_DAYS)


def lasting() -> tuple[int, ...]:
    """How many days a person can choose from, the longest first."""
    return (longest(), *(each for each in reversed(SHORTER) if each < longest()))


def _said(days: int) -> str:
    ends = timekeeper.now() + timedelta(days=days)
    return f"{ends:%-d %B %Y}, {'one day' if days == 1 else f'{days} days'}"


@never_cache
@require_http_methods(["GET", "POST"])
def authorize(request: HttpRequest) -> HttpResponse:
    """The authorization endpoint: ask the person, and send the agent the answer."""
    if not request.user.is_authenticated:
        return _signed_out(request)
    way, by = authorizing.read_way(request.GET), signed_in(request)
    try:
        wanted = authorizing.read_wanted(request.GET)
        if wanted.is_silent:
            return _sent(way.back({"code": codes.renew_code(way=way, wanted=wanted, by=by)}))
        if request.method == "POST":
            return _answered(request, way, wanted)
    except OAuthError as error:
        return _sent(way.refused(error))
    return _page(request, way, wanted, ConsentForm(asked=wanted.tools))


def _signed_out(request: HttpRequest) -> HttpResponse:
    """Sign in first, and come back; an agent that wants no page shown is told instead."""
    if request.GET.get("prompt") == authorizing.SILENT:
        return _sent(authorizing.read_way(request.GET).refused(LoginRequired()))
    return redirect_to_login(request.get_full_path())


def _answered(request: HttpRequest, way: Way, wanted: Wanted) -> HttpResponse:
    if request.POST.get("answer") != ALLOW:
        raise AccessDenied()
    form = ConsentForm(request.POST, asked=wanted.tools)
    if not form.is_valid():
        return _page(request, way, wanted, form)
    try:
        code = codes.consent(
            way=way,
            wanted=wanted,
            tools=form.cleaned_data["tools"],
            until=_until(form.cleaned_data["days"]),
            by=signed_in(request),
        )
    except GovernanceError as error:
        if error.status >= 500:
            raise
        form.add_error(None, error.message)
        return _page(request, way, wanted, form)
    return _sent(way.back({"code": code}))


def _until(days: int) -> datetime | None:
    """The longest is what is given where nothing is said."""
    return None if days == longest() else timekeeper.now() + timedelta(days=days)


def _sent(address: str) -> HttpResponse:
    """On to the agent, by GET whatever was sent (RFC 9700 section 4.12)."""
    return HttpResponseRedirect(address, status=303)


def _page(request: HttpRequest, way: Way, wanted: Wanted, form: ConsentForm) -> HttpResponse:
    by = signed_in(request)
    chosen = form.data.getlist("tools") if form.is_bound else None  # type: ignore[attr-defined]
    context = {
        "way": way,
        "agent": way.agent,
        "form": form,
        "page": page_of(by, way.agent, wanted, chosen),
    }
    status = 400 if form.is_bound else 200
    shown = render(request, "authz/consent.html", context, status=status)
    # The answer goes on to the agent, and a form may only be sent where its page says.
    csp_update({"form-action": [way.origin]})(lambda _: shown)(request)
    return shown


def page_of(
    person: Person, agent: Agent, wanted: Wanted, chosen: Sequence[str] | None = None
) -> Page:
    """What the person is asked: the least is ticked, unless they have chosen before."""
    offer = rights.offer_of(person, agent)
    asked = [tool for tool in offer.may if tool.name in wanted.tools]
    entries = {
        entry.tool_id: entry
        for entry in AllowlistEntry.objects.select_related("tool").filter(agent=agent)
    }
    ticked = {tool.name for tool in asked if tool.effect == ToolEffect.READ}
    return Page(
        rows=tuple(
            Row(
                tool,
                limits_of(entries[tool.pk]),
                tool.name in (ticked if chosen is None else chosen),
            )
            for tool in asked
        ),
        beyond=tuple(name for name in wanted.tools if name not in offer.names),
        withheld=_withheld(offer, wanted),
        earlier=Grant.objects.filter(person=person, agent=agent, ended_at__isnull=True).first(),
    )


def _withheld(offer: Offer, wanted: Wanted) -> tuple[Tool, ...]:
    """What the person may do and the agent gets nothing of, whatever they tick."""
    unasked = [tool for tool in offer.may if tool.name not in wanted.tools]
    return tuple(sorted((*offer.withheld, *unasked), key=lambda tool: tool.name))
