"""Forms of the kill switch."""

from __future__ import annotations

from typing import Any

from django import forms

from lifecycle.models import Family
from registry.models import Person, System, Tool


class FamilyForm(forms.Form):
    """Which agents. Only what the chosen family needs has to be filled in."""

    family = forms.ChoiceField(label="Every agent of", choices=Family.choices)
    owner = forms.ModelChoiceField(
        Person.objects.filter(owned_agents__isnull=False).distinct().order_by("name"),
        required=False,
        to_field_name="pid",
        label="Owner",
    )
    system = forms.ModelChoiceField(
        System.objects.order_by("slug"), required=False, to_field_name="slug", label="System"
    )
    tool = forms.ModelChoiceField(
        Tool.objects.order_by("name"), required=False, to_field_name="name", label="Tool"
    )

    def clean(self) -> dict[str, Any]:
        given = super().clean() or {}
        family = given.get("family")
        if family and family != Family.ALL and not given.get(family):
            self.add_error(family, "Choose which.")
        return given

    @property
    def target(self) -> str:
        """The family's owner, system or tool, as its address names it."""
        chosen = self.cleaned_data.get(self.cleaned_data["family"])
        if isinstance(chosen, Person):
            return chosen.pid
        if isinstance(chosen, System):
            return chosen.slug
        return chosen.name if isinstance(chosen, Tool) else ""

    @property
    def said(self) -> str:
        """The family in words."""
        family = self.cleaned_data["family"]
        if family == Family.ALL:
            return "every agent"
        return f"every agent of {self.cleaned_data[family]}"


class OrderForm(forms.Form):
    """The word of the person, after they saw how many it stops."""

    reason = forms.CharField(label="Reason, shown to everyone who looks", max_length=500)
    seen = forms.IntegerField(min_value=0, widget=forms.HiddenInput)
