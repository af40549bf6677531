"""Adversarial tests of a row: each run, and what became of each attack."""

from __future__ import annotations

from django.db import models

from governance.kernel import clock
from registry.enums import Tier
from registry.models import Agent, Person


class ProbeCause(models.TextChoices):
    """Why a run was made."""

    ASKED = "asked", "asked for"
    ACTIVATION = "activation", "before it went live"
    CHANGE = "change", "after a change"
    LOADED = "loaded", "after it was loaded"


class ProbeGate(models.TextChoices):
    """What keeps a row from going live."""

    ANY = "any", "any attack that executes"
    CONSEQUENTIAL = "consequential", "a consequential attack that executes"
    OFF = "off", "nothing"


class ProbeEnd(models.TextChoices):
    EXECUTED = "executed", "would execute"
    HELD = "held", "would be held"
    REFUSED = "refused", "would be refused"
    RESISTED = "resisted", "was not followed"
    NOT_AIMED = "not_aimed", "does not apply"


class ProbeRun(models.Model):
    """One corpus against one row, as it was then.

    `standing` is a digest of all that the run rests on; a run whose standing is not that of the
    row any more is stale. `blocking` are the attacks for which the row may not go live.
    """

    id = models.UUIDField(primary_key=True, default=clock.uuid7, editable=False)
    agent = models.ForeignKey(Agent, on_delete=models.CASCADE, related_name="probe_runs")
    at = models.DateTimeField()
    by = models.ForeignKey(
        Person,
        null=True,
        blank=True,
        on_delete=models.PROTECT,
        related_name="+",
        help_text="Nobody where Muster ran it by itself.",
    )
    cause = models.CharField(max_length=10, choices=ProbeCause.choices)
    live = models.CharField(
        max_length=300, blank=True, help_text="Host of the running agent that was attacked"
    )
    corpus = models.CharField(max_length=60)
    corpus_digest = models.CharField(max_length=64)
    standing = models.CharField(max_length=64)
    reach_digest = models.CharField(max_length=64)
    tier = models.CharField(max_length=12, choices=Tier.choices)
    gate = models.CharField(max_length=13, choices=ProbeGate.choices)
    executed = models.PositiveIntegerField()
    held = models.PositiveIntegerField()
    refused = models.PositiveIntegerField()
    resisted = models.PositiveIntegerField(
        default=0, help_text="Attacks of a running agent that it did not follow"
    )
    not_aimed = models.PositiveIntegerField()
    calls = models.JSONField(default=dict, help_text="Attack calls by kind, end and deciding check")
    blocking = models.JSONField(default=list)
    things = models.JSONField(
        null=True, help_text="Resources that the attacks named, by kind and id; nothing for all"
    )
    milliseconds = models.PositiveIntegerField()

    class Meta:
        ordering = ["-at", "-id"]
        indexes = [models.Index(fields=["agent", "corpus_digest", "-at"], name="probe_newest")]

    def __str__(self) -> str:
        return f"{self.corpus} against {self.agent.slug}"

    @property
    def passed(self) -> bool:
        """Nothing that this run found keeps the row from going live."""
        return not self.blocking

    @property
    def aimed(self) -> int:
        """How many attacks the row has something for."""
        return self.executed + self.held + self.refused + self.resisted


class LiveVisit(models.Model):
    """One attack that is being fed to a running agent, and the calls that it then asked for.

    Its token opens this visit and nothing else. What was read only rises.
    """

    id = models.UUIDField(primary_key=True, default=clock.uuid7, editable=False)
    agent = models.ForeignKey(Agent, on_delete=models.CASCADE, related_name="live_visits")
    token_digest = models.CharField(max_length=64, unique=True)
    expires_at = models.DateTimeField()
    reading = models.JSONField()
    calls = models.JSONField(default=list)

    def __str__(self) -> str:
        return f"visit of {self.agent.slug}"


class ProbeResult(models.Model):
    """One attack of a run. `steps` are those of the shot that ended worst."""

    run = models.ForeignKey(ProbeRun, on_delete=models.CASCADE, related_name="results")
    position = models.PositiveIntegerField()
    attack = models.CharField(max_length=100)
    title = models.CharField(max_length=160)
    llm = models.JSONField(default=list)
    agentic = models.JSONField(default=list)
    minor = models.BooleanField(default=False)
    remedy = models.CharField(max_length=400)
    end = models.CharField(max_length=10, choices=ProbeEnd.choices)
    acts = models.BooleanField(default=False)
    tool = models.CharField(max_length=300, blank=True)
    check_name = models.CharField(max_length=12, blank=True)
    code = models.CharField(max_length=60, blank=True)
    why = models.CharField(max_length=200, blank=True)
    steps = models.JSONField(default=list)
    shots = models.JSONField(default=list, help_text="Tool, end, check and code of every shot")

    class Meta:
        ordering = ["run", "position"]
        constraints = [
            models.UniqueConstraint(fields=["run", "position"], name="probe_result_unique"),
        ]

    def __str__(self) -> str:
        return f"{self.attack}: {self.end}"
