"""The form of one sub-agent."""

from __future__ import annotations

import json
from typing import Any

from django import forms
from django.core.exceptions import ValidationError

from registry.enums import AgentState, Tier
from registry.models import Agent, SubAgent

ENDED = (AgentState.DECOMMISSIONING, AgentState.DECOMMISSIONED)


class ResultForm(forms.Form):
    """What of a sub-agent's answers is taken in."""

    result_tier = forms.ChoiceField(
        label="Its answers may be at the most",
        choices=Tier.choices,
        initial=Tier.INTERNAL,
        help_text="An answer of a run that has read anything above is refused.",
    )
    result_schema = forms.CharField(
        label="JSON Schema that an answer must meet",
        required=False,
        widget=forms.Textarea(attrs={"rows": 8, "spellcheck": "false", "class": "mono"}),
        help_text='Such as {"type": "object", "properties": {"ids": {"type": "array"}}}. '
        "Empty: any answer.",
    )
    result_trusted = forms.BooleanField(
        label="Its answers count as trusted",
        required=False,
        help_text="Untrusted text that its own run has read still counts. Leave it off in doubt.",
    )

    def clean_result_schema(self) -> dict[str, Any]:
        text = str(self.cleaned_data["result_schema"]).strip()
        try:
            value = json.loads(text) if text else {}
        except (ValueError, RecursionError) as error:
            raise ValidationError(f"This is not JSON: {error}.") from error
        if not isinstance(value, dict):
            raise ValidationError("A JSON Schema is a JSON object.")
        return value


class SubAgentForm(ResultForm):
    """An agent to declare, and what of its answers is taken in."""

    sub_agent = forms.ModelChoiceField(
        label="Agent", queryset=Agent.objects.none(), empty_label="Choose an agent"
    )
    field_order = ("sub_agent",)

    def __init__(self, *args: Any, agent: Agent, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        named = self.fields["sub_agent"]
        if isinstance(named, forms.ModelChoiceField):
            declared = agent.sub_agents.values("sub_agent")
            others = Agent.objects.exclude(pk=agent.pk).exclude(state__in=ENDED)
            named.queryset = others.exclude(pk__in=declared)


def initial_of(row: SubAgent) -> dict[str, Any]:
    """What the form begins with for one that is declared."""
    return {
        "result_tier": row.result_tier,
        "result_schema": json.dumps(row.result_schema, indent=2) if row.result_schema else "",
        "result_trusted": row.result_trusted,
    }
