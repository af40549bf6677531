"""The end of an agent: who ordered it, who was told, what was ended in which order, what proves it,
and which agent came after it."""

from __future__ import annotations

from uuid import UUID

from django.db import models
from django.db.models import F, Q

from governance.kernel import clock
from registry.enums import Tier
from registry.models import Agent, Person


class OrderState(models.TextChoices):
    """What became of somebody's wish to end an agent that others rely on."""

    WAITING = "waiting", "waits for who relies on it"
    BEGUN = "begun", "begun"
    WITHDRAWN = "withdrawn", "withdrawn"


class EndState(models.TextChoices):
    """How far an end is."""

    RUNNING = "running", "under way"
    DONE = "done", "done"


class EndStepState(models.TextChoices):
    """How far one step is. What is left was tried for as long as the tier says, and is listed."""

    WAITING = "waiting", "waiting"
    DONE = "done", "done"
    LEFT = "left", "not ended by Muster"


OPEN = [EndState.RUNNING]


class EndOrder(models.Model):
    """Somebody's wish to end an agent. It takes effect once everyone who relies on it knows, or
    at `begins_at`, whichever is first."""

    agent = models.ForeignKey(Agent, on_delete=models.PROTECT, related_name="end_orders")
    by = models.ForeignKey(Person, on_delete=models.PROTECT, related_name="+")
    reason = models.CharField(max_length=500)
    at = models.DateTimeField()
    begins_on = models.DateField()
    begins_at = models.DateTimeField()
    state = models.CharField(
        max_length=9, choices=OrderState.choices, default=OrderState.WAITING, editable=False
    )
    closed_at = models.DateTimeField(null=True, blank=True)
    why = models.CharField(max_length=300, blank=True, help_text="Why it was withdrawn.")

    class Meta:
        ordering = ["-at", "-pk"]
        indexes = [
            models.Index(fields=["begins_at"], condition=Q(state="waiting"), name="end_order_due")
        ]
        constraints = [
            models.UniqueConstraint(
                fields=["agent"], condition=Q(state="waiting"), name="end_order_one_waits"
            ),
            models.CheckConstraint(
                name="end_order_closed_when",
                condition=Q(state="waiting", closed_at__isnull=True)
                | (~Q(state="waiting") & Q(closed_at__isnull=False)),
            ),
            models.CheckConstraint(
                name="end_order_begins_after_it", condition=Q(begins_at__gte=F("at"))
            ),
        ]

    def __str__(self) -> str:
        return f"{self.agent} ends on {self.begins_on}"


class EndAcknowledgement(models.Model):
    """The word of one who relies on an agent that they know that it ends.

    It is a person's own word, or one given for an agent of theirs.
    """

    agent = models.ForeignKey(Agent, on_delete=models.PROTECT, related_name="acknowledgements")
    person = models.ForeignKey(
        Person, null=True, blank=True, on_delete=models.PROTECT, related_name="+"
    )
    dependent = models.ForeignKey(
        Agent, null=True, blank=True, on_delete=models.PROTECT, related_name="+"
    )
    by = models.ForeignKey(Person, on_delete=models.PROTECT, related_name="+")
    at = models.DateTimeField()

    class Meta:
        ordering = ["at", "pk"]
        constraints = [
            models.UniqueConstraint(
                fields=["agent", "person", "dependent"],
                nulls_distinct=False,
                name="end_acknowledged_once",
            ),
            models.CheckConstraint(
                name="end_acknowledged_for_one",
                condition=Q(person__isnull=False, dependent__isnull=True)
                | Q(person__isnull=True, dependent__isnull=False),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.person or self.dependent} knows that {self.agent} ends"


class EndRun(models.Model):
    """The end of one agent, made in the transaction from which on it gets nothing.

    `actor` is who began it as the record names them. `destroy_at` is when what was revoked is
    destroyed for good, `patience_at` until when a system that refuses is waited for.
    """

    id = models.UUIDField(primary_key=True, default=clock.uuid7, editable=False)
    agent = models.OneToOneField(Agent, on_delete=models.PROTECT, related_name="end_run")
    by = models.ForeignKey(
        Person, null=True, blank=True, on_delete=models.PROTECT, related_name="+"
    )
    actor = models.CharField(max_length=60)
    reason = models.CharField(max_length=500, blank=True)
    tier = models.CharField(max_length=12, choices=Tier.choices)
    state = models.CharField(max_length=7, choices=EndState.choices, default=EndState.RUNNING)
    started_at = models.DateTimeField()
    patience_at = models.DateTimeField()
    destroy_at = models.DateTimeField()
    escalated_at = models.DateTimeField(null=True, blank=True)
    ended_at = models.DateTimeField(null=True, blank=True)
    settled_at = models.DateTimeField(
        null=True, blank=True, help_text="When nothing of it was left: destroyed and confirmed."
    )
    record = models.UUIDField(help_text="The entry that says that it began.")
    closed_record: models.UUIDField[UUID | None, UUID | None] = models.UUIDField(
        null=True, blank=True, help_text="The entry that says that the row is closed."
    )
    next_try_at = models.DateTimeField()
    claim = models.UUIDField(null=True, blank=True)
    claimed_until = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["-started_at", "-id"]
        indexes = [
            models.Index(
                fields=["next_try_at"], condition=Q(settled_at__isnull=True), name="end_run_open"
            )
        ]
        constraints = [
            models.CheckConstraint(
                name="end_run_ended_when",
                condition=Q(state="running", ended_at__isnull=True)
                | Q(state="done", ended_at__isnull=False),
            ),
            models.CheckConstraint(
                name="end_run_settled_after_its_end",
                condition=Q(settled_at__isnull=True) | Q(state="done"),
            ),
            models.CheckConstraint(
                name="end_run_claim_until_when",
                condition=Q(claim__isnull=True, claimed_until__isnull=True)
                | Q(claim__isnull=False, claimed_until__isnull=False),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.agent} ends, {self.started_at.isoformat()}"

    @property
    def is_open(self) -> bool:
        """Whether something is still to be ended before the row is closed."""
        return self.state in OPEN


class EndStep(models.Model):
    """One step of an end. `said` is what came of it; `left` what Muster cannot end by itself."""

    run = models.ForeignKey(EndRun, on_delete=models.CASCADE, related_name="steps")
    position = models.PositiveSmallIntegerField()
    name = models.CharField(max_length=80)
    title = models.CharField(max_length=120)
    state = models.CharField(
        max_length=7, choices=EndStepState.choices, default=EndStepState.WAITING
    )
    attempts = models.PositiveSmallIntegerField(default=0)
    said = models.CharField(max_length=500, blank=True)
    left = models.JSONField(default=list, blank=True)
    error = models.CharField(max_length=500, blank=True)
    begun_at = models.DateTimeField(null=True, blank=True)
    ended_at = models.DateTimeField(null=True, blank=True)
    record = models.UUIDField(null=True, blank=True)

    class Meta:
        ordering = ["run", "position"]
        constraints = [
            models.UniqueConstraint(fields=["run", "position"], name="end_step_place"),
            models.UniqueConstraint(fields=["run", "name"], name="end_step_once"),
            models.CheckConstraint(
                name="end_step_ended_when",
                condition=Q(state="waiting", ended_at__isnull=True, record__isnull=True)
                | (~Q(state="waiting") & Q(ended_at__isnull=False, record__isnull=False)),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.name}: {self.state}"


class EndCertificate(models.Model):
    """What was ended, as the bytes whose digest stands on the record. Written once.

    A later edition says what was destroyed or confirmed since; the earlier ones stay.
    """

    run = models.ForeignKey(EndRun, on_delete=models.PROTECT, related_name="certificates")
    edition = models.PositiveSmallIntegerField()
    issued_at = models.DateTimeField()
    document = models.BinaryField()
    digest = models.CharField(max_length=64)
    facts = models.CharField(max_length=64, help_text="What a further edition would have to change")
    record = models.UUIDField()
    pdf = models.BinaryField(null=True, blank=True)

    class Meta:
        ordering = ["run", "edition"]
        constraints = [
            models.UniqueConstraint(fields=["run", "edition"], name="end_certificate_edition"),
        ]

    def __str__(self) -> str:
        return f"{self.run.agent}, edition {self.edition}"


class Succession(models.Model):
    """An agent that was registered again: a new row, which inherits nothing but what it is for."""

    earlier = models.ForeignKey(Agent, on_delete=models.PROTECT, related_name="successions")
    later = models.OneToOneField(Agent, on_delete=models.PROTECT, related_name="succeeds")
    by = models.ForeignKey(Person, on_delete=models.PROTECT, related_name="+")
    at = models.DateTimeField()

    class Meta:
        ordering = ["at", "pk"]
        constraints = [
            models.CheckConstraint(name="succession_of_another", condition=~Q(earlier=F("later"))),
        ]

    def __str__(self) -> str:
        return f"{self.later} after {self.earlier}"
