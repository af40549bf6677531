"""Filters of the register's lists."""

from __future__ import annotations

from django import forms

from registry.enums import CallerState, Tier, ToolEffect

_ANY = [("", "any")]


class SystemFilter(forms.Form):
    q = forms.CharField(label="Name or category", required=False, max_length=100)
    tier = forms.ChoiceField(label="Tier", required=False, choices=_ANY + Tier.choices)


class ToolFilter(forms.Form):
    q = forms.CharField(label="Name or system", required=False, max_length=100)
    effect = forms.ChoiceField(label="Effect", required=False, choices=_ANY + ToolEffect.choices)


class CallerFilter(forms.Form):
    q = forms.CharField(label="Name or source", required=False, max_length=100)
    state = forms.ChoiceField(
        label="State", required=False, choices=_ANY + CallerState.choices, initial=CallerState.OPEN
    )
