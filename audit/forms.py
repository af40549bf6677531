"""The filters of the trail."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib.auth import get_user_model

from audit.enums import Kind
from audit.selectors import TrailFilters

_EFFECTS = [("", "any"), ("allow", "allowed"), ("deny", "denied"), ("hold", "held")]


class TrailForm(forms.Form):
    """What to look for. Every field may be empty; times are in the reader's zone."""

    agent = forms.CharField(required=False, max_length=60)
    user = forms.CharField(required=False, max_length=60, label="For user")
    tool = forms.CharField(required=False, max_length=120)
    resource = forms.CharField(required=False, max_length=255)
    effect = forms.ChoiceField(required=False, choices=_EFFECTS)
    code = forms.CharField(required=False, max_length=80, label="Reason")
    kind = forms.ChoiceField(required=False, choices=[("", "any"), *Kind.choices], label="Entry")
    since = forms.DateTimeField(
        required=False,
        label="From",
        widget=forms.DateTimeInput(attrs={"type": "datetime-local"}, format="%Y-%m-%dT%H:%M"),
        input_formats=["%Y-%m-%dT%H:%M", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%d %H:%M"],
    )
    until = forms.DateTimeField(
        required=False,
        label="Until",
        widget=forms.DateTimeInput(attrs={"type": "datetime-local"}, format="%Y-%m-%dT%H:%M"),
        input_formats=["%Y-%m-%dT%H:%M", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%d %H:%M"],
    )
    session = forms.CharField(required=False, max_length=200, label="Run")
    check = forms.CharField(required=False, max_length=40, widget=forms.HiddenInput)

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or {}
        since, until = cleaned.get("since"), cleaned.get("until")
        if since and until and since > until:
            self.add_error("until", "This lies before the start.")
        return cleaned

    def clean_user(self) -> str:
        """A person by pseudonymous id, e-mail or name; the record knows the id alone."""
        text = str(self.cleaned_data["user"])
        if not text or text.startswith("p_"):
            return text
        people = get_user_model()._default_manager
        found = people.filter(email__iexact=text).first() or people.filter(name=text).first()
        if found is None:
            raise forms.ValidationError("Nobody of that name or e-mail is on the register.")
        return str(found.pid)

    def filters(self) -> TrailFilters:
        """What the selectors take; only for a valid form."""
        return TrailFilters(**self.cleaned_data)
