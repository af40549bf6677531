"""Nothing goes live with what it can put together with others of its owner, before an answer."""

from __future__ import annotations

import pytest

from governance.kernel import clock
from lifecycle.models import ToxicFinding
from lifecycle.toxic import answering, checking
from lifecycle.toxic.errors import AnswerFirst
from registry import changes, services
from registry.enums import AgentState
from registry.models import Agent, ProposedChange
from tests.factories.registry import make_draft, make_person, make_system, make_tool, security

pytestmark = pytest.mark.django_db


@pytest.fixture
def pair() -> tuple[Agent, Agent]:
    """Two internal drafts of one owner: what the first reads it leaves where the second reads."""
    owner, drive = make_person(), make_system()
    rows = []
    for category, effect in (("hr-directory", "write"), ("compensation", "read")):
        row = make_draft(owner, make_tool(make_system(categories=[category])))
        services.set_allowlist_entry(
            agent_id=row.pk, tool=make_tool(drive, effect=effect), by=owner
        )
        rows.append(Agent.objects.get(pk=row.pk))
    return rows[0], rows[1]


def finding(agent: Agent) -> ToxicFinding:
    for key in checking.due(clock.now()):
        checking.check_owner(key, clock.now())
    return ToxicFinding.objects.get(owner=agent.owner)


def attest(agent: Agent) -> str:
    services.attest_agent(agent_id=agent.pk, by=agent.owner)
    return Agent.objects.get(pk=agent.pk).state


def test_unanswered_it_stays_a_draft(pair: tuple[Agent, Agent]) -> None:
    with pytest.raises(AnswerFirst, match="salary-per-person"):
        attest(pair[1])

    assert Agent.objects.get(pk=pair[1].pk).state == AgentState.DRAFT


def test_answered_it_goes_live(pair: tuple[Agent, Agent]) -> None:
    row = finding(pair[1])
    answering.aggregate(finding_id=row.pk, by=pair[1].owner, reason="It stays with HR.")

    assert attest(pair[1]) == AgentState.ACTIVE


def test_a_review_counts_once_security_has_agreed(pair: tuple[Agent, Agent]) -> None:
    answering.elevate(finding_id=finding(pair[1]).pk, by=pair[1].owner, reason="Payroll needs it.")
    with pytest.raises(AnswerFirst):
        attest(pair[1])

    change = ProposedChange.objects.get(kind="toxic.elevate")
    changes.agree(change_id=change.pk, by=security())

    assert attest(pair[1]) == AgentState.ACTIVE


def test_what_was_answered_counts_for_exactly_that(pair: tuple[Agent, Agent]) -> None:
    owner = pair[1].owner
    answering.aggregate(finding_id=finding(pair[1]).pk, by=owner, reason="It stays with HR.")
    more = make_tool(make_system(categories=["compensation"]))
    services.set_allowlist_entry(agent_id=pair[1].pk, tool=more, by=owner)

    with pytest.raises(AnswerFirst):
        attest(pair[1])
