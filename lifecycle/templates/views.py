"""The pages of templates: which there are, what each fixes, and how one is changed."""

from __future__ import annotations

import json
from typing import Any

from django import forms
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from governance.kernel import strict_json
from governance.kernel.errors import GovernanceError
from lifecycle.models import Template
from lifecycle.templates import permissions, selectors, services
from lifecycle.templates.content import fault_in, read_content
from registry import validators
from registry.enums import Tier
from registry.people import signed_in
from registry.permissions import can

MAX_CONTENT = 32 * 1024


class TemplateVersionForm(forms.Form):
    """Another version, as it is written down."""

    slug = forms.CharField(
        label="Id", max_length=60, validators=[validators.slug], help_text="It never changes."
    )
    name = forms.CharField(label="Name", max_length=100, validators=[validators.plain_text])
    summary = forms.CharField(
        label="What is it, in one sentence?", max_length=200, validators=[validators.plain_text]
    )
    approved_tier = forms.ChoiceField(
        label="Approved up to",
        choices=Tier.choices,
        help_text="Restricted needs security and the DPO: one proposes, the other agrees.",
    )
    content = forms.CharField(
        label="What it fixes, and what its owner chooses",
        max_length=MAX_CONTENT,
        widget=forms.Textarea(attrs={"rows": 24, "spellcheck": "false", "class": "mono"}),
        help_text="JSON, see the reference of templates.",
    )
    why = forms.CharField(
        label="Why this version?", max_length=500, validators=[validators.plain_text]
    )

    def clean_content(self) -> dict[str, Any]:
        raw = str(self.cleaned_data["content"]).encode("utf-8", "surrogatepass")
        try:
            value = strict_json.loads(raw, max_bytes=4 * MAX_CONTENT)
        except strict_json.BadJson as error:
            raise forms.ValidationError(error.message) from error
        if fault := fault_in(value):
            raise forms.ValidationError(fault)
        return dict(value)


@login_required
@require_GET
def templates(request: HttpRequest) -> HttpResponse:
    """Every template, the version in force first."""
    rows = [row for row in selectors.for_list() if row.state in {"active", "proposed"}]
    context = {
        "rows": rows,
        "in_force": sum(row.state == "active" for row in rows),
        "why_not": can(permissions.check_can_propose_templates, signed_in(request)),
    }
    return render(request, "lifecycle/templates/templates.html", context)


@login_required
@require_GET
def template(request: HttpRequest, slug: str) -> HttpResponse:
    """One template: what the version in force fixes, and the versions before it."""
    versions = list(selectors.for_list().filter(slug=slug))
    if not versions:
        raise Http404
    shown = next((each for each in versions if each.state == "active"), versions[0])
    person = signed_in(request)
    context = {
        "template": shown,
        "content": read_content(shown.content),
        "text": json.dumps(shown.content, indent=2),
        "versions": versions,
        "why_not_propose": can(permissions.check_can_propose_templates, person),
        "why_not_retire": can(permissions.check_can_retire_templates, person),
    }
    return render(request, "lifecycle/templates/template.html", context)


@login_required
@require_http_methods(["GET", "POST"])
def propose(request: HttpRequest, slug: str = "") -> HttpResponse:
    """Write another version; it is in force when a second person agrees."""
    permissions.check_can_propose_templates(signed_in(request))
    shown = selectors.for_list().filter(slug=slug).first() if slug else None
    if slug and shown is None:
        raise Http404
    form = TemplateVersionForm(request.POST or None, initial=_initial(shown))
    if shown:
        form.fields["slug"].disabled = True
    if request.method == "POST" and form.is_valid():
        try:
            made = services.propose_template(by=signed_in(request), **form.cleaned_data)
            _tell(request, made)
            return redirect("template", slug=made.slug)
        except GovernanceError as error:
            form.add_error(None, error.sentences)
    return render(request, "lifecycle/templates/propose.html", {"form": form, "template": shown})


def _initial(shown: Template | None) -> dict[str, Any]:
    if shown is None:
        return {}
    fields = ("slug", "name", "summary", "approved_tier")
    known = {name: getattr(shown, name) for name in fields}
    return known | {"content": json.dumps(shown.content, indent=2)}


def _tell(request: HttpRequest, made: Template) -> None:
    if made.state == "proposed":
        messages.success(request, f"{made.uid} waits for a second person to agree.")
    else:
        messages.info(request, f"This is {made.uid}, which is in force.")


@login_required
@require_POST
def retire(request: HttpRequest, slug: str) -> HttpResponse:
    """Nobody starts from it any more."""
    try:
        gone = services.retire_template(slug=slug, by=signed_in(request))
        messages.success(request, f"{gone.uid} is retired. Its agents live on.")
    except GovernanceError as error:
        messages.error(request, error.sentences)
    return redirect("template", slug=slug)
