"""Toxic combinations found, what was answered, the two sides of a split, and what is checked."""

from __future__ import annotations

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Exists, F, OuterRef, Q

from authz.enums import PolicyState
from authz.models import Policy
from governance.kernel import clock
from registry.enums import Tier
from registry.models import Agent, Person


class FindingScope(models.TextChoices):
    """In what it was found."""

    AGENT = "agent", "one agent"
    OWNER = "owner", "agents of one owner"


class FindingState(models.TextChoices):
    OPEN = "open", "waits for an answer"
    ANSWERED = "answered", "answered"
    GONE = "gone", "no longer there"


class FindingAnswer(models.TextChoices):
    """What is done about it, best first."""

    SPLIT = "split", "split"
    ELEVATE = "elevate", "reviewed"
    AGGREGATE = "aggregate", "its outputs count as the implied tier"


class FindingQuerySet(models.QuerySet["ToxicFinding"]):
    """Reads of findings."""

    def visible_to(self, person: Person) -> FindingQuerySet:
        """Readers see all, owners their own."""
        if not person.may_act:
            return self.none()
        if person.reads_everything:
            return self
        theirs = Q(agent__owner=person) | Q(agent__backup_owner=person) | Q(owner=person)
        return self.filter(theirs)


class ToxicFinding(models.Model):
    """One combination that one agent, or the agents of one owner, complete.

    Found again it is the same row. `digest` is of who has it from where: what an answer is for.
    """

    combination = models.CharField(max_length=60)
    scope = models.CharField(max_length=5, choices=FindingScope.choices)
    agent = models.ForeignKey(
        Agent, null=True, blank=True, on_delete=models.PROTECT, related_name="toxic_findings"
    )
    owner = models.ForeignKey(
        Person, null=True, blank=True, on_delete=models.PROTECT, related_name="toxic_findings"
    )
    agents = ArrayField(models.CharField(max_length=60))
    categories = ArrayField(models.CharField(max_length=60), default=list, blank=True)
    effects = ArrayField(models.CharField(max_length=24), default=list, blank=True)
    tier = models.CharField(max_length=12, choices=Tier.choices)
    reason = models.CharField(max_length=300)
    only_listed = models.BooleanField(default=False)
    connected = models.BooleanField(default=False)
    places = models.JSONField(default=list)
    digest = models.CharField(max_length=64)
    since = models.DateTimeField()
    gone_at = models.DateTimeField(null=True, blank=True)
    state = models.CharField(
        max_length=8, choices=FindingState.choices, default=FindingState.OPEN, editable=False
    )
    answer = models.CharField(max_length=9, choices=FindingAnswer.choices, blank=True)
    answer_reason = models.CharField(max_length=500, blank=True)
    answered_by = models.ForeignKey(
        Person, null=True, blank=True, on_delete=models.PROTECT, related_name="+"
    )
    answered_at = models.DateTimeField(null=True, blank=True)

    objects = FindingQuerySet.as_manager()

    class Meta:
        ordering = ["-since", "-pk"]
        indexes = [models.Index(fields=["state", "-since"], name="toxic_by_state")]
        constraints = [
            models.UniqueConstraint(
                fields=["combination", "agent"],
                condition=Q(scope="agent"),
                name="toxic_once_per_agent",
            ),
            models.UniqueConstraint(
                fields=["combination", "owner"],
                condition=Q(scope="owner"),
                name="toxic_once_per_owner",
            ),
            models.CheckConstraint(
                name="toxic_of_whom",
                condition=Q(scope="agent", agent__isnull=False, owner__isnull=True)
                | Q(scope="owner", agent__isnull=True, owner__isnull=False),
            ),
            models.CheckConstraint(
                name="toxic_answered_by_whom_and_when",
                condition=Q(answer="", answered_by__isnull=True, answered_at__isnull=True)
                | (~Q(answer="") & Q(answered_by__isnull=False, answered_at__isnull=False)),
            ),
            models.CheckConstraint(
                name="toxic_answered_has_answer",
                condition=(Q(state="answered") & ~Q(answer=""))
                | (Q(state="open") & Q(answer=""))
                | Q(state="gone"),
            ),
            models.CheckConstraint(
                name="toxic_gone_when",
                condition=Q(state="gone", gone_at__isnull=False)
                | (~Q(state="gone") & Q(gone_at__isnull=True)),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.combination}: {', '.join(self.agents)}"


class SplitQuerySet(models.QuerySet["ToxicSplit"]):
    """Reads of splits."""

    def junction_tools(self) -> frozenset[str]:
        """The tools of splits that stand, each with a policy of its own in force."""
        own = Policy.objects.filter(
            slug=OuterRef("policy"), state=PolicyState.ACTIVE, log_only=False
        )
        rows = self.filter(Exists(own), undone_at__isnull=True)
        return frozenset(rows.values_list("tool", flat=True))


class ToxicSplit(models.Model):
    """Two rows made of one, each on one side, and the tool by which both hand over."""

    finding = models.ForeignKey(ToxicFinding, on_delete=models.PROTECT, related_name="splits")
    agent = models.ForeignKey(Agent, on_delete=models.PROTECT, related_name="splits")
    first = models.ForeignKey(Agent, on_delete=models.PROTECT, related_name="+")
    second = models.ForeignKey(Agent, on_delete=models.PROTECT, related_name="+")
    system = models.CharField(max_length=60)
    tool = models.CharField(max_length=120)
    policy = models.CharField(max_length=60)
    sides = models.JSONField(default=dict)
    by = models.ForeignKey(Person, on_delete=models.PROTECT, related_name="+")
    at = models.DateTimeField(default=clock.now)
    undone_by = models.ForeignKey(
        Person, null=True, blank=True, on_delete=models.PROTECT, related_name="+"
    )
    undone_at = models.DateTimeField(null=True, blank=True)

    objects = SplitQuerySet.as_manager()

    class Meta:
        ordering = ["-at", "-pk"]
        constraints = [
            models.UniqueConstraint(
                fields=["finding"], condition=Q(undone_at__isnull=True), name="split_once"
            ),
            models.CheckConstraint(name="split_in_two", condition=~Q(first=F("second"))),
            models.CheckConstraint(
                name="split_undone_by_whom_and_when",
                condition=Q(undone_by__isnull=True, undone_at__isnull=True)
                | Q(undone_by__isnull=False, undone_at__isnull=False),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.agent} into {self.first} and {self.second}"


class ToxicCheck(models.Model):
    """Everything that exists, checked once more, after the catalogue has changed."""

    combination = models.CharField(max_length=60)
    version = models.PositiveIntegerField()
    asked_by = models.ForeignKey(Person, on_delete=models.PROTECT, related_name="+")
    asked_at = models.DateTimeField(default=clock.now)
    found = models.PositiveIntegerField(default=0)

    class Meta:
        ordering = ["-asked_at", "-pk"]

    def __str__(self) -> str:
        return f"{self.combination}, version {self.version}"


class ToxicDue(models.Model):
    """An owner whose agents are to be checked. One row for each reason; all are done at once."""

    owner = models.ForeignKey(Person, on_delete=models.PROTECT, related_name="+")
    check_of = models.ForeignKey(
        ToxicCheck, null=True, blank=True, on_delete=models.PROTECT, related_name="due"
    )
    asked_at = models.DateTimeField(default=clock.now)
    done_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        verbose_name_plural = "toxic due"
        ordering = ["pk"]
        indexes = [
            models.Index(fields=["owner"], condition=Q(done_at__isnull=True), name="toxic_due")
        ]

    def __str__(self) -> str:
        return f"{self.owner}, asked {self.asked_at.isoformat()}"
