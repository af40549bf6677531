"""What of all that is due somebody wants to see."""

from __future__ import annotations

from django import forms

from lifecycle.due.kinds import registered
from lifecycle.due.selectors import WITHIN
from registry.enums import Tier


class DueFilter(forms.Form):
    """By owner, tier, kind and time."""

    owner = forms.CharField(label="Owner", required=False, max_length=100)
    agent = forms.CharField(label="Agent", required=False, max_length=60)
    tier = forms.ChoiceField(label="Tier", required=False, choices=[("", "any"), *Tier.choices])
    kind = forms.ChoiceField(label="What", required=False)
    within = forms.TypedChoiceField(
        label="Within",
        required=False,
        coerce=int,
        empty_value=None,
        choices=[
            ("", "30 days"),
            (0, "overdue"),
            *((days, f"{days} days") for days in WITHIN if days != 30),
        ],
    )

    def __init__(self, data: object = None) -> None:
        super().__init__(data)  # type: ignore[arg-type]
        field = self.fields["kind"]
        assert isinstance(field, forms.ChoiceField)  # noqa: S101 - as declared above
        field.choices = [("", "anything"), *((each.name, each.title) for each in registered())]
