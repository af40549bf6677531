"""What an incident is looked for by."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django import forms
from django.utils import timezone

from audit.incident import ALWAYS, Span
from compliance.incident import handles
from compliance.incident.gathering import Asked

_FIRST, _LAST = 1970, 2170


class _Instant(forms.DateTimeField):
    """A time in the reader's zone, or with a zone of its own, of these two centuries."""

    def to_python(self, value: Any) -> datetime | None:
        text = str(value or "").strip()
        if not text:
            return None
        try:
            found = datetime.fromisoformat(text)
            if not _FIRST <= found.year <= _LAST:
                raise ValueError(text)
            return found if timezone.is_aware(found) else timezone.make_aware(found)
        except ValueError as error:
            raise forms.ValidationError(self.error_messages["invalid"], code="invalid") from error


def _time(label: str) -> _Instant:
    widget = forms.DateTimeInput(attrs={"type": "datetime-local"}, format="%Y-%m-%dT%H:%M")
    return _Instant(required=False, label=label, widget=widget)


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
