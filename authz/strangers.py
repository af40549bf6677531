"""Those who ask and do not stand on the register: counted, and recorded within measure."""

from __future__ import annotations

from django.db import transaction

from audit import services as audit
from audit.enums import Kind
from authz.asks import Caller
from authz.decide import Answer
from registry import services as registry
from registry.models import Gateway

ACTOR = "system:decisions"
UNAUTHENTICATED = "caller.unauthenticated"
UNKNOWN_AGENT = "identity.unknown_agent"
MAX_CLAIMED = 120


def note_unauthenticated(source: str) -> None:
    """Count a call without a valid token; record at most one an hour for each source."""
    with transaction.atomic():
        noted = registry.note_caller(claimed="", source=source)
        if noted.record_due:
            audit.record(
                kind=Kind.ACCESS,
                actor=ACTOR,
                code=UNAUTHENTICATED,
                asked={"did": "call_refused", "source": source},
            )


def note_unknown_agent(answer: Answer, caller: Caller) -> None:
    """List an agent that a gateway named and nobody registered. The denial is its record."""
    claimed = answer.resolved.request.agent_claimed
    if answer.decision.code != UNKNOWN_AGENT or not claimed:
        return
    gateway = Gateway.objects.filter(slug=caller.slug).first()
    registry.note_caller(claimed=claimed[:MAX_CLAIMED], source=caller.slug, gateway=gateway)
