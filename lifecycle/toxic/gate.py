"""What keeps a row from going live: what comes together across the agents of its owner.

What a row completes by itself is signed for in its review (`registry.signing`). What it completes
with others has no row of its own that could be reviewed, so it is answered first.
"""

from __future__ import annotations

from lifecycle.models import ToxicFinding
from lifecycle.models.toxic import FindingAnswer, FindingScope, FindingState
from lifecycle.toxic.answering import ELEVATE_KIND
from lifecycle.toxic.checking import digest_of
from lifecycle.toxic.errors import AnswerFirst
from lifecycle.toxic.findings import Found, found_across, junctions, reaches_of_owner
from registry.enums import ChangeState
from registry.models import Agent, ProposedChange
from registry.reach import catalogue


def require_answered(agent: Agent) -> None:
    """Raise `AnswerFirst` where this row and others of its owner can put together what is toxic."""
    for each in found_across(reaches_of_owner(agent.owner), catalogue(), junctions()):
        if agent.slug in each.agents and each.blocks and not _is_answered(each, agent):
            others = ", ".join(slug for slug in each.agents if slug != agent.slug)
            raise AnswerFirst(
                f"{agent.slug} and {others} can put together {each.slug}: {each.reason} "
                "Answer that on the page of toxic findings first, then try again."
            )


def _is_answered(found: Found, agent: Agent) -> bool:
    """Whether exactly this was answered; \"reviewed\" counts once security agreed to it."""
    row = ToxicFinding.objects.filter(
        owner=agent.owner, scope=FindingScope.OWNER, combination=found.slug
    ).first()
    if row is None or row.state != FindingState.ANSWERED or row.digest != digest_of(found):
        return False
    if row.answer != FindingAnswer.ELEVATE:
        return True
    agreed = ProposedChange.objects.filter(
        kind=ELEVATE_KIND, target=str(row.pk), state=ChangeState.AGREED
    )
    return any(change.after["digest"] == row.digest for change in agreed)
