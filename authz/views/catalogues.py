"""Pages that show who may do what: policies in force and waiting, toxic combinations."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime

from django.contrib.auth.decorators import login_required
from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.views.decorators.http import require_GET, require_http_methods

from authz import permissions, selectors, services
from authz.enums import PolicyState, Sent
from authz.forms.policies import PolicyFilter
from authz.models import ExternalPDP, Policy, Signature, ToxicCombination
from authz.selectors import Concern
from authz.services.pdps import PDP_KIND
from governance.kernel import clock
from registry import changes
from registry.enums import ChangeState
from registry.models import ProposedChange
from registry.people import signed_in
from registry.permissions import can

PAGE = 50


@dataclass(frozen=True, slots=True)
class Row:
    """One version in the list."""

    policy: Policy
    concern: Concern
    fired: datetime | None


@login_required
@require_GET
def policies(request: HttpRequest) -> HttpResponse:
    """Policies: what waits for someone first, then what is in force."""
    form = PolicyFilter(request.GET or None)
    asked = form.cleaned_data if form.is_valid() else {}
    rows = selectors.policies_listed(asked.get("state", ""), asked.get("q", ""))
    page = Paginator(rows, PAGE).get_page(request.GET.get("page"))
    fired, tools = selectors.last_fired(clock.now()), selectors.tool_facts()
    context = {
        "form": form,
        "page": page,
        "rows": [
            Row(policy, selectors.concern_of(policy, tools), fired.at.get(policy.uid))
            for policy in page
        ],
        "fired_capped": fired.capped,
        "looked": selectors.FIRED_DECISIONS,
        "active": Policy.objects.filter(state=PolicyState.ACTIVE).count(),
        "waiting": Policy.objects.filter(state=PolicyState.PROPOSED).count(),
        "why_not": can(permissions.check_can_propose_policies, signed_in(request)),
    }
    return render(request, "authz/policies.html", context)


@login_required
@require_GET
def toxic(request: HttpRequest) -> HttpResponse:
    """The catalogue of data categories that are dangerous together."""
    context = {
        "toxic": ToxicCombination.objects.all(),
        "why_not": can(permissions.check_can_change_toxic, signed_in(request)),
    }
    return render(request, "authz/toxic.html", context)


@login_required
@require_GET
def signatures(request: HttpRequest) -> HttpResponse:
    """The denied signatures, those switched off as well."""
    return render(request, "authz/signatures.html", {"signatures": Signature.objects.all()})


@login_required
@require_GET
def pdps(request: HttpRequest) -> HttpResponse:
    """The decision points outside, those switched off as well."""
    context = {
        "pdps": ExternalPDP.objects.select_related("owner", "health"),
        "why_not": can(permissions.check_can_change_pdps, signed_in(request)),
    }
    return render(request, "authz/pdps.html", context)


@login_required
@require_http_methods(["GET", "POST"])
def pdp(request: HttpRequest, slug: str) -> HttpResponse:
    """One decision point outside: what it is told, whose calls ask it. A POST tries it."""
    row, by = (
        get_object_or_404(ExternalPDP.objects.select_related("owner"), slug=slug),
        signed_in(request),
    )
    tried = (
        services.try_pdp(slug=slug, by=by, now=clock.now()) if request.method == "POST" else None
    )
    change = ProposedChange.objects.filter(
        kind=PDP_KIND, target=slug, state=ChangeState.PROPOSED
    ).first()
    context = {
        "pdp": ExternalPDP.objects.select_related("owner", "health").get(pk=row.pk),
        "sent": [label for value, label in Sent.choices if value in row.sends],
        "tried": tried,
        "sample": json.dumps(tried.question, indent=2) if tried else "",
        "change": change,
        "why_not_agree": changes.can_agree(change, by) if change else "",
        "history": row.history.select_related("history_user")[:PAGE],
        "why_not": can(permissions.check_can_change_pdps, by),
    }
    return render(request, "authz/pdp.html", context)
