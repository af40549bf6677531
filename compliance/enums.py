"""The closed lists of evidence."""

from __future__ import annotations

from django.db.models import TextChoices


class Status(TextChoices):
    """How a control stands by its own rule. Nothing here says that a law is kept."""

    MET = "met", "met"
    PARTLY = "partly", "partly"
    NOT_MET = "not_met", "not met"
    NOT_APPLICABLE = "not_applicable", "not applicable"


class Tick(TextChoices):
    """How a point of the self-audit stands."""

    MET = "met", "met"
    NOT_MET = "not_met", "not met"
    CANNOT_TELL = "cannot_tell", "cannot tell"


class Breaks(TextChoices):
    """When the exceptions of a query make its control not met."""

    ANY = "any", "any exception"
    HALF = "half", "exceptions in more than half of what was looked at"
    NEVER = "never", "no number of exceptions"


class Empty(TextChoices):
    """What it means that a query found nothing that it is about."""

    NOT_MET = "not_met", "not met"
    NOT_APPLICABLE = "not_applicable", "not applicable"
    MET = "met", "met"


class Concern(TextChoices):
    """The agents that a framework is about."""

    ALL = "all", "every agent"
    PERSONAL = "personal", "agents that touch personal data"
    HEALTH = "health", "agents that touch health data"
    FINANCIAL = "financial", "agents that touch financial data or move money"
    HIGH_RISK = "high_risk", "agents whose use is high risk"


class Timing(TextChoices):
    """What a figure is of."""

    SPAN = "span", "what happened in the period"
    STANDING = "standing", "what stands when the report is made"


class ReportState(TextChoices):
    WAITING = "waiting", "waiting"
    RUNNING = "running", "running"
    DONE = "done", "done"
    FAILED = "failed", "failed"


class Cadence(TextChoices):
    MONTHLY = "monthly", "each month"
    QUARTERLY = "quarterly", "each quarter"


class RequestKind(TextChoices):
    """What a data subject may ask for, by the articles of the GDPR."""

    ACCESS = "access", "access (Art. 15)"
    ERASURE = "erasure", "erasure (Art. 17)"
    PORTABILITY = "portability", "portability (Art. 20)"


class RequestState(TextChoices):
    """How far a request is. `aside`: its keys are out of use, and will be erased in minutes."""

    OPEN = "open", "open"
    APPROVED = "approved", "approved"
    ASIDE = "aside", "being erased"
    HELD = "held", "partly kept by a legal hold"
    DONE = "done", "answered"
    REFUSED = "refused", "refused"
