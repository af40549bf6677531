"""The forms of the owner's side."""

from __future__ import annotations

import json
from collections import defaultdict
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.core.validators import MinValueValidator

from authz.models import Role
from lifecycle.services import Relying
from registry import validators
from registry.enums import (
    AgentKind,
    AgentState,
    CredentialHolder,
    Employment,
    IdentityPattern,
)
from registry.models import Agent, Person, System, Tool

# Words that stand in the place of a slug in addresses.
RESERVED = {"register", "verdict", "import", "templates"}

PROCESSING = (
    "lawful_basis",
    "data_subjects",
    "recipients",
    "retention",
    "data_role",
    "ai_act_use",
    "ai_act_role",
)


class LinesField(forms.CharField):
    """A list of short texts, one a line."""

    widget = forms.Textarea(attrs={"rows": 2, "spellcheck": "false", "class": "mono"})

    def prepare_value(self, value: Any) -> Any:
        return "\n".join(value) if isinstance(value, list) else value

    def to_python(self, value: Any) -> Any:
        lines = (line.strip() for line in str(value or "").splitlines())
        return [line for line in lines if line]


class AgentForm(forms.ModelForm):  # type: ignore[type-arg]
    """What an owner says of an agent. What follows from it is computed, never asked."""

    slug = forms.CharField(
        label="Name",
        max_length=60,
        validators=[validators.slug],
        help_text="Small letters, digits, hyphens. It is the id that its calls carry.",
        error_messages={"required": "Give it a name, such as refund-desk."},
    )
    tools = forms.ModelMultipleChoiceField(
        queryset=Tool.objects.none(),
        required=False,
        widget=forms.CheckboxSelectMultiple,
        label="What may it call?",
    )
    roles = forms.ModelMultipleChoiceField(
        queryset=Role.objects.none(),
        required=False,
        widget=forms.CheckboxSelectMultiple,
        label="Roles",
        help_text="A tool works only where one of the agent's roles grants it.",
    )
    relying_people = forms.ModelMultipleChoiceField(
        queryset=Person.objects.none(),
        required=False,
        label="People who rely on it",
        help_text="They are told before it ends.",
    )
    relying_agents = forms.ModelMultipleChoiceField(
        queryset=Agent.objects.none(), required=False, label="Agents that rely on it"
    )
    redirect_uris = LinesField(
        label="Where people are sent back to when it asks to act for them",
        required=False,
        help_text="One exact address a line: https, or this machine's own. Empty: it cannot ask.",
    )
    spend_cap = forms.DecimalField(
        label="Spend a day", min_value=0, max_digits=12, decimal_places=2
    )
    spend_cap_month = forms.DecimalField(
        label="Spend a month", min_value=0, max_digits=12, decimal_places=2, required=False
    )

    class Meta:
        model = Agent
        fields = [
            "slug",
            "purpose",
            "kind",
            "pattern",
            "isolated_runs",
            "redirect_uris",
            "backup_owner",
            "builder",
            "repository",
            "runs_at",
            "model",
            "model_provider",
            "prompt_digest",
            "code_reference",
            "rate_per_minute",
            "rate_per_hour",
            *PROCESSING,
        ]
        labels = {
            "purpose": "What is it for?",
            "kind": "What kind of thing is it?",
            "pattern": "It acts as",
            "isolated_runs": "Its runs share no memory",
            "runs_at": "Runs at",
            "model": "Model",
            "model_provider": "Model runs at",
            "builder": "Built by",
            "prompt_digest": "Digest of its prompt",
            "code_reference": "Version of its code",
            "rate_per_minute": "Calls a minute",
            "rate_per_hour": "Calls an hour",
            "data_role": "We are the",
            "ai_act_use": "Use under the EU AI Act",
            "ai_act_role": "Our role under the EU AI Act",
        }
        widgets = {
            "purpose": forms.Textarea(attrs={"rows": 2}),
            "kind": forms.RadioSelect,
            "pattern": forms.RadioSelect,
        }
        help_texts = {
            "model_provider": "",
            "isolated_runs": "A session that it opens starts clean. Its review must accept this.",
        }

    def __init__(self, *args: Any, owner: Person, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.owner = owner
        self._choices()
        if self.instance.pk:
            self.fields["slug"].disabled = True
            self.initial["tools"] = [entry.tool_id for entry in self.instance.allowlist.all()]
            dependents = self.instance.dependents.all()
            self.initial["relying_people"] = [one.person_id for one in dependents if one.person_id]
            self.initial["relying_agents"] = [
                one.dependent_id for one in dependents if one.dependent_id
            ]
            self.initial["roles"] = list(self.instance.roles.values_list("pk", flat=True))
            cap = self.instance.spend_cap_minor
            self.initial["spend_cap"] = None if cap is None else f"{cap / 100:.2f}"
            month = self.instance.spend_cap_month_minor
            self.initial["spend_cap_month"] = None if month is None else f"{month / 100:.2f}"

    def _choices(self) -> None:
        tools = self.fields["tools"]
        roles = self.fields["roles"]
        backup = self.fields["backup_owner"]
        provider = self.fields["model_provider"]
        if isinstance(tools, forms.ModelMultipleChoiceField):
            tools.queryset = Tool.objects.select_related("system")
        if isinstance(roles, forms.ModelMultipleChoiceField):
            roles.queryset = Role.objects.all()
        relying = self.fields["relying_people"], self.fields["relying_agents"]
        if isinstance(relying[0], forms.ModelMultipleChoiceField):
            relying[0].queryset = Person.objects.filter(employment=Employment.EMPLOYED)
        if isinstance(relying[1], forms.ModelMultipleChoiceField):
            relying[1].queryset = Agent.objects.exclude(pk=self.instance.pk)
        if isinstance(backup, forms.ModelChoiceField):
            backup.queryset = Person.objects.filter(employment=Employment.EMPLOYED).exclude(
                pk=self.owner.pk
            )
            backup.empty_label = "Nobody yet"
        if isinstance(provider, forms.ModelChoiceField):
            provider.queryset = System.objects.all()
            provider.empty_label = "No model, or run by ourselves"
        # The row may lack them while it is a draft, but then the page only asks again.
        for name in ("rate_per_minute", "rate_per_hour"):
            self.fields[name].required = True
            self.fields[name].validators.append(MinValueValidator(1, "Enter 1 or more."))
        self.fields["kind"].initial = AgentKind.AGENT
        self.fields["pattern"].initial = IdentityPattern.SERVICE

    def clean_slug(self) -> str:
        slug = str(self.cleaned_data["slug"])
        if slug in RESERVED:
            raise ValidationError("This word stands for a page. Choose another name.")
        taken = Agent.objects.filter(slug__iexact=slug).exclude(pk=self.instance.pk)
        if taken.exists():
            raise ValidationError("An agent of this name is on the register. Choose another name.")
        return slug

    def chosen_tools(self) -> list[Tool]:
        """The tools that are ticked, whether or not the rest of the form is right."""
        return self._ticked("tools")

    def chosen_roles(self) -> list[Role]:
        """The roles that are ticked, whether or not the rest of the form is right."""
        return self._ticked("roles")

    def chosen_provider(self) -> System | None:
        """Where the model runs, if that is chosen."""
        chosen = str(self.data.get("model_provider", "")) if self.is_bound else ""
        if chosen.isdecimal():
            return System.objects.filter(pk=int(chosen)).first()
        return None if self.is_bound else self.instance.model_provider

    def narrowings(self) -> dict[int, dict[str, Any]]:
        """What the row already narrows, by tool."""
        if not self.instance.pk:
            return {}
        return {entry.tool_id: entry.narrowing for entry in self.instance.allowlist.all()}

    def _ticked(self, name: str) -> list[Any]:
        field = self.fields[name]
        widget = field.widget
        value = (
            widget.value_from_datadict(self.data, self.files, self.add_prefix(name))
            if self.is_bound
            else self.initial.get(name, [])
        )
        try:
            return list(field.clean(value))
        except ValidationError:
            return []

    def relying(self) -> Relying:
        """Who relies on it, as ticked."""
        return Relying(
            people=list(self.cleaned_data["relying_people"]),
            agents=list(self.cleaned_data["relying_agents"]),
        )

    def facts(self) -> dict[str, Any]:
        """The fields of the row, in the units of the register."""
        asked = {name: self.cleaned_data[name] for name in self.Meta.fields if name != "slug"}
        for name in ("spend_cap", "spend_cap_month"):
            cap = self.cleaned_data[name]
            asked[f"{name}_minor"] = None if cap is None else int(cap * 100)
        return asked

    def systems(self) -> list[dict[str, Any]]:
        """The tools to tick, under their systems, those ticked first."""
        ticked = {tool.pk for tool in self.chosen_tools()}
        grouped: dict[System, list[dict[str, Any]]] = defaultdict(list)
        for tool in Tool.objects.select_related("system"):
            grouped[tool.system].append({"tool": tool, "ticked": tool.pk in ticked})
        rows = [
            {
                "system": system,
                "tools": tools,
                "ticked": any(tool["ticked"] for tool in tools),
            }
            for system, tools in grouped.items()
        ]
        return sorted(rows, key=lambda row: (not row["ticked"], row["system"].slug))


class NarrowForm(forms.Form):
    """What one allowlist entry allows besides the tool's own rules."""

    narrowing = forms.CharField(
        label="JSON Schema that the parameters must meet as well",
        required=False,
        widget=forms.Textarea(attrs={"rows": 10, "spellcheck": "false", "class": "mono"}),
        help_text='Such as {"properties": {"amount": {"maximum": 50000}}}. Empty: no narrower.',
    )
    rate_per_minute = forms.IntegerField(label="Calls a minute", required=False, min_value=1)
    rate_per_hour = forms.IntegerField(label="Calls an hour", required=False, min_value=1)
    write_quota_per_hour = forms.IntegerField(
        label="Records written an hour", required=False, min_value=0
    )

    gates = forms.CharField(
        label="When a call waits for a human",
        required=False,
        widget=forms.Textarea(attrs={"rows": 6, "spellcheck": "false", "class": "mono"}),
        help_text='Such as {"amount": {"above": 50000, "currency": "EUR"}, "domains": true}. '
        "Besides what the tool itself says. Empty: nothing more.",
    )

    def clean_narrowing(self) -> dict[str, Any]:
        return self._object("narrowing", "A narrowing")

    def clean_gates(self) -> dict[str, Any]:
        return self._object("gates", "What is said of gates")

    def _object(self, name: str, what: str) -> dict[str, Any]:
        text = str(self.cleaned_data[name]).strip()
        try:
            value = json.loads(text) if text else {}
        except (ValueError, RecursionError) as error:
            raise ValidationError(f"This is not JSON: {error}.") from error
        if not isinstance(value, dict):
            raise ValidationError(f"{what} is a JSON object.")
        return value


class CredentialForm(forms.Form):
    """Where a credential lies. Never the credential."""

    reference = forms.CharField(
        label="Vault reference",
        max_length=255,
        help_text="A path such as vault://care/refund-desk/helpdesk. Never the secret itself.",
    )
    system = forms.ModelChoiceField(
        label="For", queryset=System.objects.all(), required=False, empty_label="no one system"
    )
    scope = forms.CharField(label="What it may do", max_length=300, required=False)
    holder = forms.ChoiceField(
        label="Whose account it is", choices=CredentialHolder.choices, required=False
    )


class ReasonForm(forms.Form):
    """A sentence that everybody who looks will read."""

    reason = forms.CharField(label="Reason, shown to everyone who looks", max_length=500)


class AgentFilter(forms.Form):
    q = forms.CharField(label="Name, owner or purpose", required=False, max_length=100)
    state = forms.ChoiceField(
        label="State",
        required=False,
        choices=[("", "any"), *AgentState.choices],
    )
