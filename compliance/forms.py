"""Forms about evidence and reports."""

from __future__ import annotations

from datetime import date
from typing import Any

from django import forms

from compliance import period as periods
from compliance import scope as scopes
from compliance.catalogue import frameworks
from compliance.enums import Cadence
from compliance.reports.services import LONGEST_LINK


def _frameworks() -> list[tuple[str, str]]:
    return [(each.id, each.name) for each in frameworks()]


class LookForm(forms.Form):
    """Which period and which scope. A period may be typed that the list does not offer."""

    period = forms.ChoiceField(label="Period")
    scope = forms.ChoiceField(label="Scope")

    def __init__(self, *args: Any, today: date, chosen: periods.Period, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        offered = list(dict.fromkeys([chosen, *periods.offered(today)]))
        self._field("period").choices = [(each.key, each.name) for each in offered]
        self._field("scope").choices = [(each.key, each.title) for each in scopes.offered()]

    def _field(self, name: str) -> forms.ChoiceField:
        field = self.fields[name]
        assert isinstance(field, forms.ChoiceField)  # noqa: S101 - declared so above
        return field


class ReportForm(LookForm):
    """What a report is to be about."""

    framework = forms.ChoiceField(label="Framework", choices=_frameworks)
    field_order = ["framework", "period", "scope"]


class PlanForm(forms.Form):
    """A report after each month or quarter."""

    framework = forms.ChoiceField(label="Framework", choices=_frameworks)
    cadence = forms.ChoiceField(label="How often", choices=Cadence.choices)


class LinkForm(forms.Form):
    """A link for somebody who has no account here."""

    whom = forms.CharField(label="Who it is for", max_length=200)
    days = forms.IntegerField(
        label="For how many days", min_value=1, max_value=LONGEST_LINK, initial=7
    )
