"""What an incident is looked for by."""

from __future__ import annotations

from typing import Any

from django import forms

from audit.forms import InstantField
from audit.incident import ALWAYS, Span
from compliance.incident import handles
from compliance.incident.gathering import Asked


def _time(label: str) -> InstantField:
    widget = forms.DateTimeInput(attrs={"type": "datetime-local"}, format="%Y-%m-%dT%H:%M")
    return InstantField(required=False, label=label, widget=widget)


class FindForm(forms.Form):
    """One field that takes any name, and between when."""

    q = forms.CharField(
        required=False,
        max_length=handles.LONGEST,
        label="Record, agent, user, system, resource, tool or run",
        widget=forms.TextInput(attrs={"type": "search", "autocomplete": "off"}),
    )
    since = _time("From")
    until = _time("Until")

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or {}
        since, until = cleaned.get("since"), cleaned.get("until")
        if since and until and since >= until:
            self.add_error("until", "This lies before the start.")
        return cleaned

    def span(self) -> Span:
        """Only for a valid form."""
        found = Span(self.cleaned_data["since"], self.cleaned_data["until"])
        return found if found.since or found.until else ALWAYS


class AskedForm(FindForm):
    """An incident by its handle, as addresses have it."""

    handle = forms.CharField(max_length=handles.LONGEST + 20)
    after = forms.UUIDField(required=False)
    before = forms.UUIDField(required=False)

    def asked(self) -> Asked:
        """Only for a valid form. Raises `BadHandle`."""
        given = self.cleaned_data
        return Asked(handles.read(given["handle"]), self.span(), given["after"], given["before"])
