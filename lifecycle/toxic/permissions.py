"""Who answers findings."""

from __future__ import annotations

from governance.kernel.errors import NotAllowed
from lifecycle.models import ToxicFinding, ToxicSplit
from registry.enums import GroupName
from registry.models import Person
from registry.permissions import in_group


def check_can_answer(finding: ToxicFinding, by: Person) -> None:
    """Choose what is done about it: who answers for the agents, and security."""
    if not (_answers_for(finding, by) or in_group(by, GroupName.SECURITY)):
        raise NotAllowed(
            f"Only {owner_of(finding)}, who owns it, a backup owner and security may answer this."
        )


def check_can_undo_split(split: ToxicSplit, by: Person) -> None:
    """Take a split back while both rows are drafts."""
    check_can_answer(split.finding, by)


def owner_of(finding: ToxicFinding) -> Person:
    """Whose agents it is about."""
    if finding.agent is not None:
        return finding.agent.owner
    assert finding.owner is not None  # noqa: S101  a constraint holds it
    return finding.owner


def _answers_for(finding: ToxicFinding, by: Person) -> bool:
    named = {finding.owner_id}
    if finding.agent is not None:
        named |= {finding.agent.owner_id, finding.agent.backup_owner_id}
    return by.may_act and by.pk in named
