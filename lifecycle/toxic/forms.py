"""Forms about toxic combinations and what was found."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib.postgres.forms import SimpleArrayField
from django.http import QueryDict

from authz.models import ToxicCombination
from lifecycle.models.toxic import FindingScope, FindingState
from registry import validators
from registry.enums import CombinedEffect, Tier


class FindingFilter(forms.Form):
    """Which findings."""

    agent = forms.CharField(label="Agent", required=False, max_length=60)
    combination = forms.CharField(label="Combination", required=False, max_length=60)
    scope = forms.ChoiceField(
        label="In", required=False, choices=[("", "any"), *FindingScope.choices]
    )
    state = forms.ChoiceField(
        label="State", required=False, choices=[("", "any"), *FindingState.choices]
    )


class AnswerForm(forms.Form):
    reason = forms.CharField(
        label="Why this answer", max_length=500, widget=forms.Textarea(attrs={"rows": 2})
    )


class CombinationForm(forms.Form):
    """A combination as it is typed."""

    slug = forms.CharField(label="Name", max_length=60, validators=[validators.slug])
    categories = SimpleArrayField(
        forms.CharField(max_length=60),
        label="Data categories",
        required=False,
        max_length=8,
        help_text="As systems carry them, parted by commas: hr-directory, compensation.",
    )
    effects = forms.MultipleChoiceField(
        label="What is done besides",
        required=False,
        choices=CombinedEffect.choices,
        widget=forms.CheckboxSelectMultiple,
    )
    implied_tier = forms.ChoiceField(label="Together they count as", choices=Tier.choices)
    reason = forms.CharField(label="Because", max_length=300, validators=[validators.plain_text])
    reference = forms.CharField(
        label="Learned from",
        max_length=300,
        required=False,
        validators=[validators.plain_text],
        help_text="An incident or a source that can be looked up.",
    )
    only_listed = forms.BooleanField(
        label="Only list it: it raises no tier and needs no review", required=False
    )
    is_active = forms.BooleanField(label="It counts", required=False, initial=True)

    @classmethod
    def proposed(cls, given: QueryDict) -> dict[str, Any]:
        """What an address fills in: each field by its name, the effects one by one."""
        named = ("slug", "categories", "implied_tier", "reason", "reference")
        found: dict[str, Any] = {name: given[name] for name in named if name in given}
        return found | ({"effects": given.getlist("effects")} if "effects" in given else {})

    def __init__(self, *args: Any, row: ToxicCombination | None = None, **kwargs: Any) -> None:
        if row is not None:
            kwargs["initial"] = {name: getattr(row, name) for name in self.base_fields}
        super().__init__(*args, **kwargs)
        if row is not None:
            del self.fields["slug"]
