"""The three answers about an idle agent."""

from __future__ import annotations

from collections.abc import Sequence

from django import forms

from lifecycle.idle.selectors import Held

_AREA = forms.Textarea(attrs={"rows": 3})


class RenewForm(forms.Form):
    """It is needed as it is."""

    prefix = "renew"
    reason = forms.CharField(
        label="Why is it still needed?",
        max_length=500,
        widget=_AREA,
        help_text="It stands on the record. The clock begins anew today.",
    )


class NarrowForm(forms.Form):
    """It is needed, with less. What it did not use is ticked, as long as something stays."""

    prefix = "narrow"
    drop = forms.MultipleChoiceField(
        widget=forms.CheckboxSelectMultiple,
        label="Take away",
        error_messages={"required": "Tick what it is to lose, or renew it as it is."},
    )
    reason = forms.CharField(label="Why the rest stays", max_length=500, required=False)

    def __init__(self, held: Sequence[Held], data: object = None) -> None:
        unused = [each.name for each in held if each.unused]
        ticked = unused if len(unused) < len(held) else []
        super().__init__(data, initial={"drop": ticked})  # type: ignore[arg-type]
        field = self.fields["drop"]
        assert isinstance(field, forms.MultipleChoiceField)  # noqa: S101 - as declared above
        field.choices = [(each.name, each.name) for each in held]


class EndForm(forms.Form):
    """Nobody needs it."""

    prefix = "end"
    reason = forms.CharField(
        label="Why does it end?",
        max_length=500,
        required=False,
        widget=_AREA,
        help_text="From then on it gets nothing, and never again.",
    )
