"""Campaigns: a list is pasted, looked at, and sent out; and how far each is."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django import forms
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from governance.kernel import clock
from governance.kernel.errors import GovernanceError
from governance.kernel.streaming import Streamed
from lifecycle.campaigns import selectors, services
from lifecycle.campaigns.candidates import Looked, look_up
from lifecycle.campaigns.reading import CSV, MAX_BYTES, read_rows
from lifecycle.imports import KINDS
from lifecycle.models.campaigns import Campaign, Candidate, CandidateState
from lifecycle.permissions import check_can_run_campaigns
from registry.people import signed_in

PAGE = 50


class CampaignForm(forms.Form):
    """A list of what runs, and by when its owners answer."""

    name = forms.CharField(label="What is it called?", max_length=100)
    due = forms.DateField(
        label="Answers by", widget=forms.DateInput(attrs={"type": "date"}), required=True
    )
    kind = forms.ChoiceField(
        label="It is",
        required=False,
        choices=[("", "whatever it looks like"), (CSV, "CSV"), *KINDS.items()],
    )
    file = forms.FileField(label="A file", required=False)
    text = forms.CharField(
        label="Or paste it",
        required=False,
        max_length=MAX_BYTES,
        widget=forms.Textarea(attrs={"rows": 10, "spellcheck": "false", "class": "mono"}),
        help_text="CSV with a first line such as name,owner,purpose,tools; YAML; agent cards; "
        "MCP configurations.",
    )
    callers = forms.BooleanField(label="And every unregistered caller", required=False)

    def raw(self) -> bytes:
        """What is to be read: the file, where there is one."""
        file = self.cleaned_data["file"]
        if file is None:
            return str(self.cleaned_data["text"]).encode()
        return bytes(file.read(MAX_BYTES + 1))


@login_required
@require_GET
def campaigns(request: HttpRequest) -> HttpResponse:
    """Every campaign, and how much of it is open."""
    check_can_run_campaigns(signed_in(request))
    page = Paginator(selectors.for_list(), PAGE).get_page(request.GET.get("page"))
    return render(request, "lifecycle/campaigns.html", {"page": page})


@login_required
@require_http_methods(["GET", "POST"])
def new(request: HttpRequest) -> HttpResponse:
    """Paste or upload, look at what was made of it, then send it out."""
    by = signed_in(request)
    check_can_run_campaigns(by)
    initial = {"due": (clock.now() + timedelta(days=14)).date()}
    form = CampaignForm(request.POST or None, request.FILES or None, initial=initial)
    looked: list[Looked] = []
    if request.method == "POST" and form.is_valid():
        try:
            raw = form.raw()
            looked = _looked(form, raw)
            if "start" in request.POST:
                return _start(request, form, looked)
            form = _with_text(request, raw)
        except GovernanceError as error:
            form.add_error(None, error.message)
    context = {"form": form, "looked": looked, "open_callers": services.open_callers()}
    return render(request, "lifecycle/campaign_new.html", context | _counts(looked))


def _looked(form: CampaignForm, raw: bytes) -> list[Looked]:
    rows = read_rows(raw, kind=form.cleaned_data["kind"]) if raw.strip() else []
    return look_up(rows, with_callers=form.cleaned_data["callers"])


def _with_text(request: HttpRequest, raw: bytes) -> CampaignForm:
    """The same form, with what stood in the file as its text: nothing is kept in between."""
    given = request.POST.copy()
    given["text"] = raw.decode("utf-8", "replace")
    return CampaignForm(given)


def _start(request: HttpRequest, form: CampaignForm, looked: list[Looked]) -> HttpResponse:
    campaign = services.start_campaign(
        name=form.cleaned_data["name"],
        due=form.cleaned_data["due"],
        looked=looked,
        by=signed_in(request),
    )
    messages.success(request, "Sent out. The proposed owners find it in their inbox.")
    return redirect("campaign", pk=campaign.pk)


def _counts(looked: list[Looked]) -> dict[str, Any]:
    return {
        "asked": sum(each.state == CandidateState.ASKED for each in looked),
        "unowned": sum(each.state == CandidateState.UNOWNED for each in looked),
        "known": sum(each.state == CandidateState.KNOWN for each in looked),
    }


@login_required
@require_GET
def campaign(request: HttpRequest, pk: int) -> HttpResponse:
    """How far it is, and what nobody has accepted."""
    found = _campaign(request, pk)
    state = request.GET.get("state", "")
    rows = found.candidates.select_related("owner", "agent", "caller")
    rows = rows.filter(state=state) if state in CandidateState.values else rows
    page = Paginator(rows, PAGE).get_page(request.GET.get("page"))
    context = {
        "campaign": found,
        "page": page,
        "counted": selectors.counted(found),
        "state": state,
    }
    return render(request, "lifecycle/campaign.html", context)


@login_required
@require_GET
def as_csv(request: HttpRequest, pk: int) -> Streamed:
    """The whole list, for a spreadsheet."""
    found = _campaign(request, pk)
    name = f"campaign-{found.pk}.csv"
    return Streamed(selectors.csv_lines(found), content_type="text/csv", name=name)


@login_required
@require_POST
def close(request: HttpRequest, pk: int) -> HttpResponse:
    """Ask nobody any more."""
    services.close_campaign(campaign_id=_campaign(request, pk).pk, by=signed_in(request))
    return redirect("campaign", pk=pk)


@login_required
@require_POST
def candidate(request: HttpRequest, pk: int, candidate_id: int) -> HttpResponse:
    """Name an owner, or put it aside."""
    found = get_object_or_404(Candidate, pk=candidate_id, campaign=_campaign(request, pk))
    by = signed_in(request)
    try:
        if "drop" in request.POST:
            services.drop_candidate(
                candidate_id=found.pk, reason=request.POST.get("reason", ""), by=by
            )
        else:
            services.name_owner(candidate_id=found.pk, email=request.POST.get("owner", ""), by=by)
    except GovernanceError as error:
        messages.error(request, error.message)
    return redirect("campaign", pk=pk)


def _campaign(request: HttpRequest, pk: int) -> Campaign:
    check_can_run_campaigns(signed_in(request))
    return get_object_or_404(Campaign.objects.select_related("started_by"), pk=pk)
