"""Which rows of the overview somebody wants to see."""

from __future__ import annotations

from django import forms

from registry.enums import AgentState, Tier


class AgentRows(forms.Form):
    tier = forms.ChoiceField(required=False, choices=[("", "any"), *Tier.choices])
    state = forms.ChoiceField(required=False, choices=[("", "any"), *AgentState.choices])
    department = forms.CharField(required=False, max_length=100)
    renewal = forms.ChoiceField(required=False, choices=[("", "any"), ("past", "past its day")])
    observed = forms.BooleanField(required=False, label="Observed alone")

    @property
    def said(self) -> list[str]:
        """What is asked for, in words."""
        given = self.cleaned_data if self.is_valid() else {}
        words = [given.get("tier"), given.get("department")]
        if given.get("state"):
            words.append(str(AgentState(given["state"]).label))
        words += ["past their renewal"] if given.get("renewal") else []
        words += ["observed"] if given.get("observed") else []
        return [str(each) for each in words if each]
