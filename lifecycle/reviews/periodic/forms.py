"""What whoever looks at a live agent fills in."""

from __future__ import annotations

from typing import Any

from django import forms

from lifecycle.models.reviews import ReviewOutcome
from lifecycle.reviews import looking

YES_NO = [("yes", "Yes"), ("no", "No")]
OUTCOMES = [
    (ReviewOutcome.KEEP, "It goes on as it is"),
    (ReviewOutcome.NARROW, "It goes on with less"),
    (ReviewOutcome.SUSPEND, "Suspend it now"),
    (ReviewOutcome.END, "End it"),
]


class PeriodicForm(forms.Form):
    """The questions, what comes of it, and why."""

    digest = forms.CharField(widget=forms.HiddenInput, max_length=64)
    outcome = forms.ChoiceField(
        choices=OUTCOMES,
        widget=forms.RadioSelect,
        label="What comes of it?",
        error_messages={"required": "Say what comes of it."},
    )
    drop = forms.MultipleChoiceField(required=False, label="Take away")
    reason = forms.CharField(
        required=False,
        max_length=2000,
        label="Why",
        widget=forms.Textarea(attrs={"rows": 3}),
        help_text="Needed unless everything stays and every answer is yes. Its owner reads it.",
    )

    def __init__(self, tools: list[str], digest: str, data: Any = None) -> None:
        super().__init__(data, initial={"digest": digest})
        for each in looking.QUESTIONS:
            self.fields[each.name] = forms.ChoiceField(
                choices=YES_NO,
                widget=forms.RadioSelect,
                label=each.asks,
                error_messages={"required": "Answer yes or no."},
            )
        field = self.fields["drop"]
        assert isinstance(field, forms.MultipleChoiceField)  # noqa: S101 - as declared above
        field.choices = [(name, name) for name in tools]

    @property
    def questions(self) -> list[forms.BoundField]:
        """The questions, in their order."""
        return [self[each.name] for each in looking.QUESTIONS]

    @property
    def answers(self) -> dict[str, bool]:
        """What was answered to each."""
        return {each.name: self.cleaned_data[each.name] == "yes" for each in looking.QUESTIONS}
