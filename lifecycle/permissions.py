"""Who may see and stop what, beyond the register's own rules."""

from __future__ import annotations

from governance.kernel import emergency
from governance.kernel.errors import NotAllowed
from lifecycle.models import BreakGlass
from registry.enums import GroupName
from registry.models import Person
from registry.permissions import OPERATORS, in_group

# Who reviews what was done under emergency access.
REVIEWERS = (GroupName.SECURITY, GroupName.AUDITOR)


def check_can_see_sweeps(by: Person) -> None:
    """See whether the clocks of the installation work, and what could not be sent."""
    if not in_group(by, *OPERATORS):
        raise NotAllowed("Only security and platform admins see the sweeps.")


def check_can_suspend_many(by: Person) -> None:
    """Stop every agent of an owner, a system or a tool, or all of them."""
    if not (in_group(by, GroupName.SECURITY) or emergency.is_of(by.pid)):
        raise NotAllowed("Only security may suspend many agents at once.")


def check_can_run_campaigns(by: Person) -> None:
    """Ask people to take what runs onto the register, and see what they answer."""
    if not in_group(by, *OPERATORS):
        raise NotAllowed("Only security and platform admins run campaigns.")


def check_can_see_habits(by: Person) -> None:
    """See how fast others decide, and how often they say yes."""
    if not in_group(by, GroupName.SECURITY):
        raise NotAllowed("Only security sees how people decide.")


def check_can_run_selftest(by: Person) -> None:
    """Try whether anybody gets a key without a row."""
    if not in_group(by, *OPERATORS, GroupName.AUDITOR):
        raise NotAllowed("Only security, auditors and platform admins run the self-test.")


def check_can_use_inventories(by: Person) -> None:
    """Read the register as an inventory, and plan or apply one: a plan shows what is there."""
    if not by.reads_everything:
        raise NotAllowed(
            "Only security, the DPO, auditors and platform admins use inventories: "
            "they show the whole register."
        )


# Emergency access


def check_can_have_emergency(by: Person) -> None:
    """Have emergency access, or be the second person of it."""
    if not in_group(by, *OPERATORS, GroupName.DPO):
        raise NotAllowed("Only security, the DPO and platform admins may open emergency access.")


def check_can_seal_codes(by: Person) -> None:
    """Make sealed codes, as one of two."""
    if not in_group(by, *OPERATORS):
        raise NotAllowed("Only security and platform admins may seal codes.")


def check_can_see_emergencies(by: Person) -> None:
    """Read what was done under emergency access."""
    if not by.reads_everything:
        raise NotAllowed("Only security, the DPO, auditors and platform admins read this.")


def check_can_close_emergency(used: BreakGlass, by: Person) -> None:
    """Review it: security or an auditor, and neither who used it nor who let them."""
    if by.pk in (used.person_id, used.second_id):
        raise NotAllowed("You had a part in this, so someone else must review it.")
    if not in_group(by, *REVIEWERS):
        raise NotAllowed("Only security and auditors may review emergency access.")
