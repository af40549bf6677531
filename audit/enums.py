"""Words of the record. They are part of the hashed bytes: add, never rename or reuse."""

from django.db import models


class Kind(models.TextChoices):
    """What an entry tells of."""

    DECISION = "decision", "Decision"
    OUTCOME = "outcome", "Outcome"
    REGISTRY = "registry", "Registry change"
    POLICY = "policy", "Policy change"
    ACCESS = "access", "Access"
    ADMIN = "admin", "Administration"
    PAYLOAD_READ = "payload_read", "Payload read"
    SESSION = "session", "Flow session"
    HOLD = "hold", "Hold"
    SYSTEM = "system", "System"


class Mode(models.TextChoices):
    """How a decision was meant; empty for what is no decision."""

    ENFORCE = "enforce", "Enforced"
    OBSERVE = "observe", "Observed"
    LOG_ONLY = "log_only", "Logged only"
    SIMULATE = "simulate", "Simulated"


class Mark(models.TextChoices):
    """What is remembered of a database for good."""

    DEMO = "demo", "Demo"
    FIRST_POLICY = "first_policy", "First policy activated"
