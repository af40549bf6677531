"""Who stands in for whom."""

from __future__ import annotations

from django.db import models
from django.db.models import F, Q

from registry import validators
from registry.models.people import Person


class Absence(models.Model):
    """While a person is away another one of the same group stands in for their duties."""

    person = models.ForeignKey(Person, on_delete=models.CASCADE, related_name="absences")
    stand_in = models.ForeignKey(Person, on_delete=models.PROTECT, related_name="stands_in")
    first_day = models.DateField(validators=[validators.day])
    last_day = models.DateField(validators=[validators.day])
    reason = models.CharField(max_length=200, blank=True, validators=[validators.plain_text])
    made_by = models.ForeignKey(Person, on_delete=models.PROTECT, related_name="+")
    made_at = models.DateTimeField()
    ended_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["-first_day", "-pk"]
        constraints = [
            models.CheckConstraint(
                name="absence_ends_after_it_begins", condition=Q(last_day__gte=F("first_day"))
            ),
            models.CheckConstraint(
                name="absence_stand_in_is_another",
                condition=~Q(person=F("stand_in")),
                violation_error_message="Someone else stands in, not you.",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.stand_in} for {self.person}"
