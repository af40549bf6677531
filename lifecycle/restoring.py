"""An installation that came out of its backup: said on the record, and stopped where it lost."""

from __future__ import annotations

from dataclasses import dataclass

from django.db import transaction

from audit import services as audit
from audit.enums import Kind
from registry import services as register
from registry.enums import AgentState
from registry.models import Agent
from registry.permissions import Automatic

ACTOR = Automatic("restore")


@dataclass(frozen=True)
class Restored:
    """A restoration. `entries` of the copy are sealed; `signed` is what was sealed in all.

    `copied_at` is the database's time when the copy was made, as it was written then.
    """

    because: str
    copied_at: str
    entries: int
    signed: int

    @property
    def lost(self) -> int:
        return max(0, self.signed - self.entries)


@transaction.atomic
def declare(restored: Restored) -> int:
    """Record it; where entries are gone, suspend every active agent. How many were suspended.

    A suspension, a revoked grant or a used approval may be among what is gone, so nobody goes on
    before someone of security has looked.
    """
    audit.record(
        kind=Kind.ADMIN,
        actor=ACTOR.pid,
        resource="installation",
        asked={
            "did": "installation_restored",
            "copied_at": restored.copied_at,
            "entries": restored.entries,
            "signed": restored.signed,
            "lost": restored.lost,
        },
        payload={"reason": restored.because},
    )
    return _stop_all(restored) if restored.lost else 0


def _stop_all(restored: Restored) -> int:
    reason = f"Restored from a copy of {restored.copied_at}: {restored.lost} entries are gone."
    running = Agent.objects.filter(state=AgentState.ACTIVE).order_by("pk").values_list("pk")
    for (pk,) in running:
        register.suspend_agent(agent_id=pk, by=ACTOR, reason=reason)
    return len(running)
