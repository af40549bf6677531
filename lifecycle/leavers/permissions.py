"""Who may answer what becomes of a leaver's agent, and who sees it."""

from __future__ import annotations

from governance.kernel.errors import NotAllowed
from lifecycle.leavers import selectors
from lifecycle.models import Case
from registry import permissions as register
from registry.models import Person
from registry.permissions import OPERATORS, in_group


def check_can_accept(case: Case, by: Person) -> None:
    """Only who is asked takes an agent over: it is never theirs silently."""
    register.check_may_act(by)
    if case.proposed_owner_id != by.pk:
        asked = case.proposed_owner or "nobody yet"
        raise NotAllowed(
            f"Only who is asked may take {case.agent.slug} over, and that is {asked}. "
            "Someone who may can name you."
        )


def check_can_refuse(case: Case, by: Person) -> None:
    """Say no to owning it."""
    check_can_accept(case, by)


def check_can_name(case: Case, by: Person) -> None:
    """Have somebody else be asked: who is asked, who leaves, their manager, operators."""
    register.check_may_act(by)
    agent = case.agent
    near = {case.proposed_owner_id, agent.owner_id, agent.backup_owner_id, agent.owner.manager_id}
    if by.pk not in near and not in_group(by, *OPERATORS):
        raise NotAllowed(
            f"Only who is asked, {agent.owner}, who stands in, their manager, security and "
            f"platform admins may name who takes {agent.slug} over."
        )


def check_can_end(case: Case, by: Person) -> None:
    """End the agent at once."""
    register.check_can_decommission_agent(case.agent, by)


def check_can_see_leaver(person: Person, by: Person) -> None:
    """See what becomes of someone's agents: readers, they themself, and whom a case concerns."""
    register.check_may_act(by)
    if by.reads_everything or by.pk in {person.pk, person.manager_id}:
        return
    mine = selectors.concerning(by)
    if not selectors.cases_about(person).filter(pk__in=mine.values("pk")).exists():
        raise NotAllowed(
            "Only who leaves, their manager, those who are asked, security, the DPO, auditors "
            "and platform admins see this."
        )
