"""Reads of the kill switch: what is stopped, and what an order would stop."""

from __future__ import annotations

from datetime import datetime

from django.db.models import Q, QuerySet

from governance.kernel.errors import NotFound
from lifecycle.models import Family, MassSuspension
from registry.enums import AgentState
from registry.models import Agent, Person, System, Tool


def suspended(person: Person) -> QuerySet[Agent]:
    """What is suspended and this person may see, the newest first."""
    stopped = Agent.objects.visible_to(person).filter(state=AgentState.SUSPENDED)
    return stopped.select_related("owner", "backup_owner", "state_changed_by").order_by(
        "-state_changed_at", "slug"
    )


def family_members(family: str, target: str) -> QuerySet[Agent]:
    """The agents of a family that run now. `NotFound` where its owner, system or tool is not."""
    active = Agent.objects.filter(state=AgentState.ACTIVE).order_by("slug")
    if family == Family.ALL:
        return active
    if not _exists(family, target):
        raise NotFound(f"There is no {family} {target[:80]}.")
    return active.filter(_within(family, target)).distinct()


def _exists(family: str, target: str) -> bool:
    if family == Family.OWNER:
        return Person.objects.filter(pid=target).exists()
    if family == Family.SYSTEM:
        return System.objects.filter(slug=target).exists()
    return Tool.objects.filter(name=target).exists()


def _within(family: str, target: str) -> Q:
    if family == Family.OWNER:
        return Q(owner__pid=target)
    if family == Family.SYSTEM:
        tools = Tool.objects.filter(Q(system__slug=target) | Q(accesses__system__slug=target))
        return Q(allowlist__tool__in=tools) | Q(model_provider__slug=target)
    return Q(allowlist__tool__name=target)


def left_of(order: MassSuspension) -> QuerySet[Agent]:
    """Who of the family still runs, and did when the order was given.

    What was started again since is not stopped by it a second time.
    """
    return family_members(order.family, order.target).filter(
        Q(state_changed_at__isnull=True) | Q(state_changed_at__lte=order.at)
    )


def open_orders() -> QuerySet[MassSuspension]:
    """Orders that are not carried out in full."""
    return MassSuspension.objects.filter(ended_at__isnull=True).order_by("at", "pk")


def due_of_order(order: MassSuspension) -> list[str]:
    """Every agent that an order still has to stop, then its end."""
    left = left_of(order).values_list("pk", flat=True)
    return [*(f"{order.pk}:{pk}" for pk in left), f"{order.pk}:"]


def due_of_orders(now: datetime) -> list[str]:
    """What every open order still has to do."""
    return [key for order in open_orders() for key in due_of_order(order)]
