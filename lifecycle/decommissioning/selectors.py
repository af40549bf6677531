"""Reads for pages and the API: who sees what of an end."""

from __future__ import annotations

from typing import Any

from django.db.models import Q

from lifecycle.decommissioning import reading
from lifecycle.decommissioning.errors import NotEnded
from lifecycle.models import EndCertificate, Succession
from registry.models import Agent, CredentialReference, Person
from registry.models.credentials import MAY_BE_LIVE


def agent_for(person: Person, slug: str) -> Agent | None:
    """The agent, for who sees it, and for who is asked whether they know that it ends."""
    seen = Agent.objects.visible_to(person).values("pk")
    asked = Q(dependents__person=person)
    for role in ("owner", "backup_owner"):
        asked |= Q(**{f"dependents__dependent__{role}": person})
    rows = Agent.objects.select_related("owner", "backup_owner", "model_provider")
    if not person.may_act:
        return None
    return rows.filter(Q(pk__in=seen) | asked, slug=slug).distinct().first()


def sees(person: Person, agent: Agent) -> bool:
    """Whether this person sees all of the agent, not only that it ends."""
    return Agent.objects.visible_to(person).filter(pk=agent.pk).exists()


def live_credentials(agent: Agent) -> list[CredentialReference]:
    """Those that may still open something, each with a page on which one says that it does not."""
    rows = agent.credentials.filter(MAY_BE_LIVE)
    return list(rows.select_related("system").order_by("reference"))


def certificate_of(agent: Agent, edition: int | None = None) -> EndCertificate:
    """One edition, or the newest. Raises `NotEnded`."""
    rows = EndCertificate.objects.filter(run__agent=agent).select_related("run")
    found = rows.filter(edition=edition) if edition else rows.order_by("-edition")
    certificate = found.first()
    if certificate is None:
        raise NotEnded("There is no such certificate: it is issued when the row is closed.")
    return certificate


def ending_of(agent: Agent) -> dict[str, Any]:
    """What the agent's page says of its end, and of what it was before."""
    return {"order": reading.open_order(agent), "after": succession_of(agent)}


def succession_of(agent: Agent) -> Succession | None:
    """What this agent is registered after, if it is."""
    return Succession.objects.filter(later=agent).select_related("earlier", "by").first()
