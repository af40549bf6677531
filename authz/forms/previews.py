"""Forms in which a change is asked about. Each gives the change as `preview.asking` reads it."""

from __future__ import annotations

import json
from typing import Any

from django import forms

from authz.models import Policy, Role
from authz.preview.asking import MAX_TEXT
from governance.kernel import strict_json
from governance.kernel.errors import GovernanceError
from registry.enums import ResourceMatch, Tier
from registry.models import Agent, Person, System, Tool

MAX_NARROWING = 64 * 1024
# What a service calls a field, and what a form does.
_FIELDS = {
    "add": "add_tools",
    "add.tools": "add_tools",
    "add.agents": "add_agents",
    "add.people": "add_people",
    "remove": "remove_tools",
    "remove.tools": "remove_tools",
    "remove.agents": "remove_agents",
    "remove.people": "remove_people",
    "name": "resource",
}
_KINDS = [
    ("role", "a role"),
    ("agent", "an agent's allowlist"),
    ("system", "a system or a resource in it"),
    ("policy", "a policy"),
]


class SpanForm(forms.Form):
    """With how much of the past a change is compared."""

    days = forms.IntegerField(label="Compare with the last", min_value=1, max_value=90, initial=30)

    def asked(self) -> dict[str, Any]:
        """The change; only for a valid form."""
        raise NotImplementedError

    def show(self, error: GovernanceError) -> None:
        """Put a service's refusal beside the fields that it names, or above the form."""
        told = False
        for name, sentences in error.fields.items():
            field = _FIELDS.get(name, name)
            for sentence in sentences:
                self.add_error(field if field in self.fields else None, sentence)
                told = True
        if not told:
            self.add_error(None, error.message)


class PickForm(forms.Form):
    """What is to be changed."""

    kind = forms.ChoiceField(label="What would change", choices=_KINDS)
    slug = forms.CharField(label="Its name", max_length=60)

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or {}
        kind, slug = cleaned.get("kind"), cleaned.get("slug")
        rows: dict[str, Any] = {
            "role": Role.objects,
            "agent": Agent.objects,
            "system": System.objects,
        }
        if slug and kind in rows and not rows[kind].filter(slug=slug).exists():
            self.add_error("slug", f"There is no {kind} of this name.")
        return cleaned


class PolicyTextForm(SpanForm):
    """A policy as it would be written down."""

    text = forms.CharField(
        label="Cedar text",
        max_length=MAX_TEXT,
        required=False,
        widget=forms.Textarea(attrs={"rows": 8, "spellcheck": "false", "class": "mono"}),
    )
    log_only = forms.BooleanField(label="Only logged, not enforced", required=False)
    retire = forms.BooleanField(label="Out of force, whatever the text says", required=False)

    field_order = ["text", "log_only", "retire", "days"]

    def __init__(self, *args: Any, slug: str, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.slug = slug

    def asked(self) -> dict[str, Any]:
        cleaned = self.cleaned_data
        if cleaned["retire"]:
            return {"kind": "policy", "slug": self.slug, "retire": True}
        return {
            "kind": "policy",
            "slug": self.slug,
            "text": cleaned["text"],
            "log_only": cleaned["log_only"],
        }


class PolicyVersionForm(SpanForm):
    """A version of a policy that is written down already."""

    def __init__(self, *args: Any, policy: Policy, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.policy = policy

    def asked(self) -> dict[str, Any]:
        return {"kind": "policy", "slug": self.policy.slug, "version": self.policy.version}


class RoleForm(SpanForm):
    """Who and what comes to a role, and what leaves it."""

    remove_tools = forms.MultipleChoiceField(
        label="Tools that it would grant no more",
        required=False,
        widget=forms.CheckboxSelectMultiple,
    )
    add_tools = forms.MultipleChoiceField(label="Tools that it would grant", required=False)
    remove_agents = forms.MultipleChoiceField(
        label="Agents that would lose it", required=False, widget=forms.CheckboxSelectMultiple
    )
    add_agents = forms.MultipleChoiceField(label="Agents that would get it", required=False)
    remove_people = forms.MultipleChoiceField(
        label="People who would lose it", required=False, widget=forms.CheckboxSelectMultiple
    )
    add_people = forms.MultipleChoiceField(label="People who would get it", required=False)

    field_order = [
        *("remove_tools", "add_tools", "remove_agents", "add_agents"),
        *("remove_people", "add_people", "days"),
    ]

    def __init__(self, *args: Any, role: Role, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.role = role
        self._choices("tools", Tool.objects.order_by("name"), role.tools, "name")
        self._choices("agents", Agent.objects.order_by("slug"), role.agents, "slug")
        self._choices("people", Person.objects.all().order_by("name"), role.people, "pid")

    def _choices(self, name: str, every: Any, held: Any, key: str) -> None:
        has = set(held.values_list(key, flat=True))
        choices = [(getattr(row, key), str(row)) for row in every]
        for field, wanted in ((f"remove_{name}", True), (f"add_{name}", False)):
            bound = self.fields[field]
            assert isinstance(bound, forms.MultipleChoiceField)  # noqa: S101 (declared so above)
            bound.choices = [choice for choice in choices if (choice[0] in has) is wanted]

    def asked(self) -> dict[str, Any]:
        return {
            "kind": "role",
            "slug": self.role.slug,
            **{verb: self._members(verb) for verb in ("add", "remove")},
        }

    def _members(self, verb: str) -> dict[str, list[str]]:
        return {
            name: list(self.cleaned_data[f"{verb}_{name}"])
            for name in ("tools", "agents", "people")
        }


class AllowlistForm(SpanForm):
    """One tool of an agent: given, narrowed or taken."""

    tool = forms.ChoiceField(label="Tool")
    remove = forms.BooleanField(label="It may not call it any more", required=False)
    narrowing = forms.CharField(
        label="Narrowing",
        required=False,
        max_length=MAX_NARROWING,
        help_text="A JSON Schema that the parameters must meet besides the tool's own. "
        "Empty is as wide as the tool's.",
        widget=forms.Textarea(attrs={"rows": 6, "spellcheck": "false", "class": "mono"}),
    )

    field_order = ["tool", "remove", "narrowing", "days"]

    def __init__(self, *args: Any, agent: Agent, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.agent = agent
        has = set(agent.allowlist.values_list("tool__name", flat=True))
        names = Tool.objects.order_by("name").values_list("name", flat=True)
        field = self.fields["tool"]
        assert isinstance(field, forms.ChoiceField)  # noqa: S101 (declared so above)
        field.choices = [
            ("In its row", [(name, name) for name in names if name in has]),
            ("Not in its row", [(name, name) for name in names if name not in has]),
        ]

    def clean_narrowing(self) -> Any:
        return object_in(self.cleaned_data["narrowing"])

    def asked(self) -> dict[str, Any]:
        cleaned = self.cleaned_data
        common = {"kind": "allowlist", "agent": self.agent.slug, "tool": cleaned["tool"]}
        if cleaned["remove"]:
            return {**common, "remove": True}
        return {**common, "narrowing": cleaned["narrowing"]}


class SystemForm(SpanForm):
    """How sensitive a system is, or one resource of it."""

    resource = forms.CharField(
        label="Only this resource",
        required=False,
        max_length=255,
        help_text="Empty: the whole system.",
    )
    match = forms.ChoiceField(label="The resource is", choices=ResourceMatch.choices)
    tier = forms.ChoiceField(
        label="Tier", choices=[("", "none: counts as restricted"), *Tier.choices], required=False
    )
    categories = forms.CharField(
        label="Categories",
        required=False,
        max_length=2000,
        help_text="Separated by commas. Empty: none of its own.",
    )
    remove = forms.BooleanField(label="The resource is not listed any more", required=False)

    field_order = ["tier", "categories", "resource", "match", "remove", "days"]

    def __init__(self, *args: Any, system: System, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.system = system

    def asked(self) -> dict[str, Any]:
        cleaned = self.cleaned_data
        given = {
            "tier": cleaned["tier"],
            "categories": [
                name for part in cleaned["categories"].split(",") if (name := part.strip())
            ],
        }
        if not cleaned["resource"]:
            return {"kind": "system", "slug": self.system.slug, **given}
        common = {
            "kind": "resource",
            "system": self.system.slug,
            "name": cleaned["resource"],
            "match": cleaned["match"],
        }
        return {**common, "remove": True} if cleaned["remove"] else {**common, **given}


def object_in(text: str) -> dict[str, Any]:
    """The JSON object in a field, {} for an empty one."""
    if not text.strip():
        return {}
    try:
        found = strict_json.loads(text.encode())
    except GovernanceError as error:
        raise forms.ValidationError(error.message) from error
    if not isinstance(found, dict):
        raise forms.ValidationError("This must be a JSON object: {…}.")
    return found


def written(value: object) -> str:
    """A JSON value as it stands in a field."""
    return json.dumps(value, indent=2, ensure_ascii=False) if value else ""
