"""Reads of runs."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from django.db.models import QuerySet

from audit.enums import Kind
from audit.models import Record
from governance.kernel.errors import Invalid
from lifecycle import claims
from lifecycle.models.provisioning import OPEN, ProvisioningRun
from registry.models import Agent, Tool


def due_runs(now: datetime) -> QuerySet[ProvisioningRun]:
    """Open runs that nobody works on and whose next try is due, those due longest first."""
    return ProvisioningRun.objects.filter(
        claims.free(now), state__in=OPEN, next_try_at__lte=now
    ).order_by("next_try_at", "pk")


def newest_run(agent: Agent) -> ProvisioningRun | None:
    """The last time that the agent went live, with its steps."""
    return agent.provisioning_runs.prefetch_related("steps").first()


def first_decision(agent: Agent, run: ProvisioningRun | None) -> Record | None:
    """The first decision about the agent since it went live, from the record."""
    since = run.started_at if run else agent.activated_at
    if since is None:
        return None
    rows = Record.objects.filter(kind=Kind.DECISION, agent=agent.slug, at__gte=since)
    return rows.order_by("at", "id").first()


def tools_named(names: Sequence[str]) -> list[Tool]:
    """The tools of these names; `Invalid` says which are not on the register."""
    found = {tool.name: tool for tool in Tool.objects.filter(name__in=names)}
    if lost := [name for name in names if name not in found]:
        sentence = f"Not on the register: {', '.join(name[:80] for name in lost[:5])}."
        raise Invalid(sentence, fields={"tools": [sentence]})
    return list(found.values())
