"""What the record tells of calls in somebody's name: all of theirs, and through whose hands."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client

from audit import selectors
from audit.asked import AuditScope
from audit.models import Record
from audit.selectors import PageRequest, TrailFilters, parse_body
from authz.decide import decide
from authz.explain_access import explain_access
from authz.services import grants
from registry.enums import GroupName
from registry.models import Person
from tests.factories.authz import Desk
from tests.factories.registry import make_person
from tests.lifecycle.worlds_acting import Acting, acts_for_somebody, another_for, hands_over

pytestmark = pytest.mark.django_db
EVERYTHING = AuditScope(everything=True)


@pytest.fixture(autouse=True)
def _no_second_factor(settings: Any) -> None:
    settings.MUSTER_APPROVER_MFA = False


@pytest.fixture
def acting() -> Acting:
    return acts_for_somebody(name="Ana Lund")


def called(desk: Desk, **ask: Any) -> Record:
    """The entry of one call."""
    (answer,) = decide([desk.ask(**ask)], desk.caller)
    return selectors.get_record(answer.id, scope=EVERYTHING)


def on_it(acting: Acting) -> tuple[Desk, Record]:
    """A call of another agent on what the first one handed over to it, for the user."""
    other = another_for(acting.desk, pattern="impersonation")
    tool = acting.desk.tool.name
    link = hands_over(acting.desk, other.agent, tool, user=acting.user.pid)
    return other, called(other, tool=tool, user=acting.user.pid, delegation=str(link.pk))


def in_the_name_of(person: Person) -> list[Record]:
    page = selectors.search(TrailFilters(user=person.pid), PageRequest(), scope=EVERYTHING)
    return page.records


def test_a_person_finds_every_call_grant_and_delegation_in_their_name(acting: Acting) -> None:
    own = called(acting.desk, user=acting.user.pid)
    _, handed_on = on_it(acting)
    called(acting.desk)
    grants.end_grant(grant_id=acting.grant.pk, by=acting.user)

    found = in_the_name_of(acting.user)

    assert {own.pk, handed_on.pk} <= {record.pk for record in found}
    dids = [parse_body(record).get("asked", {}).get("did", "decided") for record in found]
    # They are told of their grant as well.
    assert sorted(dids) == [
        *("decided", "decided", "delegation_given", "grant_ended", "grant_given", "notice_made"),
    ]


def test_the_entry_of_a_call_names_every_agent_that_handed_it_on(acting: Acting) -> None:
    _, record = on_it(acting)

    body = parse_body(record)

    assert (record.effect, record.user) == ("allow", acting.user.pid)
    assert body["judged"]["givers"] == [acting.desk.agent.slug]
    assert "givers" not in parse_body(called(acting.desk, user=acting.user.pid))["judged"]


def test_its_page_draws_the_chain_with_the_persons_name(acting: Acting, client: Client) -> None:
    other, record = on_it(acting)
    client.force_login(make_person(GroupName.AUDITOR))

    page = client.get(f"/trail/{record.pk}/", secure=True).content.decode()
    given = next(each for each in in_the_name_of(acting.user) if each.kind == "access")
    told = client.get(f"/trail/{given.pk}/", secure=True).content.decode()
    trail = client.get(f"/trail/?user={acting.user.pid}", secure=True).content.decode()

    first, last = acting.desk.agent.slug, other.agent.slug
    tool = acting.desk.tool.name
    assert f"Ana Lund lets it act, {first} hands over, {last} calls, {tool}" in page
    assert f"{first} handed over to {last}" in told
    assert f"{first} may act for a person" in trail
    assert f"{first} handed over to {last}" in trail


def test_an_agents_own_call_has_no_chain(client: Client, acting: Acting) -> None:
    record = called(another_for(acting.desk))
    client.force_login(make_person(GroupName.AUDITOR))

    page = client.get(f"/trail/{record.pk}/", secure=True).content.decode()

    assert "In whose name" not in page


def test_an_incident_tells_the_chain_nearest_first(acting: Acting, client: Client) -> None:
    other, record = on_it(acting)
    client.force_login(make_person(GroupName.AUDITOR))

    page = client.get(f"/incident/?handle=record:{record.pk}", secure=True).content.decode()
    rest = client.get(f"/api/v1/incidents?handle=record:{record.pk}", secure=True).json()

    callers = rest["incident"]["who_caused_it"]["callers"]
    (caller,) = [each for each in callers if each["agent"] == other.agent.slug]
    assert (caller["acting_for"], caller["chain"]) == ("Ana Lund", [acting.desk.agent.slug])
    assert "Ana Lund lets it act" in page


# In words


@pytest.mark.parametrize(
    ("body", "title", "lede"),
    [
        (
            {"agent": "desk", "user": "p_1", "asked": {"did": "token_issued", "grant": "g"}},
            "desk got a token that acts for a person",
            "",
        ),
        (
            {"agent": "desk", "asked": {"did": "token_exchanged", "delegation": "d"}},
            "desk got a token that acts on what was handed over",
            "",
        ),
        (
            {"agent": "desk", "user": "p_1", "asked": {"did": "code_replayed", "grant": "g"}},
            "A code of desk came a second time",
            "Whoever sent it may have read it on its way: every token of that consent has ended.",
        ),
        (
            {"agent": "desk", "asked": {"did": "result_refused", "from": "w", "codes": ["a", "b"]}},
            "desk took in no answer from w",
            "It is not what the row of desk declares: a, b.",
        ),
        (
            {"agent": "desk", "asked": {"did": "result_accepted", "from": "w", "untrusted": True}},
            "desk took in an answer from w",
            "Its run counts what lay behind the answer as read, as untrusted.",
        ),
        (
            {"agent": "desk", "asked": {"did": "beforehand_ended", "role": "care"}},
            "desk is let act for nobody beforehand any more",
            "What was approved for the role care has ended, with each grant of it.",
        ),
        (
            {
                "agent": "desk",
                "asked": {
                    "did": "beforehand_agreed",
                    "role": "care",
                    "tools": ["mail.draft", "crm.read"],
                    "days": 30,
                },
            },
            "desk is let act for the people of a role",
            (
                "Two people agreed that it may call mail.draft and crm.read for those who hold "
                "the role care, 30 days each. Each of them can end it."
            ),
        ),
    ],
)
def test_each_entry_is_told_in_a_sentence(body: dict[str, Any], title: str, lede: str) -> None:
    told = explain_access(body)

    assert (told.title, told.lede) == (title, lede)
