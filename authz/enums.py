"""The closed lists of authorization that live in the database."""

from __future__ import annotations

from django.db.models import TextChoices


class PolicyState(TextChoices):
    DRAFT = "draft", "draft"
    PROPOSED = "proposed", "proposed"
    ACTIVE = "active", "active"
    SUPERSEDED = "superseded", "superseded"
    RETIRED = "retired", "retired"


class PreviewState(TextChoices):
    WAITING = "waiting", "waiting"
    RUNNING = "running", "running"
    DONE = "done", "done"
    FAILED = "failed", "failed"


class HoldState(TextChoices):
    """What became of a hold; it leaves `open` once and goes nowhere after that."""

    OPEN = "open", "waiting"
    APPROVED = "approved", "approved"
    REJECTED = "rejected", "rejected"
    CANCELLED = "cancelled", "cancelled"
    EXPIRED = "expired", "expired"
