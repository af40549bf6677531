"""Filling the form from a file: what is read is shown, and nothing of it is kept."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_http_methods

from lifecycle import imports
from lifecycle.forms import AgentForm
from lifecycle.imports import BadImport, Proposed
from lifecycle.imports.matching import Matched, matched
from lifecycle.models import Template
from lifecycle.registering import form_page
from lifecycle.templates import selectors
from lifecycle.templates.content import Content
from lifecycle.templates.forms import PREFIX, form_for
from registry.people import signed_in

TOO_LARGE = f"The file is larger than {imports.MAX_BYTES // 1024} KiB."


class _Templates(forms.ModelChoiceField):  # type: ignore[type-arg]
    """Templates by their names."""

    def label_from_instance(self, obj: Any) -> str:
        return str(obj.name)


class ImportForm(forms.Form):
    """A text or a file, and the form that it fills."""

    text = forms.CharField(
        label="Paste it here",
        required=False,
        max_length=imports.MAX_BYTES,
        strip=False,
        widget=forms.Textarea(attrs={"rows": 12, "spellcheck": "false", "class": "mono"}),
    )
    file = forms.FileField(label="Or choose the file", required=False)
    template = _Templates(
        label="Fill the form of",
        queryset=Template.objects.none(),
        to_field_name="slug",
        required=False,
        empty_label="something else",
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        field = self.fields["template"]
        if isinstance(field, forms.ModelChoiceField):
            field.queryset = selectors.in_force()

    def clean_file(self) -> Any:
        file = self.cleaned_data["file"]
        if file and (file.size or 0) > imports.MAX_BYTES:
            raise forms.ValidationError(TOO_LARGE)
        return file

    def raw(self) -> bytes:
        """The file, else the text."""
        if file := self.cleaned_data["file"]:
            return bytes(file.read(imports.MAX_BYTES + 1))
        return str(self.cleaned_data["text"]).encode("utf-8", "surrogatepass")


@login_required
@require_http_methods(["GET", "POST"])
def from_file(request: HttpRequest) -> HttpResponse:
    """Ask for a file; then show the form of the first agent in it, filled in."""
    form = ImportForm(request.POST or None, request.FILES or None)
    if request.method == "POST" and form.is_valid():
        try:
            found = imports.read(form.raw())
            return _filled(request, found, form.cleaned_data["template"])
        except BadImport as error:
            form.add_error("file" if form.cleaned_data["file"] else "text", error.message)
    status = 400 if form.is_bound and form.errors else 200
    return render(request, "lifecycle/import.html", {"form": form}, status=status)


def _filled(
    request: HttpRequest, found: tuple[Proposed, ...], template: Template | None
) -> HttpResponse:
    first, known = found[0], matched(found[0])
    told = [*first.told, *known.unmatched]
    if len(found) > 1:
        told.insert(
            0,
            f"The file holds {len(found)} agents; this is the first, {first.slug or 'unnamed'}.",
        )
    if first.owner and first.owner != signed_in(request).email:
        told.append(f"The file names {first.owner} as its owner. What you register here is yours.")
    initial = dict(first.facts) | {"slug": first.slug}
    initial |= _money(first) | _chosen(template, known)
    form: AgentForm = form_for(template, owner=signed_in(request), initial=initial)
    return form_page(request, form, told=tuple(told))


def _money(found: Proposed) -> dict[str, Any]:
    """Caps in whole units, as the form asks for them."""
    caps = {name: found.facts.get(f"{name}_minor") for name in ("spend_cap", "spend_cap_month")}
    return {name: f"{cap / 100:.2f}" for name, cap in caps.items() if isinstance(cap, int)}


def _chosen(template: Template | None, known: Matched) -> dict[str, Any]:
    """The tools of the file as ticks: all of them, or in the slots of a template that fit."""
    if template is None:
        return {"tools": [tool.pk for tool in known.tools]}
    content: Content = selectors.content_of(template)
    return {
        PREFIX + slot.name: [tool.name for tool in known.tools if tool.effect in slot.effects][
            : slot.most
        ]
        for slot in content.slots
    }
