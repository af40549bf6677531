"""Who changes templates."""

from __future__ import annotations

from governance.kernel.errors import NotAllowed
from registry.enums import GroupName, Tier
from registry.models import Person, ProposedChange
from registry.permissions import OPERATORS, in_group

PROPOSERS = frozenset({*OPERATORS, GroupName.DPO})


def check_can_propose_templates(by: Person) -> None:
    """Write another version of a template."""
    if not in_group(by, *PROPOSERS):
        raise NotAllowed("Only security, the DPO and platform admins may propose templates.")


def check_can_retire_templates(by: Person) -> None:
    """Take a template out of force, which only narrows."""
    if not in_group(by, GroupName.SECURITY, GroupName.DPO):
        raise NotAllowed("Only security and the DPO may retire a template.")


def check_who_agrees(change: ProposedChange, by: Person) -> None:
    """The signatories of the tier up to which the template is approved.

    Up to confidential that is security. For restricted it is security and the DPO, two people:
    one of them proposes, the other agrees.
    """
    tier = Tier(change.after["approved_tier"])
    if tier != Tier.RESTRICTED:
        if not in_group(by, GroupName.SECURITY):
            raise NotAllowed("Only security may agree to a template.")
        return
    pair = (change.proposed_by, by)
    for one, other in (pair, pair[::-1]):
        if in_group(one, GroupName.SECURITY) and in_group(other, GroupName.DPO):
            return
    raise NotAllowed(
        "A template for restricted data needs security and the DPO: one proposes it, the other "
        "agrees."
    )
