"""The forms of the pages about policies, roles and relationships."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from django import forms
from django.core.exceptions import ValidationError

from authz import cases, rules
from authz.engine.cedar_text import MAX_TEXT
from authz.enums import PolicyState
from authz.models import Relationship, Role
from governance.kernel import strict_json
from governance.kernel.errors import Invalid
from registry import validators

_CODE = {"spellcheck": "false", "autocapitalize": "off", "autocomplete": "off", "class": "mono"}


class PolicyFilter(forms.Form):
    q = forms.CharField(label="Name, description or text", required=False, max_length=100)
    state = forms.ChoiceField(
        label="State",
        required=False,
        choices=[("", "current"), *PolicyState.choices],
    )


class RoleFilter(forms.Form):
    q = forms.CharField(label="Name or description", required=False, max_length=100)


class RelationshipFilter(forms.Form):
    q = forms.CharField(label="Thing or subject", required=False, max_length=100)
    relation = forms.CharField(label="Relation", required=False, max_length=60)


class WordsFilter(forms.Form):
    q = forms.CharField(label="Tool", required=False, max_length=100)


class PolicyForm(forms.Form):
    """A draft as it is typed. What is wrong with the text is told and does not stop saving."""

    slug = forms.CharField(
        label="Name",
        max_length=60,
        validators=[validators.slug],
        help_text="Small letters, digits, hyphens. Decisions name it.",
    )
    description = forms.CharField(
        label="What does it say, in one sentence?",
        max_length=300,
        required=False,
        validators=[validators.plain_text],
    )
    text = forms.CharField(
        label="Cedar",
        max_length=MAX_TEXT,
        strip=False,
        widget=forms.Textarea(attrs={"rows": 14, **_CODE}),
    )
    log_only = forms.BooleanField(
        label="Log only: evaluate and record it, enforce nothing", required=False
    )
    why = forms.CharField(
        label="Why this version?",
        max_length=500,
        required=False,
        validators=[validators.plain_text],
        help_text="The second person reads it.",
    )
    seen = forms.IntegerField(widget=forms.HiddenInput, min_value=0, initial=0)

    def __init__(self, *args: Any, fixed: str = "", **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if fixed:
            self.fields["slug"].disabled = True
            self.initial["slug"] = fixed

    def clean_slug(self) -> str:
        slug = str(self.cleaned_data["slug"])
        if slug in rules.RESERVED_NAMES:
            raise ValidationError("This word stands for a page. Choose another name.")
        return slug

    def clean_text(self) -> str:
        return str(self.cleaned_data["text"]).replace("\r\n", "\n")


class CaseForm(forms.Form):
    """One case, as a form."""

    name = forms.CharField(label="Name", max_length=cases.MAX_NAME)
    effect = forms.ChoiceField(
        label="It must be", choices=[("allow", "allowed"), ("deny", "denied")], initial="allow"
    )
    agent = forms.CharField(
        label="Agent", max_length=60, required=False, help_text="Who asks. Or a person:"
    )
    person = forms.CharField(
        label="Person alone", max_length=254, required=False, help_text="An e-mail address."
    )
    user = forms.CharField(
        label="Acting for", max_length=254, required=False, help_text="An e-mail address."
    )
    tool = forms.CharField(label="Tool", max_length=120)
    parameters = forms.CharField(
        label="Parameters, as JSON",
        required=False,
        max_length=cases.MAX_BYTES,
        widget=forms.Textarea(attrs={"rows": 5, **_CODE}),
        help_text='Such as {"amount": 40000}.',
    )
    resource_type = forms.CharField(label="Resource type", max_length=255, required=False)
    resource_id = forms.CharField(label="Resource", max_length=255, required=False)
    now = forms.CharField(
        label="At",
        max_length=40,
        required=False,
        help_text="Such as 2026-11-23T14:00:00+01:00. Empty: when it is run.",
    )

    def clean_parameters(self) -> dict[str, Any]:
        text = str(self.cleaned_data["parameters"]).strip()
        try:
            value = strict_json.loads(text.encode("utf-8", "surrogatepass")) if text else {}
        except Invalid as error:
            raise ValidationError(error.message.replace("The body", "This")) from error
        if not isinstance(value, dict):
            raise ValidationError('Parameters are a JSON object, such as {"amount": 40000}.')
        return value

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or {}
        if self.errors or not self.has_changed():
            return cleaned
        try:
            cases.read_cases([self.document()])
        except Invalid as error:
            raise ValidationError(error.message.removeprefix("Case 1: ").capitalize()) from error
        return cleaned

    def document(self) -> dict[str, Any]:
        """The case in the shape that is stored."""
        given = self.cleaned_data
        return cases.PolicyCase(
            **{name: given[name] for name in ("name", "effect", "tool", "agent", "person")},
            **{name: given[name] for name in ("user", "now", "resource_type", "resource_id")},
            parameters=given["parameters"],
        ).document()


class _Cases(forms.BaseFormSet):  # type: ignore[type-arg]
    """All cases of a draft; an empty row says nothing."""

    def documents(self) -> list[dict[str, Any]]:
        """The cases that are typed, without removed and empty rows; what is wrong is left out."""
        return [
            form.document()
            for form in self.forms
            if form.has_changed() and form.is_valid() and not form.cleaned_data.get("DELETE")
        ]

    def clean(self) -> None:
        try:
            cases.read_cases(self.documents())
        except Invalid as error:
            raise ValidationError(error.message) from error


CaseFormSet = forms.formset_factory(
    CaseForm,
    formset=_Cases,
    extra=0,
    can_delete=True,
    max_num=cases.MAX_CASES,
    absolute_max=cases.MAX_CASES + 1,
)


def case_initial(document: Mapping[str, Any]) -> dict[str, Any]:
    """A stored case as a form starts with it."""
    request = document["request"]
    resource = request.get("resource") or {}
    return {
        "name": document["name"],
        "effect": document["effect"],
        **{name: request.get(name, "") for name in ("agent", "person", "user", "tool", "now")},
        "parameters": json.dumps(request.get("parameters") or {}, ensure_ascii=False, indent=2),
        "resource_type": resource.get("type", ""),
        "resource_id": resource.get("id", ""),
    }


class RoleForm(forms.ModelForm):  # type: ignore[type-arg]
    """A new role. What it grants and who holds it is said on its page."""

    class Meta:
        model = Role
        fields = ["slug", "description"]
        labels = {"slug": "Name", "description": "What is it for?"}
        help_texts = {"slug": "Small letters, digits, hyphens."}


class RelationshipForm(forms.ModelForm):  # type: ignore[type-arg]
    """One relationship. People are named by e-mail address."""

    class Meta:
        model = Relationship
        fields = ["subject_type", "subject_id", "relation", "resource_type", "resource_id"]
        labels = {
            "subject_type": "Type of subject",
            "subject_id": "Subject",
            "relation": "is … of",
            "resource_type": "Type of thing",
            "resource_id": "Thing",
        }
        help_texts = {
            "subject_type": "person, team, agent, or a resource type",
            "subject_id": "A person by e-mail address.",
            "relation": "owner, member, parent, shared-with, …",
        }
