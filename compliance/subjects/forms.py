"""Forms about requests of data subjects and legal holds."""

from __future__ import annotations

from django import forms

from audit.erasure.enums import Ground
from compliance.enums import RequestKind
from compliance.subjects.rules import MORE


def _day(label: str, *, required: bool = True) -> forms.DateField:
    return forms.DateField(
        label=label, required=required, widget=forms.DateInput(attrs={"type": "date"})
    )


class FindForm(forms.Form):
    """Whom somebody means."""

    who = forms.CharField(label="Name, e-mail, id, or a resource", max_length=255)


class RequestForm(forms.Form):
    """A request that reached the company."""

    kind = forms.ChoiceField(label="Asks for", choices=RequestKind.choices)
    received = _day("Received on")
    reference = forms.CharField(label="Your file number", max_length=120, required=False)
    subject = forms.CharField(max_length=1000, widget=forms.HiddenInput)


class ExtendForm(forms.Form):
    """More time for an answer."""

    months = forms.IntegerField(label="Months more", min_value=1, max_value=MORE, initial=MORE)
    why = forms.CharField(label="Why, as the subject is told", max_length=300)


class CloseForm(forms.Form):
    """How a request was answered, or why not."""

    why = forms.CharField(label="How it was answered, or why not", max_length=300)


class HoldForm(forms.Form):
    """What must not be erased or dropped."""

    agent = forms.SlugField(label="Agent", required=False, max_length=60)
    subject = forms.CharField(label="Subject, by id", required=False, max_length=1000)
    first = _day("From", required=False)
    last = _day("To and with", required=False)
    ground = forms.ChoiceField(label="Ground", choices=Ground.choices, initial=Ground.CLAIMS)
    reason = forms.CharField(label="Why", max_length=500)
