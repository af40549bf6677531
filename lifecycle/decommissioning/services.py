"""What people do about the end of an agent: order it, know of it, take the order back."""

from __future__ import annotations

from datetime import datetime
from functools import partial
from typing import Any
from uuid import UUID

from django.db import transaction

from audit import services as audit
from audit.enums import Kind
from governance.kernel import business_days, clock
from governance.kernel.errors import GovernanceError, Invalid
from lifecycle.cases import services as cases
from lifecycle.decommissioning import ending, reading, rules, tasks, telling
from lifecycle.decommissioning.errors import (
    AlreadyOrdered,
    DependentsWait,
    NotEnded,
    NothingOrdered,
    NothingToAcknowledge,
)
from lifecycle.models import EndAcknowledgement, EndOrder, EndRun, EndStep
from lifecycle.models.decommissioning import OrderState
from registry import permissions
from registry import rules as register_rules
from registry import services as register
from registry.enums import AgentState
from registry.errors import WrongState
from registry.identity import providers
from registry.models import Agent, Person
from registry.models.agents import LIVE
from registry.permissions import Actor
from registry.services.saving import locked

MOST = 500


@transaction.atomic
def end(*, agent_id: int, by: Person, reason: str) -> EndRun | EndOrder:
    """End an agent: at once, or once everyone who relies on it knows, or their time is over.

    Suspending it needs nobody and waits for nobody. Raises `AlreadyOrdered`.
    """
    agent = locked(Agent, "agent", pk=agent_id)
    permissions.check_can_decommission_agent(agent, by)
    said = _reason(reason)
    _check_may_end(agent)
    return _order(agent, by, said) if waits(agent, by) else _begin(agent, by, said)


def waits(agent: Agent, by: Person) -> bool:
    """Whether others must know before this person's word ends the agent."""
    return agent.state in LIVE and bool(reading.waited_for(agent, by))


def _reason(reason: str) -> str:
    said = reason.strip()
    if not 0 < len(said) <= MOST or "\0" in said:
        sentence = f"Say why, in at most {MOST} characters."
        raise Invalid(sentence, fields={"reason": [sentence]})
    return said


def _check_may_end(agent: Agent) -> None:
    if not register_rules.may_move(agent.state, AgentState.DECOMMISSIONING):
        raise WrongState(f"{agent.slug} is {agent.state_word}, so it cannot be ended.")


def _begin(agent: Agent, by: Person, reason: str) -> EndRun:
    register.begin_decommissioning(agent_id=agent.pk, by=by, reason=reason)
    return EndRun.objects.get(agent=agent)


def _order(agent: Agent, by: Person, reason: str) -> EndOrder:
    if reading.open_order(agent) is not None:
        raise AlreadyOrdered()
    now = clock.now()
    begins = rules.begins_at(str(register.fresh_reach(agent).tier), agent.owner, now)
    order = EndOrder.objects.create(
        agent=agent,
        by=by,
        reason=reason,
        at=now,
        begins_at=begins,
        begins_on=business_days.date_in(agent.owner.zone, begins),
    )
    _record("end_ordered", agent, by, begins_on=order.begins_on.isoformat())
    cases.close_of_ordered(agent, by, reason)
    telling.ask_dependents(order)
    return order


@transaction.atomic
def acknowledge(*, agent_id: int, by: Person) -> list[EndAcknowledgement]:
    """Say that one knows: for oneself and for every agent that one answers for.

    The last word that was waited for begins the end. Said twice, it is said once.
    """
    agent = locked(Agent, "agent", pk=agent_id)
    permissions.check_may_act(by)
    order, run = reading.open_order(agent), reading.run_of(agent)
    if order is None and run is None:
        raise NothingOrdered(f"The end of {agent.slug} is not ordered.")
    made = [_word(agent, each.person, each.dependent, by) for each in reading.mine(agent, by)]
    if not made and not _said_before(agent, by):
        raise NothingToAcknowledge()
    if order is not None and not reading.waited_for(agent, order.by):
        begin_order(order_id=order.pk)
    return made


def _word(
    agent: Agent, person: Person | None, dependent: Agent | None, by: Person
) -> EndAcknowledgement:
    word = EndAcknowledgement.objects.create(
        agent=agent, person=person, dependent=dependent, by=by, at=clock.now()
    )
    _record("end_acknowledged", agent, by, dependent=dependent.slug if dependent else "")
    return word


def _said_before(agent: Agent, by: Person) -> bool:
    return agent.acknowledgements.filter(by=by).exists()


@transaction.atomic
def withdraw(*, agent_id: int, by: Person) -> EndOrder:
    """Take an order back before it has begun: whoever may end the agent."""
    agent = locked(Agent, "agent", pk=agent_id)
    permissions.check_can_decommission_agent(agent, by)
    order = reading.open_order(agent)
    if order is None:
        raise NothingOrdered()
    _drop(order, f"{by} took it back.", by)
    return order


@transaction.atomic
def begin_order(*, order_id: int) -> bool:
    """Begin what was ordered, if it waits still and nobody is waited for; whether it began.

    Where whoever ordered it may not end the agent any more, or nobody can, the order falls away.
    """
    agent_id = EndOrder.objects.values_list("agent", flat=True).get(pk=order_id)
    agent = locked(Agent, "agent", pk=agent_id)
    order = reading.open_order(agent)
    if order is None or order.pk != order_id:
        return False
    try:
        with transaction.atomic():
            register.begin_decommissioning(agent_id=agent.pk, by=order.by, reason=order.reason)
    except DependentsWait:
        return False
    except GovernanceError as error:
        _drop(order, error.message, order.by)
        return False
    return True


def _drop(order: EndOrder, why: str, by: Actor) -> None:
    _close(order, OrderState.WITHDRAWN, why)
    _record("end_withdrawn", order.agent, by)
    telling.tell_withdrawn(order)
    order.agent.acknowledgements.all().delete()
    cases.ask_again(order.agent, by, order.at)


def _close(order: EndOrder, state: OrderState, why: str = "") -> None:
    order.state, order.closed_at, order.why = state, clock.now(), why[:300]
    order.save(update_fields=["state", "closed_at", "why"])


@transaction.atomic
def try_again(*, agent_id: int, by: Person) -> EndRun:
    """Have what is not ended yet tried now: whoever may suspend the agent."""
    agent = locked(Agent, "agent", pk=agent_id)
    permissions.check_can_suspend_agent(agent, by)
    return _try_now(agent)


@transaction.atomic
def confirm_client(*, agent_id: int, provider: str, by: Person, reason: str) -> EndRun:
    """Say that a client at an identity provider is gone there, though it does not answer."""
    agent = locked(Agent, "agent", pk=agent_id)
    providers.confirm_deleted(agent_id=agent_id, provider=provider, by=by, reason=reason)
    return _try_now(agent)


def _try_now(agent: Agent) -> EndRun:
    run = EndRun.objects.select_for_update(of=("self",), no_key=True).filter(agent=agent).first()
    if run is None:
        raise NotEnded()
    run.next_try_at = min(run.next_try_at, clock.now())
    run.save(update_fields=["next_try_at"])
    transaction.on_commit(partial(tasks.set_off, run.pk))
    return run


# What follows where a row begins to end, by whichever way


def begin(agent: Agent, before: AgentState, by: Actor, reason: str, record: UUID) -> EndRun:
    """Make the run with its steps, in the transaction from which on the agent gets nothing.

    A person's wish waits for those who rely on a live agent; a clock's does not: they had the
    days that it gave. Raises `DependentsWait`.
    """
    now = clock.now()
    order = reading.open_order(agent)
    _check_they_know(agent, before, by, order, now)
    tier = str(register.fresh_reach(agent).tier)
    run = EndRun.objects.create(
        agent=agent,
        by=by if isinstance(by, Person) else None,
        actor=by.pid,
        reason=reason[:MOST],
        tier=tier,
        started_at=now,
        patience_at=rules.patience_until(agent.owner, now),
        destroy_at=rules.destroy_at(tier, now),
        next_try_at=now,
        record=record,
    )
    EndStep.objects.bulk_create(
        EndStep(run=run, position=place, name=step.name, title=step.title)
        for place, step in enumerate(ending.in_order())
    )
    if order is not None:
        _close(order, OrderState.BEGUN)
    transaction.on_commit(partial(tasks.set_off, run.pk))
    return run


def _check_they_know(
    agent: Agent, before: AgentState, by: Actor, order: EndOrder | None, now: datetime
) -> None:
    if not isinstance(by, Person) or before not in LIVE:
        return
    if order is not None and order.begins_at <= now:
        return
    if waited := reading.waited_for(agent, order.by if order else by):
        names = ", ".join(sorted({str(each.speaks) for each in waited})[:5])
        raise DependentsWait(
            f"{names} must know first that {agent.slug} ends, or have had their days for it. "
            "Order its end on its page: they are told. Suspending it waits for nobody."
        )


def _record(did: str, agent: Agent, by: Actor, **more: Any) -> Any:
    return audit.record(
        kind=Kind.REGISTRY,
        actor=by.pid,
        agent=agent.slug,
        resource=f"agent:{agent.slug}",
        asked={"did": did, **more},
    )
