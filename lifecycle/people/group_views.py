"""What groups of sources mean here: of directories, and of providers that people sign in with."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods, require_POST

from governance.kernel.errors import GovernanceError
from lifecycle.models import SourceKind
from lifecycle.people import sources
from lifecycle.scim import selectors
from registry import permissions, services
from registry.enums import ChangeState, GroupName
from registry.models import ClaimedGroup, ProposedChange
from registry.oidc import listed
from registry.people import signed_in
from registry.services import claimed_groups


def choices() -> list[tuple[str, str]]:
    """The sources that say who is in which group: open directories, and providers that claim."""
    told = {each.source: each.name for each in listed.configured() if each.groups_claim}
    for source in sources.open_sources(SourceKind.SCIM).order_by("slug"):
        told.setdefault(source.slug, source.title)
    return sorted(told.items())


class GroupForm(forms.Form):
    """Which group there is which here."""

    source = forms.ChoiceField(label="Source")
    claim = forms.CharField(
        label="Group there",
        max_length=255,
        help_text="Exactly as the claim at sign-in says it; of a directory, the id of the group.",
    )
    group = forms.ChoiceField(label="Group here", choices=[("", "choose one"), *GroupName.choices])

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        field = self.fields["source"]
        assert isinstance(field, forms.ChoiceField)  # noqa: S101 - as declared above
        field.choices = choices()


@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def groups(request: HttpRequest) -> HttpResponse:
    """Which are agreed, and a form to propose one."""
    by = signed_in(request)
    permissions.check_can_change_people(by)
    form = (
        GroupForm(request.POST) if request.method == "POST" else GroupForm(initial=_asked(request))
    )
    if form.is_bound and form.is_valid():
        try:
            said = form.cleaned_data
            named = selectors.named(said["source"], said["claim"])
            services.propose_claimed_group(by=by, named=named, **said)
            messages.success(request, "It waits for a second person, in security's inbox.")
            return redirect("source_groups")
        except GovernanceError as error:
            form.add_error(None, error.sentences)
    context = {
        "form": form,
        "asked": selectors.named(*map(str, (form["source"].value(), form["claim"].value()))),
        "agreed": _agreed(),
        "waiting": _waiting(),
        "directories": sources.open_sources(SourceKind.SCIM).order_by("slug"),
    }
    status = 400 if form.is_bound and form.errors else 200
    return render(request, "lifecycle/people/groups.html", context, status=status)


def _asked(request: HttpRequest) -> dict[str, str]:
    """What a link to this page chose already."""
    return {name: request.GET.get(name, "")[:255] for name in ("source", "claim")}


def _agreed() -> list[dict[str, Any]]:
    """Each mapping, and when what its source says takes effect."""
    rows, when = ClaimedGroup.objects.select_related("agreed_by", "proposed_by"), _moments()
    return [{"row": row, "when": when.get(row.source, "not any more")} for row in rows]


def _waiting() -> QuerySet[ProposedChange]:
    rows = ProposedChange.objects.filter(kind=claimed_groups.KIND, state=ChangeState.PROPOSED)
    return rows.select_related("proposed_by")


def _moments() -> dict[str, str]:
    told = dict.fromkeys((each.source for each in listed.configured()), "at each sign-in")
    for slug in sources.open_sources(SourceKind.SCIM).values_list("slug", flat=True):
        told[slug] = "at once, and at each sign-in" if slug in told else "at once"
    return told


@login_required
@require_POST
def remove(request: HttpRequest, pk: int) -> HttpResponse:
    """Take one away: at once, by one person."""
    try:
        services.remove_claimed_group(pk=pk, by=signed_in(request))
        messages.success(request, "It means nothing here any more.")
    except GovernanceError as error:
        messages.error(request, error.sentences)
    return redirect("source_groups")
