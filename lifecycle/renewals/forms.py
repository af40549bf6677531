"""What an owner answers about a renewal, and asks of security."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django import forms

from lifecycle.renewals import rules
from lifecycle.renewals.selectors import Asked, Held

NEEDED, NOT_NEEDED = "yes", "no"


class RenewalForm(forms.Form):
    """Three questions. What was not used is ticked to be taken away."""

    seen = forms.CharField(widget=forms.HiddenInput)
    needed = forms.ChoiceField(
        choices=[(NEEDED, "Yes, it goes on"), (NOT_NEEDED, "No, end it")],
        widget=forms.RadioSelect,
        label="Is it still needed?",
        error_messages={"required": "Say whether it is still needed."},
    )
    drop = forms.MultipleChoiceField(required=False, label="Take away")
    revoke = forms.MultipleChoiceField(required=False, label="Revoke")
    reason = forms.CharField(
        required=False,
        max_length=500,
        label="Anything to add?",
        widget=forms.TextInput,
        help_text="It stands on the record beside your answers.",
    )

    def __init__(self, asked: Asked, data: Any = None) -> None:
        initial = {"seen": asked.seen, "drop": asked.ticked}
        super().__init__(data, initial=initial)
        self.asked = asked
        _offer(self.fields["drop"], asked.tools)
        _offer(self.fields["revoke"], asked.credentials)

    def clean(self) -> dict[str, Any]:
        """A form that was read before a change is told so, and not that a box is unknown."""
        found = super().clean() or {}
        if self.data.get("seen") != self.asked.seen:
            for name in ("drop", "revoke"):
                self.errors.pop(name, None)
                found[name] = []
        return found

    @property
    def is_ended(self) -> bool:
        """Whether they said that it is not needed any more."""
        return bool(self.cleaned_data["needed"] == NOT_NEEDED)

    @property
    def rows(self) -> list[tuple[Held, bool]]:
        """Each tool, and whether its box is ticked."""
        return self._ticked("drop", self.asked.tools)

    @property
    def credentials(self) -> list[tuple[Held, bool]]:
        """Each credential, and whether its box is ticked."""
        return self._ticked("revoke", self.asked.credentials)

    def _ticked(self, name: str, held: Iterable[Held]) -> list[tuple[Held, bool]]:
        given = self.data.getlist(name) if self.is_bound else None  # type: ignore[attr-defined]
        return [(each, each.drop if given is None else each.name in given) for each in held]


def _offer(field: forms.Field, held: Iterable[Held]) -> None:
    assert isinstance(field, forms.MultipleChoiceField)  # noqa: S101 - as declared above
    field.choices = [(each.name, each.name) for each in held]


class ExtensionForm(forms.Form):
    until = forms.DateField(
        label="Until when?",
        widget=forms.DateInput(attrs={"type": "date"}),
        help_text=f"At most {rules.MOST_EXTENDED.days} days after the day it is due on, once.",
    )
    reason = forms.CharField(
        max_length=500, label="Why can it not be answered now?", widget=forms.TextInput
    )
