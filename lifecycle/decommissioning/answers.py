"""Somebody's answer to what is asked about an agent is that it ends."""

from __future__ import annotations

from lifecycle.cases import services as cases
from lifecycle.decommissioning import reading, rules, services
from lifecycle.decommissioning.reading import Dependent
from lifecycle.models import CaseKind, CaseState, EndOrder
from registry.models import Agent, Person

# How many of those who are waited for a sentence names.
NAMED = 3


def end_by_answer(*, agent: Agent, kind: CaseKind, by: Person, reason: str, outcome: str) -> None:
    """End a locked agent as the answer to its case of this kind, where one is open.

    The case is closed with `outcome` where it ends now, and as ordered where others must know
    first. Either way every other question about the agent is closed with it.
    """
    case = agent.cases.filter(kind=kind, state=CaseState.OPEN).first()
    if case is not None and not services.waits(agent, by):
        cases.close_case(case_id=case.pk, outcome=outcome, by=by, reason=reason)
    services.end(agent_id=agent.pk, by=by, reason=reason[: services.MOST])


def end_if_not_ordered(*, agent: Agent, by: Person, reason: str) -> None:
    """End a locked agent. Where that is ordered already it stays at that."""
    if reading.open_order(agent) is None:
        services.end(agent_id=agent.pk, by=by, reason=reason[: services.MOST])


def what_follows(agent: Agent) -> str:
    """What happens next to an agent that somebody has ended, in a sentence or two."""
    order = reading.open_order(agent)
    if order is None:
        return f"{agent.slug} gets nothing from now on. What it holds is ended step by step."
    return _waits(order, reading.waited_for(agent, order.by))


def _waits(order: EndOrder, waited: list[Dependent]) -> str:
    know = "knows" if len(waited) == 1 else "know"
    return (
        f"{order.agent.slug} ends once {_who(waited)} {know}, and on {order.begins_on:%d %b %Y} "
        "at the latest. They are told. To stop it before, suspend it."
    )


def _who(waited: list[Dependent]) -> str:
    names = sorted({each.name for each in waited})
    shown, more = names[:NAMED], len(names) - NAMED
    if more > 0:
        return f"{', '.join(shown)} and {rules.counted(more, 'other')} who rely on it"
    return " and ".join(filter(None, [", ".join(shown[:-1]), *shown[-1:]]))
