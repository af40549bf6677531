"""What people fill in about reviews."""

from __future__ import annotations

from typing import Any

from django import forms

from lifecycle.reviews import selectors
from registry.models import Person


class AbsenceForm(forms.Form):
    stand_in = forms.ModelChoiceField(
        Person.objects.none(), help_text="Of your own group: they sign what you would sign."
    )
    first_day = forms.DateField(widget=forms.DateInput(attrs={"type": "date"}))
    last_day = forms.DateField(widget=forms.DateInput(attrs={"type": "date"}))
    reason = forms.CharField(max_length=200, required=False)

    def __init__(self, *args: Any, person: Person, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["stand_in"].queryset = selectors.may_stand_in(person)  # type: ignore[attr-defined]
