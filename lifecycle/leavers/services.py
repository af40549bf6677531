"""Every write about leavers.

Who changes anything here holds people first, then agents in their order, then cases.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from django.db import transaction
from django.db.models import Q

from governance.kernel import clock
from governance.kernel.errors import GovernanceError, Invalid, NotFound
from lifecycle.cases import kinds
from lifecycle.cases import services as cases
from lifecycle.cases.errors import CaseClosed
from lifecycle.cases.rules import due_of
from lifecycle.decommissioning.answers import end_by_answer
from lifecycle.leavers import permissions, rules, selectors, telling
from lifecycle.models import Case, CaseKind, CaseState
from registry import services as register
from registry.enums import Employment
from registry.models import Agent, Person
from registry.permissions import Actor, Automatic
from registry.rules import EDITABLE, cannot_answer
from registry.services.saving import locked

LEAVERS = Automatic("leavers")
ACCEPTED, ENDED, CAME_BACK = "accepted", "ended_at_once", "came_back"


# What the register tells of


def flag_agents(person: Person, by: Actor) -> list[Case]:
    """Open a case for each agent of someone who leaves. What is open already stays as it is.

    Nothing is asked where the end of an agent is ordered.
    """
    now, opened = clock.now(), []
    for agent in _held_agents(person):
        case = _open(agent, person, by, now)
        if case is None:
            continue
        if case.opened_at == now:
            opened.append(case)
        if person.employment == Employment.LEFT:
            _note_left(case, by, now)
    telling.tell_opened(person, opened, now)
    return opened


def _held_agents(person: Person) -> list[Agent]:
    """Their agents, and those that they are asked to take over, held in one order."""
    offered = Q(cases__proposed_owner=person, cases__state=CaseState.OPEN)
    wanted = Agent.objects.filter(Q(owner=person) | offered).values("pk")
    rows = Agent.objects.select_for_update(of=("self",), no_key=True).filter(pk__in=wanted)
    held = rows.select_related("owner__manager", "backup_owner").order_by("pk")
    return [each for each in held if each.owner_id == person.pk and each.state in EDITABLE]


def _open(agent: Agent, person: Person, by: Actor, now: datetime) -> Case | None:
    found = agent.cases.filter(kind=CaseKind.LEAVER, state=CaseState.OPEN).first()
    if found is not None:
        return found
    offered = selectors.next_owner(agent, ())
    case = cases.open_case(
        agent=agent,
        kind=CaseKind.LEAVER,
        by=by,
        due=due_of(person, rules.DAYS, now),
        about={"person": person.pid, "source": by.pid},
        proposed_owner=offered,
        now=now,
    )
    if case and offered:
        cases.note(case, f"offered:{offered.pid}:1", by=LEAVERS, now=now, to=offered.pid)
    return case


def _note_left(case: Case, by: Actor, now: datetime) -> None:
    """From here on its agent gets nothing; the clock goes on."""
    if not case.events.filter(what="left").exists():
        cases.note(case, "left", by=by, now=now)


def drop_cases(person: Person, by: Actor) -> int:
    """They stay: nothing is asked about their agents any more."""
    held = _held_agents(person)
    rows = selectors.open_cases().filter(agent__in=held).order_by("agent")
    for case in rows:
        cases.close_case(case_id=case.pk, outcome=CAME_BACK, by=by, state=CaseState.DROPPED)
    return len(rows)


def ask_others(person: Person, by: Actor) -> None:
    """Whom somebody else's agents were offered to cannot take them any more."""
    if not cannot_answer(person):
        return
    rows = Case.objects.filter(proposed_owner=person, state=CaseState.OPEN).order_by("agent")
    for pk in list(rows.values_list("pk", flat=True)):
        case = cases.locked_case(pk)
        _note_once(case, "gone", person, by)
        _offer_next(case, LEAVERS)


def offer_again(case_id: int, now: datetime) -> bool:
    """Ask somebody where nobody is asked, or who was asked cannot answer any more."""
    case = cases.locked_case(case_id)
    asked = case.proposed_owner
    if not case.is_open or (asked and not cannot_answer(asked)):
        return False
    if asked:
        _note_once(case, "gone", asked, LEAVERS)
    return _offer_next(case, LEAVERS) or bool(asked)


def close_of_transferred(agent: Agent, by: Actor) -> None:
    """It belongs to somebody who stays: nothing is asked any more."""
    if agent.owner.employment != Employment.EMPLOYED:
        return
    kinds = [CaseKind.LEAVER, CaseKind.MOVER]
    rows = agent.cases.filter(kind__in=kinds, state=CaseState.OPEN)
    for pk in list(rows.values_list("pk", flat=True)):
        cases.close_case(case_id=pk, outcome=ACCEPTED, by=by)


# What people answer


@transaction.atomic
def accept(*, case_id: int, by: Person) -> Case:
    """Take an agent over. It is theirs from the commit on."""
    by = locked(Person, "person", pk=by.pk)
    case = _open_case(case_id)
    permissions.check_can_accept(case, by)
    register.take_over_agent(
        agent_id=case.agent_id,
        from_pid=case.agent.owner.pid,
        by=by,
        offered_by=case.proposed_by or LEAVERS,
    )
    case.refresh_from_db()
    return case


@transaction.atomic
def refuse(*, case_id: int, by: Person, reason: str) -> Case:
    """Say no, with the reason; the next one is asked."""
    case = _open_case(case_id)
    permissions.check_can_refuse(case, by)
    if not reason.strip():
        raise Invalid("Say why, so that others know.", fields={"reason": ["Say why."]})
    _note_once(case, "refused", by, by, reason.strip())
    _offer_next(case, LEAVERS)
    telling.tell_refused(case, by)
    return case


@transaction.atomic
def name_owner(*, case_id: int, to: Person, by: Person, reason: str = "") -> Case:
    """Have somebody else be asked. Nobody names themself, and nothing is theirs before they say."""
    to = locked(Person, "person", pk=to.pk)
    case = _open_case(case_id)
    permissions.check_can_name(case, by)
    if to.pk == by.pk:
        raise Invalid("Someone else must name you.", fields={"to": ["Name somebody else."]})
    if case.proposed_owner_id == to.pk:
        return case
    if sentence := register.why_cannot_own(case.agent, to):
        raise Invalid(sentence, fields={"to": [sentence]})
    _offer(case, to, by, reason)
    return case


@transaction.atomic
def end_agent(*, case_id: int, by: Person, reason: str) -> Case:
    """End the agent: now, or once those who rely on it know."""
    case = _open_case(case_id)
    permissions.check_can_end(case, by)
    if not reason.strip():
        raise Invalid("Say why it ends.", fields={"reason": ["Say why it ends."]})
    kind = CaseKind(case.kind)
    end_by_answer(agent=case.agent, kind=kind, by=by, reason=reason, outcome=ENDED)
    case.refresh_from_db()
    return case


def _open_case(case_id: int) -> Case:
    case = cases.locked_case(case_id)
    if case.kind not in {CaseKind.LEAVER, CaseKind.MOVER}:
        raise NotFound("There is no such case.")
    if not case.is_open:
        raise CaseClosed()
    return case


def _offer_next(case: Case, by: Actor) -> bool:
    """The next who may own it; nobody, where that is so, and security is told.

    A mover is still here: who else is asked, they say themself.
    """
    leaves = case.kind == CaseKind.LEAVER
    to = selectors.next_owner(case.agent, selectors.refused_in(case)) if leaves else None
    if to is not None:
        _offer(case, to, by)
        return True
    if case.proposed_owner_id is not None:
        case.proposed_owner = case.proposed_by = None
        case.save(update_fields=["proposed_owner", "proposed_by"])
        if leaves:
            telling.tell_nobody(case)
    return False


def _offer(case: Case, to: Person, by: Actor, reason: str = "") -> None:
    case.proposed_owner = to
    case.proposed_by = by if isinstance(by, Person) else None
    case.save(update_fields=["proposed_owner", "proposed_by"])
    _note_once(case, "offered", to, by, reason.strip())
    telling.tell_offered(case, to)


def _note_once(case: Case, what: str, about: Person, by: Actor, text: str = "") -> None:
    """What may happen several times has a number at its end."""
    many = case.events.filter(what__startswith=f"{what}:").count() + 1
    now = clock.now()
    cases.note(case, f"{what}:{about.pid}:{many}", by=by, now=now, text=text, to=about.pid)


# Many at once


def answer_many(
    *, case_ids: Sequence[int], word: str, by: Person, reason: str = ""
) -> tuple[list[Case], dict[int, str]]:
    """The same answer to several, each in a transaction of its own: who was answered, what not."""
    done, left = [], {}
    for pk in sorted(set(case_ids)):
        try:
            done.append(answer_one(case_id=pk, word=word, by=by, reason=reason))
        except GovernanceError as error:
            left[pk] = error.message
    return done, left


def answer_one(*, case_id: int, word: str, by: Person, reason: str = "") -> Case:
    """Accept, refuse or end; `NotFound` for another word."""
    if word == "accept":
        return accept(case_id=case_id, by=by)
    if word == "refuse":
        return refuse(case_id=case_id, by=by, reason=reason)
    if word == "end":
        return end_agent(case_id=case_id, by=by, reason=reason)
    raise NotFound()


def place_of(case: Case) -> str:
    """The page on which a case is answered."""
    return kinds.of(case).place(case)
