"""Who may. `check_can_x` raises `NotAllowed` with the sentence that says who can.

For people only; what agents may is decided in `authz.engine`. Rights come from groups and from
being the owner of something, never from `is_superuser`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from django.db.models import Q

from governance.kernel import emergency
from governance.kernel.errors import NotAllowed
from registry import absences, ceilings, rules, signing
from registry.enums import Employment, GroupName
from registry.models import Agent, Clearance, Person, System
from registry.reach import Reach

OPERATORS = frozenset({GroupName.SECURITY, GroupName.PLATFORM_ADMIN})
# Groups that agree, clear or operate: they sign in with a second factor outside the demo.
APPROVERS = frozenset(
    {GroupName.SECURITY, GroupName.DPO, GroupName.SOURCE_OWNER, GroupName.PLATFORM_ADMIN}
)
# Who looks at an agent again, in time.
GROUPS_THAT_LOOK = frozenset({GroupName.SECURITY, GroupName.DPO})
OWN_FIELDS = frozenset({"name", "chat_handle", "zone", "calendar"})


@dataclass(frozen=True, slots=True)
class Automatic:
    """A part of Muster that acts by itself: a sweep, a spend cap. Only ever narrows."""

    name: str

    @property
    def pid(self) -> str:
        """How the record names it."""
        return f"system:{self.name}"

    def __str__(self) -> str:
        return f"Muster ({self.name})"


Actor = Person | Automatic


def can(check: Callable[..., None], *args: Any) -> str:
    """The sentence for which `check` refuses, for a disabled control; empty if it does not."""
    try:
        check(*args)
    except NotAllowed as refusal:
        return refusal.message
    return ""


def groups_of(person: Person) -> frozenset[str]:
    """The names of the person's groups."""
    return person.group_names


def in_group(person: Person, *groups: str) -> bool:
    """Whether the person may act and is in one of `groups`; never under emergency access."""
    if emergency.is_of(person.pid):
        return False
    return person.may_act and not groups_of(person).isdisjoint(groups)


def _require(condition: bool, sentence: str) -> None:
    if not condition:
        raise NotAllowed(sentence)


def check_may_act(by: Person) -> None:
    """Someone who has left, or was switched off, does nothing any more.

    Nor does emergency access, but for what it is for.
    """
    _require(not emergency.is_of(by.pid), emergency.REFUSED)
    _require(by.may_act, f"{by} has left or may not sign in, so this cannot be done as them.")


def _is(by: Actor, person: Person | None) -> bool:
    if not isinstance(by, Person) or emergency.is_of(by.pid):
        return False
    return person is not None and by.may_act and by.pk == person.pk


def _in(by: Actor, *groups: str) -> bool:
    return isinstance(by, Person) and in_group(by, *groups)


# People, systems, tools, gateways


def check_can_declare_absence(person: Person, by: Person) -> None:
    """Hand on one's own duty; operators for those who cannot any more."""
    _require(
        _is(by, person) or _in(by, *OPERATORS),
        f"Only {person}, security and platform admins may say who stands in for {person}.",
    )


def check_can_change_people(by: Person) -> None:
    """Create people, say that they leave, put them in groups."""
    _require(in_group(by, *OPERATORS), "Only security and platform admins may change people.")


def check_can_change_person(person: Person, by: Person, fields: frozenset[str]) -> None:
    """Operators change everyone; others how they themselves are called and reached."""
    _require(
        in_group(by, *OPERATORS) or (_is(by, person) and fields <= OWN_FIELDS),
        "You may change your own name, chat handle, time zone and calendar. "
        "Security and platform admins may change the rest.",
    )


def check_can_change_address(person: Person, by: Person) -> None:
    """An address is a way in. That of someone with rights is changed by nobody else alone: they
    leave their groups first, and two people put them back."""
    _require(
        by.pk == person.pk or groups_of(person).isdisjoint(APPROVERS | {GroupName.AUDITOR}),
        f"{person} has rights here, and whoever has their address comes in as them. Take them out "
        "of their groups first, or have their directory say the new one.",
    )


def check_can_add_system(by: Person) -> None:
    """Put a system on the register."""
    _require(
        in_group(by, *OPERATORS, GroupName.SOURCE_OWNER),
        "Only source owners, security and platform admins may add systems.",
    )


def check_can_change_system(system: System, by: Person) -> None:
    """Change a system and what lies in it."""
    _require(
        in_group(by, *OPERATORS) or _owns_source(by, system),
        f"Only {_owner_of(system)}, security and platform admins may change {system.slug}.",
    )


def _owns_source(by: Person, system: System) -> bool:
    """Guardian's right on the one system counts only within the group that two people fill."""
    return in_group(by, GroupName.SOURCE_OWNER) and by.has_perm("registry.change_system", system)


def _owner_of(system: System) -> str:
    return f"its owner {system.owner}" if system.owner else "its owner (nobody yet)"


def check_can_change_tool(system: System, by: Person) -> None:
    """Add or change a tool of `system`."""
    _require(
        in_group(by, *OPERATORS) or _owns_source(by, system),
        f"Only {_owner_of(system)}, security and platform admins "
        f"may change the tools of {system.slug}.",
    )


def check_can_change_gateways(by: Person) -> None:
    """Register enforcement points."""
    _require(in_group(by, *OPERATORS), "Only security and platform admins may change gateways.")


def check_can_change_resource_types(by: Person) -> None:
    """Declare what policies may speak about."""
    _require(
        in_group(by, *OPERATORS), "Only security and platform admins may change resource types."
    )


# Agents


def check_can_view_agent(agent: Agent, by: Person) -> None:
    """See one agent; the same rule as `Agent.objects.visible_to`."""
    _require(
        Agent.objects.visible_to(by).filter(pk=agent.pk).exists(),
        f"Only {agent.owner}, the backup owner, owners of its systems, security, the DPO "
        f"and auditors see {agent.slug}.",
    )


def check_can_draft_agent(owner: Person, by: Person) -> None:
    """Anyone registers their own agents; operators for others too."""
    _require(
        _is(by, owner) or _in(by, *OPERATORS),
        "You may register agents that you own. Security and platform admins may name others.",
    )


def check_can_change_agent(agent: Agent, by: Person) -> None:
    """Fill in an agent's row."""
    _require(
        _is(by, agent.owner) or _in(by, *OPERATORS),
        f"Only its owner {agent.owner}, security and platform admins may change {agent.slug}.",
    )


def check_can_narrow_agent(agent: Agent, by: Person) -> None:
    """Take from an agent what it holds: whoever answers for it, and operators."""
    _require(
        answers_for(agent, by) or _in(by, *OPERATORS),
        f"Only its owner {agent.owner}, the backup owner, security and platform admins may take "
        f"something from {agent.slug}.",
    )


def check_can_renew_agent(agent: Agent, by: Person) -> None:
    """Say that an agent is still needed. Whoever answers for it does, and nobody else."""
    _require(
        answers_for(agent, by),
        f"Only its owner {agent.owner} and the backup owner may renew {agent.slug}.",
    )


def check_can_set_dates(agent: Agent, by: Actor) -> None:
    """Set when an agent is renewed or looked at next: who answers for it, security, Muster."""
    _require(
        isinstance(by, Automatic) or answers_for(agent, by) or _in(by, *GROUPS_THAT_LOOK),
        f"Only its owner {agent.owner}, the backup owner, security and the DPO may set the dates "
        f"of {agent.slug}.",
    )


def check_can_submit_agent(agent: Agent, by: Person) -> None:
    """Ask for a review, or take that back."""
    check_can_change_agent(agent, by)


def check_can_attest_agent(agent: Agent, reach: Reach, by: Person) -> None:
    """The owner's own word, up to internal and where nothing else asks for another's."""
    over = ceilings.above(agent)
    _require(
        rules.owner_attests(reach.tier) and not reach.combinations,
        f"{agent.slug} is {reach.tier}: security must clear it, the owner's word is not enough.",
    )
    _require(
        not over,
        f"{agent.slug} asks for {', '.join(over)}: security must clear it, the owner's word "
        "is not enough above the ceilings of this installation.",
    )
    _require(
        reach.signers == (signing.OWNER,),
        f"{' '.join(why for step in reach.steps for why in step.why)} So "
        f"{signing.whom(reach.steps)} must clear {agent.slug}, the owner's word is not enough.",
    )
    _require(_is(by, agent.owner), f"Only its owner {agent.owner} may attest {agent.slug}.")


def check_can_use_template(agent: Agent, by: Person) -> None:
    """Have an approved template clear an agent: its owner, who answers for what it became."""
    _require(
        _is(by, agent.owner), f"Only its owner {agent.owner} may have {agent.slug} cleared so."
    )


GROUPS_THAT_CLEAR = {
    Clearance.Basis.SECURITY: (GroupName.SECURITY, "security"),
    Clearance.Basis.DPO: (GroupName.DPO, "the data protection officer"),
}


def check_can_clear_agent(
    agent: Agent, basis: str, reach: Reach, by: Person, system: System | None = None
) -> None:
    """Say that an agent may run with what it reaches."""
    if basis == Clearance.Basis.ATTESTATION:
        check_can_attest_agent(agent, reach, by)
    else:
        check_can_sign_agent(agent, basis, by, system)


def check_can_sign_agent(
    agent: Agent, basis: str, by: Person, system: System | None = None
) -> None:
    """Give the word of security, the DPO or the owner of a source. Nobody does for their own."""
    if basis == Clearance.Basis.SOURCE_OWNER:
        _check_clears_source(agent, system, by)
    else:
        group, word = GROUPS_THAT_CLEAR[Clearance.Basis(basis)]
        _require(_in(by, group), f"Only {word} may clear {agent.slug} on this basis.")
    _require(
        not answers_for(agent, by),
        f"You own {agent.slug}, or stand in for its owner, so someone else must clear it.",
    )


def _check_clears_source(agent: Agent, system: System | None, by: Person) -> None:
    """The owner of the source or who stands in; without one, a second person in security."""
    if system is None:
        raise NotAllowed("Say which system you give your word for.")
    owner = system.owner
    if owner is None or not absences.signs_for_source(owner) or answers_for(agent, owner):
        _require(
            _in(by, GroupName.SECURITY),
            f"{system.slug} has no owner who may sign for {agent.slug}, so only a second person "
            "in security may.",
        )
        return
    deputy = absences.stand_in_of(owner, {agent.owner_id, agent.backup_owner_id or 0})
    besides = f" and {deputy}, who stands in," if deputy else ""
    _require(
        _is(by, owner) or _is(by, deputy),
        f"Only {owner}, who owns {system.slug},{besides} may say yes for it.",
    )


def answers_for(agent: Agent, by: Actor) -> bool:
    """Whether this person owns the agent or stands in for its owner."""
    return _is(by, agent.owner) or _is(by, agent.backup_owner)


def check_can_activate_agent(agent: Agent, reach: Reach, by: Person) -> None:
    """Let a cleared agent run: its owner where they attest, security, or who signed it."""
    attests = rules.owner_attests(reach.tier)
    if attests and _is(by, agent.owner):
        return
    _require(
        (_in(by, GroupName.SECURITY) or _signed(agent, reach, by)) and not answers_for(agent, by),
        f"{agent.slug} is {reach.tier}: "
        + (f"its owner {agent.owner} or " if attests else "")
        + "someone in security who does not own it may activate it.",
    )


def _signed(agent: Agent, reach: Reach, by: Person) -> bool:
    if not by.may_act:
        return False
    return agent.clearances.filter(by=by, reach_digest=reach.digest, voided="").exists()


def check_can_suspend_agent(agent: Agent, by: Actor) -> None:
    """Stop an agent at once: who answers for it or for what it reaches, operators, Muster."""
    _require(
        isinstance(by, Automatic)
        or answers_for(agent, by)
        or _in(by, *OPERATORS)
        or emergency.is_of(by.pid)
        or _owns_what_it_reaches(agent, by),
        f"Only its owner {agent.owner}, the backup owner, owners of its systems, security and "
        f"platform admins may suspend {agent.slug}.",
    )


def _owns_what_it_reaches(agent: Agent, by: Person) -> bool:
    if not in_group(by, GroupName.SOURCE_OWNER):
        return False
    entries = agent.allowlist.filter(
        Q(tool__system__owner=by) | Q(tool__accesses__system__owner=by)
    )
    return entries.exists()


def check_can_resume_agent(agent: Agent, reach: Reach, by: Person) -> None:
    """Let a suspended agent run again: security, or the owner who suspended it themself."""
    own = (
        _is(by, agent.owner) and _is(by, agent.state_changed_by) and rules.owner_attests(reach.tier)
    )
    _require(
        own or (_in(by, GroupName.SECURITY) and not answers_for(agent, by)),
        f"Someone in security who does not own {agent.slug} may resume it; "
        "its owner may where they suspended it and it is at most internal.",
    )


def check_can_transfer_agent(agent: Agent, by: Person) -> None:
    """Offer an agent to another owner; the new owner agrees by themself."""
    _require(
        _is(by, agent.owner) or _is(by, agent.owner.manager) or _in(by, *OPERATORS),
        f"Only its owner {agent.owner}, their manager, security and platform admins "
        f"may hand {agent.slug} over.",
    )


def check_can_decommission_agent(agent: Agent, by: Actor) -> None:
    """End an agent for good: once its owner leaves, also who stands in and their manager."""
    leaves = agent.owner.employment != Employment.EMPLOYED
    _require(
        isinstance(by, Automatic)
        or _is(by, agent.owner)
        or _in(by, GroupName.SECURITY)
        or (leaves and (_is(by, agent.backup_owner) or _is(by, agent.owner.manager))),
        f"Only its owner {agent.owner} and security may decommission {agent.slug}.",
    )


def check_can_decide_callers(by: Person) -> None:
    """Adopt or block who asked without standing on the register."""
    _require(
        in_group(by, *OPERATORS),
        "Only security and platform admins may adopt or block unregistered callers.",
    )


def check_can_agree(by: Person) -> None:
    """Be the second person of a widening change. Platform admins operate, never approve."""
    _require(in_group(by, GroupName.SECURITY), "Only security may agree to a change that widens.")
