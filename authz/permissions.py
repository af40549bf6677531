"""Who may change who may do what. For people only; agents are decided in `authz.engine`."""

from __future__ import annotations

from datetime import datetime, timedelta

from django.conf import settings
from django.db.models import Q

from authz.errors import NoSuchGrant, SecondFactorNeeded
from authz.models import Grant, Hold
from governance.kernel.errors import NotAllowed
from registry import selectors
from registry.enums import AgentState, GroupName
from registry.errors import OwnMatter
from registry.models import Agent, Person, Tool
from registry.permissions import OPERATORS, can, check_may_act, in_group

SIMULATORS = frozenset(
    {GroupName.SECURITY, GroupName.DPO, GroupName.AUDITOR, GroupName.PLATFORM_ADMIN}
)


def check_can_change_roles(by: Person) -> None:
    """Make roles, say what they grant, give them to people."""
    if not in_group(by, *OPERATORS):
        raise NotAllowed("Only security and platform admins may change roles.")


def check_can_change_roles_of(agent: Agent, by: Person) -> None:
    """Say which roles an agent holds: what security then looks at in its review."""
    if not (by.may_act and by.pk == agent.owner_id) and not in_group(by, *OPERATORS):
        raise NotAllowed(
            f"Only its owner {agent.owner}, security and platform admins may change "
            f"the roles of {agent.slug}."
        )


def check_can_propose_policies(by: Person) -> None:
    """Write policies and switch them off."""
    if not in_group(by, *OPERATORS):
        raise NotAllowed("Only security and platform admins may change policies.")


def check_can_change_relationships(by: Person) -> None:
    """Say how things are related, which policies ask about."""
    if not in_group(by, *OPERATORS):
        raise NotAllowed("Only security and platform admins may change relationships.")


def check_can_preview(by: Person) -> None:
    """Compare a change with recorded decisions: reading every one of them is part of it."""
    if not by.audit_scope().everything:
        raise NotAllowed(
            "Only security, the DPO and auditors may read every decision, so only they may preview."
        )


def check_can_simulate_anything(by: Person) -> None:
    """Ask what would be decided for anybody."""
    if not in_group(by, *SIMULATORS):
        raise NotAllowed(
            "Only security, the DPO, auditors and platform admins may simulate any request; "
            "owners may for their own agents."
        )


def check_can_simulate_for(agent: Agent, by: Person) -> None:
    """Ask what would be decided for one agent: its owner and who stands in may as well."""
    theirs = by.may_act and by.pk in (agent.owner_id, agent.backup_owner_id)
    if not theirs and not in_group(by, *SIMULATORS):
        raise NotAllowed(
            f"Only its owner {agent.owner}, security, the DPO, auditors and platform admins may "
            f"simulate {agent.slug}."
        )


def check_can_change_prices(by: Person) -> None:
    """Set rates of currencies, prices of models and meters: proposed by one, agreed by another."""
    if not in_group(by, *OPERATORS):
        raise NotAllowed("Only security and platform admins may set rates and prices.")


def check_can_see_limits(agent: Agent, by: Person) -> None:
    """See how much of its limits an agent has used: who answers for it, and who sees every row."""
    theirs = by.may_act and by.pk in (agent.owner_id, agent.backup_owner_id)
    if not theirs and not by.reads_everything:
        raise NotAllowed(
            f"Only its owner {agent.owner}, its backup owner, security and auditors may see how "
            f"much of its limits {agent.slug} has used."
        )


def check_can_see_coverage(by: Person) -> None:
    """See what no policy governs and nobody uses."""
    if not in_group(by, *SIMULATORS):
        raise NotAllowed(
            "Only security, the DPO, auditors and platform admins see what is covered by policies."
        )


def check_can_change_signatures(by: Person) -> None:
    """Say which texts no parameter may hold."""
    if not in_group(by, GroupName.SECURITY):
        raise NotAllowed("Only security may change denied signatures.")


def check_can_change_pdps(by: Person) -> None:
    """Say which decision points of others are asked."""
    if not in_group(by, GroupName.SECURITY):
        raise NotAllowed("Only security may change which decision points outside are asked.")


def check_can_change_toxic(by: Person) -> None:
    """Say which data is dangerous together."""
    if not in_group(by, *OPERATORS):
        raise NotAllowed("Only security and platform admins may change toxic combinations.")


# Holds

FRESH = timedelta(minutes=15)


def check_can_approve_hold(
    hold: Hold, by: Person, second_factor_at: datetime | None, now: datetime
) -> None:
    """Someone who was asked, is still of those who are, and has no part in it.

    The database says the same once more (`authz_guard_vote`).
    """
    check_may_act(by)
    if _has_part_in(hold, by.pid):
        raise OwnMatter(
            f"You answer for {hold.agent}, did while this waited, or it acts for you. "
            "Someone else must decide this."
        )
    if by.pid not in hold.asked_of:
        raise NotAllowed(
            "You were not among those who could decide this when it was asked. "
            "One of them must, or it is asked again."
        )
    if not _may_still_approve(hold, by):
        raise NotAllowed(f"Only {_who_approves(hold)} may approve this.")
    _check_second_factor(hold, second_factor_at, now)


def may_approve(hold: Hold, by: Person, second_factor_at: datetime | None, now: datetime) -> str:
    """The sentence for which `by` may not approve; empty if they may."""
    return can(check_can_approve_hold, hold, by, second_factor_at, now)


def check_can_reject_hold(hold: Hold, by: Person) -> None:
    """Narrowing needs one person: who may approve it, security, and who answers for the agent."""
    check_may_act(by)
    asked = by.pid in hold.asked_of and _may_still_approve(hold, by)
    if not (asked or in_group(by, GroupName.SECURITY) or _answers_for(hold.agent, by.pid)):
        raise NotAllowed(
            f"Only {_who_approves(hold)}, security and the owner of {hold.agent} may reject this."
        )


def check_agent_can_approve_hold(hold: Hold, agent: str) -> None:
    """An approver agent that the gate names, active, and of an owner who has no part in it."""
    if hold.is_grant or hold.is_restricted or agent not in hold.agents or agent == hold.agent:
        raise NotAllowed("No agent may approve this. A human must.")
    row = Agent.objects.select_related("owner").filter(slug=agent).first()
    if row is None or row.state != AgentState.ACTIVE or not row.owner.may_act:
        raise NotAllowed(f"{agent} is not active, so it may approve nothing.")
    if _has_part_in(hold, row.owner.pid):
        raise NotAllowed(f"{agent} has an owner who has a part in this. A human must decide it.")


def _has_part_in(hold: Hold, pid: str) -> bool:
    return pid in hold.barred or pid == hold.user or _answers_for(hold.agent, pid)


def _answers_for(agent: str, pid: str) -> bool:
    theirs = Q(owner__pid=pid) | Q(backup_owner__pid=pid)
    return Agent.objects.filter(theirs, slug=agent).exists()


def _may_still_approve(hold: Hold, by: Person) -> bool:
    groups = frozenset(hold.groups) & by.group_names
    if groups - {GroupName.SOURCE_OWNER}:
        return True
    owns = Tool.objects.filter(name=hold.tool, system__owner=by).exists()
    return GroupName.SOURCE_OWNER in groups and owns


def _who_approves(hold: Hold) -> str:
    words = {GroupName.SOURCE_OWNER: "the owner of its system"}
    return ", ".join(
        words.get(GroupName(group), GroupName(group).label) for group in sorted(hold.groups)
    )


def _check_second_factor(hold: Hold, at: datetime | None, now: datetime) -> None:
    wanted = settings.MUSTER_APPROVER_MFA and hold.needs_second_factor
    if not wanted or selectors.is_demo():
        return
    if at is None or at < now - FRESH:
        raise SecondFactorNeeded()


def check_can_give_grants(by: Person) -> None:
    """Let an agent act for oneself. Nobody gives a grant for somebody else."""
    check_may_act(by)


def check_can_end_grant(grant: Grant, by: Person) -> None:
    """End a grant: whoever gave it, and security. Nobody else learns that there is one."""
    check_may_act(by)
    if grant.person_id != by.pk and not in_group(by, GroupName.SECURITY):
        raise NoSuchGrant()
