"""Reads of runs."""

from __future__ import annotations

from datetime import datetime

from django.db.models import Q, QuerySet

from lifecycle.models.provisioning import OPEN, ProvisioningRun
from registry.models import Agent


def due_runs(now: datetime) -> QuerySet[ProvisioningRun]:
    """Open runs that nobody works on and whose next try is due, those due longest first."""
    free = Q(claimed_until__isnull=True) | Q(claimed_until__lt=now)
    return ProvisioningRun.objects.filter(free, state__in=OPEN, next_try_at__lte=now).order_by(
        "next_try_at", "pk"
    )


def newest_run(agent: Agent) -> ProvisioningRun | None:
    """The last time that the agent went live, with its steps."""
    return agent.provisioning_runs.prefetch_related("steps").first()
