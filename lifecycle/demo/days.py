"""The days on which things happen in the made-up company, and the people whom they happen to."""

from __future__ import annotations

from datetime import date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from governance.kernel import business_days
from registry.models import Person
from registry.rules import months_after

ZONE = ZoneInfo("Europe/Copenhagen")


def at(day: date, hour: int, minute: int = 0) -> datetime:
    """That time of that day, where the company is."""
    return datetime.combine(day, time(hour, minute), ZONE)


def person(name: str) -> Person:
    """Somebody of the company, by the first part of their address."""
    return Person.objects.get(email=f"{name}@halvern.example")


class Days:
    """The days of the story, counted from today where the company is."""

    def __init__(self, now: datetime) -> None:
        self.now, self.today = now, business_days.date_in(ZONE.key, now)
        self.late = self.back(4)
        ago = self.today - timedelta(days=75)
        self.since = {
            "deal-archive": months_after(self.late, -12),
            "quote-archive": months_after(self.today + timedelta(days=12), -12),
            "storm-watch": self.today - timedelta(days=130),
            "contact-cleaner": months_after(self.today + timedelta(days=6), -3),
            "survey-digest": self.today - timedelta(days=37),
            **dict.fromkeys(
                (
                    "supplier-statements",
                    "payment-reminders",
                    "credit-check",
                    "claims-letters",
                    "lead-router",
                    "rate-table",
                ),
                ago,
            ),
            # What acts for a person, and what it hands over: for neither has anybody to say yet
            # that it is still needed, though one has only been asked for lately.
            **dict.fromkeys(("crm-copilot", "mail-writer"), self.today - timedelta(days=26)),
            # What an auditor is to find something about.
            "health-quotes": self.today - timedelta(days=45),
            "complaints-digest": self.today - timedelta(days=70),
        }

    def back(self, days: int) -> date:
        """The business day so many before today."""
        day = self.today
        while business_days.business_days_between(day, self.today) < days:
            day -= timedelta(days=1)
        while not business_days.is_business_day(day):
            day -= timedelta(days=1)
        return day

    @property
    def first(self) -> date:
        """When the company began to keep its register."""
        return min(self.since.values())
