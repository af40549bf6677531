"""The filters of the trail."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django import forms
from django.contrib.auth import get_user_model
from django.utils import timezone
from django.utils.dateparse import parse_datetime

from audit.enums import Kind
from audit.errors import UnknownPerson
from audit.proof_export import Span
from audit.selectors import TrailFilters
from governance.kernel import clock

_EFFECTS = [("", "any"), ("allow", "allowed"), ("deny", "denied"), ("hold", "held")]
_LOCAL = "%Y-%m-%dT%H:%M:%S"
BACKWARDS = "This lies before the start."


class InstantField(forms.DateTimeField):
    """A time in the reader's zone, or with a zone of its own, that calendars can work with."""

    def to_python(self, value: Any) -> datetime | None:
        found: datetime | None = super().to_python(value)
        if found is not None and not clock.is_usable(found):
            sentence = f"Choose a time from {clock.USABLE}."
            raise forms.ValidationError(sentence, code="invalid")
        return found


class LocalTime(forms.DateTimeInput):
    """A time in the reader's zone; one that names its zone is shown in the reader's."""

    def __init__(self) -> None:
        super().__init__(attrs={"type": "datetime-local", "step": "1"}, format=_LOCAL)

    def format_value(self, value: Any) -> str | None:
        """What the field shows: what was typed, where that is no time."""
        try:
            read = parse_datetime(value) if isinstance(value, str) else value
        except ValueError:
            read = None
        if read is not None and timezone.is_aware(read) and clock.is_usable(read):
            value = timezone.localtime(read).strftime(_LOCAL)
        return super().format_value(value)


class TrailForm(forms.Form):
    """What to look for. Every field may be empty; times are in the reader's zone."""

    agent = forms.CharField(required=False, max_length=60)
    user = forms.CharField(required=False, max_length=254, label="For")
    actor = forms.CharField(required=False, max_length=254, label="Done by")
    tool = forms.CharField(required=False, max_length=120)
    resource = forms.CharField(required=False, max_length=255)
    effect = forms.ChoiceField(required=False, choices=_EFFECTS)
    check = forms.CharField(required=False, max_length=40)
    code = forms.CharField(required=False, max_length=80, label="Reason")
    kind = forms.ChoiceField(required=False, choices=[("", "any"), *Kind.choices], label="Entry")
    since = InstantField(required=False, label="From", widget=LocalTime)
    until = InstantField(required=False, label="Until", widget=LocalTime)
    session = forms.CharField(required=False, max_length=200, label="Run")

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or {}
        since, until = cleaned.get("since"), cleaned.get("until")
        if since and until and since > until:
            self.add_error("until", BACKWARDS)
        return cleaned

    def clean_user(self) -> str:
        return self._person("user")

    def clean_actor(self) -> str:
        return self._person("actor")

    def _person(self, name: str) -> str:
        try:
            return pid_of(str(self.cleaned_data[name]))
        except UnknownPerson as error:
            raise forms.ValidationError(error.message) from error

    def filters(self) -> TrailFilters:
        """What the selectors take; only for a valid form."""
        return TrailFilters(**self.cleaned_data)


def pid_of(text: str) -> str:
    """A person by pseudonymous id, e-mail or name; the record knows the id alone.

    Raises `UnknownPerson`.
    """
    if not text or text.startswith("p_"):
        return text
    people = get_user_model()._default_manager
    found = people.filter(email__iexact=text).first() or people.filter(name=text).first()
    if found is None:
        raise UnknownPerson()
    return str(found.pid)


class SpanForm(forms.Form):
    """A span of the record by the places of its entries, and the checkpoint that was kept."""

    start = forms.IntegerField(required=False, min_value=0, label="From entry")
    until = forms.IntegerField(required=False, min_value=0, label="To before entry")
    since = forms.IntegerField(required=False, min_value=1, label="Size of what you kept")

    def asked(self) -> dict[str, int]:
        """What was given of it, for the record."""
        return {name: value for name, value in self.cleaned_data.items() if value is not None}

    def span(self) -> Span:
        """What the export takes; only for a valid form."""
        return Span(**self.asked())
