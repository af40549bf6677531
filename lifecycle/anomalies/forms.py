"""Forms about alerts."""

from __future__ import annotations

from django import forms

from lifecycle.models.anomalies import AnomalyKind, AnomalyState


class AlertFilter(forms.Form):
    """Which alerts."""

    agent = forms.CharField(label="Agent", required=False, max_length=60)
    kind = forms.ChoiceField(
        label="What is unusual", required=False, choices=[("", "anything"), *AnomalyKind.choices]
    )
    state = forms.ChoiceField(
        label="Answer", required=False, choices=[("", "any"), *AnomalyState.choices]
    )


class AcknowledgeForm(forms.Form):
    answer = forms.CharField(label="What you found", max_length=500, required=False)


class FalseAlarmForm(forms.Form):
    answer = forms.CharField(label="Why it is nothing", max_length=500)
