"""Every write about idle agents: the question to their owner, and the three answers to it."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime

from django.db import transaction

from governance.kernel import clock
from governance.kernel.errors import Conflict, Invalid, NotFound
from lifecycle.cases import services as cases
from lifecycle.cases.errors import CaseClosed
from lifecycle.cases.rules import due_of
from lifecycle.decommissioning.answers import end_by_answer
from lifecycle.idle import permissions, selectors
from lifecycle.idle.rules import ANSWER_DAYS, NARROWED, RENEWED
from lifecycle.models.cases import Case, CaseKind
from registry import permissions as register_permissions
from registry import services as register
from registry.models import Agent, Person, Tool
from registry.permissions import Automatic
from registry.services.saving import locked

ACTOR = Automatic("idle")
ENDED = "ended"


class NothingToAsk(Conflict):
    """Nobody is asked about this agent: it is not idle, or was answered for already."""

    code = "not_idle"


@transaction.atomic
def flag_idle(*, agent_id: int, now: datetime) -> Case | None:
    """Ask the owner of an idle agent whether it is still needed; None where it is not idle.

    The days to answer count from the day on which the question is put, however late a sweep is;
    the true day on which the agent fell idle stands in the case.
    """
    locked(Agent, "agent", pk=agent_id)
    agent = selectors.watched().select_related("owner").filter(pk=agent_id).first()
    if agent is None or selectors.case_of(agent):
        return None
    silence = selectors.silence_of(agent)
    if not silence.is_idle(now):
        return None
    return cases.open_case(
        agent=agent,
        kind=CaseKind.IDLE,
        by=ACTOR,
        due=due_of(agent.owner, ANSWER_DAYS, now),
        about={
            "silent_since": silence.since.isoformat(),
            "idle_at": silence.idle_at.isoformat(),
            "never_fired": silence.never_fired,
        },
    )


@transaction.atomic
def renew_idle(*, agent_id: int, by: Person, reason: str) -> Case:
    """Keep an idle agent as it is, and say why. Its clock begins anew."""
    if not reason.strip():
        raise Invalid("Say why it is still needed.", fields={"reason": ["Say why it is needed."]})
    case = _asked(agent_id, by)
    return cases.close_case(case_id=case.pk, outcome=RENEWED, by=by, reason=reason)


@transaction.atomic
def narrow_idle(*, agent_id: int, drop: Collection[str], by: Person, reason: str = "") -> Case:
    """Keep an idle agent with fewer tools. Its clock begins anew."""
    case = _asked(agent_id, by)
    register_permissions.check_can_narrow_agent(case.agent, by)
    _check_dropped(case.agent, drop)
    for tool in Tool.objects.filter(name__in=drop).order_by("name"):
        register.remove_allowlist_entry(agent_id=agent_id, tool=tool, by=by)
    said = reason or f"Without {', '.join(sorted(drop))}."
    return cases.close_case(case_id=case.pk, outcome=NARROWED, by=by, reason=said)


def _check_dropped(agent: Agent, drop: Collection[str]) -> None:
    held = set(agent.allowlist.values_list("tool__name", flat=True))
    if not drop:
        raise Invalid("Tick what it is to lose, or renew it.", fields={"drop": ["Tick a tool."]})
    if unknown := set(drop) - held:
        raise Conflict(f"{agent.slug} does not hold {min(unknown)} any more. Look again.")
    if set(drop) == held:
        raise Invalid("Nothing would be left: end it instead.", fields={"drop": ["Keep a tool."]})


@transaction.atomic
def end_idle(*, agent_id: int, by: Person, reason: str) -> Case:
    """End an idle agent: now, or once those who rely on it know."""
    case = _asked(agent_id, by)
    said = reason.strip() or "It is idle, and nobody needs it."
    end_by_answer(agent=case.agent, kind=CaseKind.IDLE, by=by, reason=said, outcome=ENDED)
    case.refresh_from_db()
    return case


def _asked(agent_id: int, by: Person) -> Case:
    """The open case, held; only for who may answer it."""
    agent = Agent.objects.select_related("owner", "backup_owner").filter(pk=agent_id).first()
    if agent is None:
        raise NotFound("There is no such agent.")
    permissions.check_can_answer(agent, by)
    found = selectors.case_of(agent)
    if found is None:
        raise NothingToAsk()
    case = cases.locked_case(found.pk)
    # It may have gone to another owner meanwhile.
    permissions.check_can_answer(case.agent, by)
    if not case.is_open or clock.now() >= case.due_at:
        raise CaseClosed()
    return case
