"""Who may see and stop what, beyond the register's own rules."""

from __future__ import annotations

from governance.kernel.errors import NotAllowed
from registry.enums import GroupName
from registry.models import Person
from registry.permissions import OPERATORS, in_group


def check_can_see_sweeps(by: Person) -> None:
    """See whether the clocks of the installation work, and what could not be sent."""
    if not in_group(by, *OPERATORS):
        raise NotAllowed("Only security and platform admins see the sweeps.")


def check_can_suspend_many(by: Person) -> None:
    """Stop every agent of an owner, a system or a tool, or all of them."""
    if not in_group(by, GroupName.SECURITY):
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
