"""Runs that go on after a transaction: one process claims a run, renews its claim, and is
overtaken where it was silent for too long. Provisioning and decommissioning work so."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime, timedelta
from typing import TypeVar
from uuid import UUID

from django.db import models
from django.db.models import Q

from governance.kernel import clock
from registry.models import Agent

# How long whoever works on a run may be silent before another takes it over.
CLAIM = timedelta(minutes=2)

Run = TypeVar("Run", bound=models.Model)


class Overtaken(Exception):
    """This process was taken for dead, and another one works on the run."""


def free(now: datetime) -> Q:
    """Runs that nobody works on."""
    return Q(claimed_until__isnull=True) | Q(claimed_until__lt=now)


def take(model: type[Run], run_id: UUID, states: Collection[str], now: datetime) -> UUID | None:
    """Compare and swap: the one UPDATE that finds the run free and due has it."""
    claim = clock.uuid7()
    due = model._default_manager.filter(
        free(now), pk=run_id, state__in=states, next_try_at__lte=now
    )
    return claim if due.update(claim=claim, claimed_until=now + CLAIM) else None


def held(model: type[Run], run_id: UUID, claim: UUID) -> tuple[Agent, Run]:
    """The run, locked, after its agent; `Overtaken` where it is another's by now."""
    rows = model._default_manager
    agents = Agent.objects.select_for_update(of=("self",), no_key=True)
    agent = agents.select_related("owner", "backup_owner").get(
        pk=rows.values_list("agent_id", flat=True).get(pk=run_id)
    )
    run = rows.select_for_update(of=("self",), no_key=True).filter(pk=run_id, claim=claim).first()
    if run is None:
        raise Overtaken()
    return agent, run
