"""What became of a finding, on the record."""

from __future__ import annotations

from typing import Any

from audit import services as audit
from audit.enums import Kind
from lifecycle.models import ToxicFinding

ACTOR = "system:toxic"


def record_finding(did: str, row: ToxicFinding, actor: str, **more: Any) -> None:
    """Record what became of a finding, in the transaction in which it did."""
    audit.record(
        kind=Kind.SYSTEM,
        actor=actor,
        agent=row.agent.slug if row.agent else "",
        resource=f"toxic:{row.combination}",
        tier=row.tier,
        asked={
            "did": did,
            "finding": row.pk,
            "scope": row.scope,
            "agents": list(row.agents),
            "connected": row.connected,
            **more,
        },
    )
