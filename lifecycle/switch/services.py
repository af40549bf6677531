"""Suspending a family: ordered once, carried out agent by agent, each with a record of its own."""

from __future__ import annotations

from datetime import datetime

from django.db import transaction

from audit import services as audit
from audit.enums import Kind
from governance.kernel import clock
from governance.kernel.errors import Conflict, Invalid
from lifecycle.models import Family, MassSuspension
from lifecycle.permissions import check_can_suspend_many
from lifecycle.switch import selectors
from registry import services as register
from registry.models import Person

# So many are stopped while the person waits; the sweep stops the rest.
AT_ONCE = 25


@transaction.atomic
def order_suspension(
    *, family: str, target: str, by: Person, reason: str, seen: int | None = None
) -> MassSuspension:
    """Order that every active agent of a family is suspended. Nothing is stopped yet.

    `seen` is how many the person was told; where there are more by now, they look again.
    """
    check_can_suspend_many(by)
    if family not in Family.values:
        raise Invalid("Choose an owner, a system, a tool, or all agents.")
    if not reason.strip():
        raise Invalid("Say why.", fields={"reason": ["Say why."]})
    total = selectors.family_members(family, target).count()
    if seen is not None and total > seen:
        raise Conflict(f"There are {total} agents by now, not {seen}. Look again.")
    order = MassSuspension.objects.create(
        family=family,
        target=target,
        reason=reason.strip()[:500],
        by=by,
        at=clock.now(),
        total=total,
    )
    audit.record(
        kind=Kind.ADMIN,
        actor=by.pid,
        resource=f"suspension:{order.pk}",
        asked={"did": "suspension_ordered", "family": family, "target": target, "agents": total},
        payload={"reason": reason},
    )
    return order


def carry_out(order: MassSuspension) -> None:
    """Stop the first of the family now. What is left, the sweep stops."""
    now = clock.now()
    for key in selectors.due_of_order(order)[: AT_ONCE + 1]:
        with transaction.atomic():
            handle_order(key, now)


@transaction.atomic
def handle_order(key: str | int, now: datetime) -> bool:
    """Stop one agent of an order, or end the order when nothing of it runs any more."""
    order_pk, _, agent_pk = str(key).partition(":")
    orders = MassSuspension.objects.select_related("by").select_for_update(
        of=("self",), no_key=True
    )
    order = orders.filter(pk=order_pk, ended_at__isnull=True).first()
    if order is None:
        return False
    return _stop(order, int(agent_pk)) if agent_pk else _end(order)


def _stop(order: MassSuspension, agent_pk: int) -> bool:
    if not selectors.left_of(order).filter(pk=agent_pk).exists():
        return False
    register.suspend_agent(agent_id=agent_pk, by=order.by, reason=order.reason)
    return True


def _end(order: MassSuspension) -> bool:
    if selectors.left_of(order).exists():
        return False
    order.ended_at = clock.now()
    order.save(update_fields=["ended_at"])
    return True
