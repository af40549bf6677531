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


class GrantWay(TextChoices):
    """How a grant came about."""

    CONSENT = "consent", "the person's consent"
    PREAPPROVED = "preapproved", "approved beforehand for a group"


class EndCause(TextChoices):
    """Why a grant or a delegation is over before its time, or at it."""

    PERSON = "person", "ended by the person"
    SECURITY = "security", "ended by security"
    REPLACED = "replaced", "replaced by a newer one"
    EXPIRED = "expired", "its time was over"
    LEFT = "left", "the person left"
    AGENT = "agent", "an agent of it stopped"
    GIVER = "giver", "taken back by who handed it over"
    RECEIVER = "receiver", "given back by who received it"
    ABOVE = "above", "what it rested on ended"


class Sent(TextChoices):
    """What a decision point outside is told besides who acts, the tool, and on what."""

    USER = "user", "the user acted for, by their pseudonymous id"
    CHAIN = "chain", "the agents that handed the call on"
    FACTS = "facts", "the tool's effect, the system, the tier"
    PERSONAL_IDS = "personal_ids", "resource ids that stand for people"


class SentIn(TextChoices):
    """Where in the question the parameters stand (AuthZEN 1.0, section 5)."""

    CONTEXT = "context", "context.parameters"
    ACTION = "action", "action.properties"
    RESOURCE = "resource", "resource.properties"
