"""Forms about grants."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from django import forms
from django.conf import settings

from governance.words import number_word
from lifecycle.grants.selectors import Again, May

LIVE, OVER = "live", "over"
_SHORTER = (1, 7, 30, 60)


class GrantFilter(forms.Form):
    """Which grants."""

    agent = forms.CharField(required=False, max_length=60)
    person = forms.CharField(required=False, max_length=254, label="For")
    state = forms.ChoiceField(
        required=False, choices=[("", "any"), (LIVE, "live"), (OVER, "ended")], label="State"
    )


class AgainForm(forms.Form):
    """What of a grant is given again, and for how long. What was never used is not ticked."""

    tools = forms.MultipleChoiceField(
        label="It may",
        error_messages={"required": "Tick what it may do. To let it do nothing, end the grant."},
    )
    days = forms.TypedChoiceField(label="For how long", coerce=int)

    def __init__(self, asked: Again, data: Any = None) -> None:
        most = settings.MUSTER_GRANT_DAYS
        self.asked = asked
        ticked = [each.name for each in asked.may if each.calls] or [
            each.name for each in asked.may if not asked.held.counted
        ]
        super().__init__(data, initial={"tools": ticked, "days": most})
        offered, days = self.fields["tools"], self.fields["days"]
        assert isinstance(offered, forms.MultipleChoiceField)  # noqa: S101 - as declared above
        assert isinstance(days, forms.ChoiceField)  # noqa: S101 - as declared above
        offered.choices = [(each.name, each.said) for each in asked.may]
        shorter = [each for each in _SHORTER if each < most]
        days.choices = [(each, _days(each)) for each in (*shorter, most)]

    @property
    def rows(self) -> list[tuple[May, bool]]:
        """Each tool, and whether its box is ticked."""
        given = self.data.getlist("tools") if self.is_bound else self.initial["tools"]  # type: ignore[attr-defined]
        return [(each, each.name in given) for each in self.asked.may]

    def until(self, now: datetime) -> datetime | None:
        """The end that was chosen; None for the longest. Only for a valid form."""
        days = int(self.cleaned_data["days"])
        return None if days >= settings.MUSTER_GRANT_DAYS else now + timedelta(days=days)


def _days(number: int) -> str:
    return "one day" if number == 1 else f"{number_word(number)} days"
