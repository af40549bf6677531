"""A live agent that everyone has signed for, combination included, is reviewed already."""

from __future__ import annotations

from collections.abc import Sequence

from authz.models import ToxicCombination
from governance.kernel import clock
from lifecycle.models import ToxicFinding
from lifecycle.models.toxic import FindingAnswer, FindingScope, FindingState
from lifecycle.toxic.recording import ACTOR, record_finding
from registry import clearing
from registry.enums import AgentState
from registry.models import Agent, Clearance, Person
from registry.reach import Reach
from registry.selectors import words_for

REASON = "Everyone who must has signed this agent, this combination included."


def note_reviewed(owner: Person, reached: Sequence[tuple[Agent, Reach]]) -> None:
    """Answer what waits about agents that went live with all signatures for it."""
    live = {agent.pk: (agent, reach) for agent, reach in reached if _is_live(agent)}
    rows = ToxicFinding.objects.filter(
        agent__in=live, scope=FindingScope.AGENT, state=FindingState.OPEN, only_listed=False
    )
    for row in rows.select_related("agent"):
        agent, reach = live[row.agent_id or 0]
        words = _signed_since(row, agent, reach)
        if words and not clearing.missing(agent, reach, words):
            _note(row, words[0])


def _is_live(agent: Agent) -> bool:
    return agent.state in {AgentState.ACTIVE, AgentState.SUSPENDED}


def _signed_since(row: ToxicFinding, agent: Agent, reach: Reach) -> list[Clearance]:
    """Words for this very reach, of people who could see the combination as it is, newest first."""
    changed = ToxicCombination.history.filter(slug=row.combination).order_by("-history_id").first()
    if changed is None:
        return []
    words = words_for(agent, reach.digest).exclude(basis=Clearance.Basis.BOOTSTRAP)
    return list(words.filter(at__gte=changed.history_date))


def _note(row: ToxicFinding, word: Clearance) -> None:
    row.state, row.answer, row.answer_reason = FindingState.ANSWERED, FindingAnswer.ELEVATE, REASON
    row.answered_by, row.answered_at = word.by, clock.now()
    row.save(
        update_fields=["state", "answer", "answer_reason", "answered_by", "answered_at"],
    )
    record_finding("toxic_answered", row, ACTOR, answer=str(FindingAnswer.ELEVATE))
