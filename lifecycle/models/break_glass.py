"""Emergency access: the sealed codes that open it, and each time that it was opened."""

from __future__ import annotations

from datetime import datetime, timedelta

from django.db import models
from django.db.models import F, Q

from governance.kernel import clock
from registry.models import Person

LONGEST = timedelta(minutes=60)


class SealedCode(models.Model):
    """A code on paper in a safe, made by two people. Only its digest is kept; it works once."""

    digest = models.CharField(max_length=64, unique=True)
    made_by = models.ForeignKey(Person, on_delete=models.PROTECT, related_name="+")
    agreed_by = models.ForeignKey(Person, on_delete=models.PROTECT, related_name="+")
    made_at = models.DateTimeField()
    used_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = [
            models.CheckConstraint(name="sealed_code_by_two", condition=~Q(made_by=F("agreed_by")))
        ]

    def __str__(self) -> str:
        return f"sealed code {self.pk}"


class BreakGlass(models.Model):
    """One use. It stays open, and red on every page, until someone else has reviewed it.

    `slot` is 1 until then and nothing afterwards, so that there is never a second one beside it.
    """

    id = models.UUIDField(primary_key=True, default=clock.uuid7, editable=False)
    person = models.ForeignKey(Person, on_delete=models.PROTECT, related_name="+")
    second = models.ForeignKey(
        Person, null=True, blank=True, on_delete=models.PROTECT, related_name="+"
    )
    code = models.OneToOneField(
        SealedCode, null=True, blank=True, on_delete=models.PROTECT, related_name="+"
    )
    reason = models.CharField(max_length=500)
    opened_at = models.DateTimeField()
    expires_at = models.DateTimeField()
    ended_at = models.DateTimeField(null=True, blank=True)
    slot = models.PositiveSmallIntegerField(null=True, blank=True, default=1, unique=True)
    closed_by = models.ForeignKey(
        Person, null=True, blank=True, on_delete=models.PROTECT, related_name="+"
    )
    closed_at = models.DateTimeField(null=True, blank=True)
    review = models.TextField(blank=True)

    class Meta:
        ordering = ["-opened_at"]
        constraints = [
            models.CheckConstraint(
                name="break_glass_one_other_thing",
                condition=Q(second__isnull=False, code__isnull=True)
                | Q(second__isnull=True, code__isnull=False),
            ),
            models.CheckConstraint(
                name="break_glass_two_people",
                condition=Q(second__isnull=True) | ~Q(second=F("person")),
            ),
            models.CheckConstraint(
                name="break_glass_an_hour_at_most",
                condition=Q(expires_at__lte=F("opened_at") + LONGEST),
            ),
            models.CheckConstraint(
                name="break_glass_open_or_reviewed",
                condition=Q(slot=1, closed_at__isnull=True, closed_by__isnull=True, review="")
                | (
                    Q(slot__isnull=True, closed_at__isnull=False, closed_by__isnull=False)
                    & ~Q(review="")
                ),
            ),
            models.CheckConstraint(
                name="break_glass_reviewed_by_another",
                condition=Q(closed_by__isnull=True)
                | (
                    ~Q(closed_by=F("person")) & (Q(second__isnull=True) | ~Q(closed_by=F("second")))
                ),
            ),
        ]

    def __str__(self) -> str:
        return f"emergency access of {self.person}"

    def is_on(self, at: datetime) -> bool:
        """Whether it still opens anything, at a moment of the database's."""
        return self.ended_at is None and self.closed_at is None and self.expires_at > at
