"""What a person lets an agent do for them: given, used, ended."""

from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

import pytest
from django.db import IntegrityError, connection, transaction

from audit.models import Record
from authz.decide import Answer, decide
from authz.enums import EndCause, HoldState
from authz.errors import GrantRefused, NoSuchGrant
from authz.models import Grant, Hold
from authz.rights import offer_of
from authz.services import grants
from governance.kernel import clock
from governance.kernel.errors import Invalid, NotAllowed
from registry import services as register
from registry.enums import AgentState, Employment, GroupName, IdentityPattern
from registry.errors import AgentNotActive
from registry.models import AllowlistEntry, Person, Tool
from registry.permissions import Automatic
from tests.factories.authz import Desk, make_desk, make_person, make_tool

pytestmark = pytest.mark.django_db

SMALL = {"properties": {"amount": {"maximum": 1000}}}


@dataclass
class World:
    """A desk whose agent acts for `jane`, who may do what it may and `more`."""

    desk: Desk
    jane: Person
    more: Tool

    def give(self, **changed: Any) -> Grant:
        wanted: dict[str, Any] = {"tools": {self.desk.tool.name: {}}, "by": self.jane}
        return grants.give_grant(agent_id=self.desk.agent.pk, **(wanted | changed))

    def ask(self, **changed: Any) -> Answer:
        (answer,) = decide([self.desk.ask(user=self.jane.pid, **changed)], self.desk.caller)
        return answer

    def code(self, **changed: Any) -> str:
        return self.ask(**changed).decision.code


@pytest.fixture
def world() -> World:
    desk = make_desk(agent_fields={"pattern": IdentityPattern.IMPERSONATION})
    jane, more = make_person(), make_tool(desk.system)
    desk.role.people.add(jane)
    desk.role.tools.add(more)
    return World(desk, jane, more)


def entries(did: str) -> list[Record]:
    return [one for one in Record.objects.all() if f'"did":"{did}"' in bytes(one.body).decode()]


# Given


def test_without_a_grant_the_user_is_asked_for_consent(world: World) -> None:
    answer = world.ask()

    assert answer.decision.code == "consent.none"
    assert answer.decision.remedies == (
        {"kind": "ask_consent", "agent": world.desk.agent.slug, "tool": world.desk.tool.name},
    )


def test_with_a_grant_the_call_goes_on(world: World) -> None:
    world.ask()
    grant = world.give()

    answer = world.ask()

    assert answer.allowed
    assert dict(answer.decision.walk[2].detail) == {"grant": str(grant.pk)}
    (entry,) = entries("grant_given")
    assert (entry.actor, entry.user, entry.agent) == (
        world.jane.pid,
        world.jane.pid,
        world.desk.agent.slug,
    )


def test_a_grant_is_for_its_tools_and_values(world: World) -> None:
    world.give(tools={world.desk.tool.name: SMALL})

    assert world.code() == ""
    assert world.code(parameters={"claim": "CL-1", "amount": 1001}) == "consent.parameters"
    AllowlistEntry.objects.create(agent=world.desk.agent, tool=world.more)
    assert world.code(tool=world.more.name) == "consent.tool"


def test_a_grant_lasts_ninety_days_unless_less_is_said(world: World) -> None:
    now = clock.now()

    assert timedelta(days=89) < world.give().until - now < timedelta(days=91)
    until = now + timedelta(days=7)
    assert world.give(until=until).until == until


def test_a_grant_that_is_over_refuses_before_anything_ends_it(world: World) -> None:
    world.give(until=clock.now() + timedelta(milliseconds=300))
    (answer,) = decide(
        [world.desk.ask(user=world.jane.pid)],
        world.desk.caller,
        now=clock.now() + timedelta(seconds=2),
    )

    assert answer.decision.code == "consent.expired"


@pytest.mark.parametrize("days", [-1, 0, 91])
def test_a_grant_ends_within_its_time(world: World, days: int) -> None:
    with pytest.raises(GrantRefused) as refused:
        world.give(until=clock.now() + timedelta(days=days))

    assert refused.value.code == "grant_until"


def test_a_newer_grant_replaces_the_earlier(world: World) -> None:
    earlier = world.give()
    newer = world.give(tools={world.desk.tool.name: SMALL})

    earlier.refresh_from_db()
    assert (earlier.end_cause, earlier.ended_by) == (EndCause.REPLACED, world.jane)
    assert newer.ended_at is None
    assert world.code(parameters={"claim": "CL-1", "amount": 1001}) == "consent.parameters"


def test_a_grant_names_what_both_may_do(world: World) -> None:
    for tools in ({}, {"gone.tool": {}}, {world.more.name: {}}):
        with pytest.raises(GrantRefused) as refused:
            world.give(tools=tools)
        assert refused.value.code == "grant_tools"


def test_a_grant_is_never_all_that_the_person_may_do(world: World) -> None:
    world.desk.role.tools.remove(world.more)

    with pytest.raises(GrantRefused) as refused:
        world.give()

    assert refused.value.code == "grant_everything"
    assert world.give(tools={world.desk.tool.name: SMALL})


def test_an_agent_that_acts_for_nobody_gets_no_grant() -> None:
    desk, jane = make_desk(), make_person()
    desk.role.people.add(jane)

    with pytest.raises(GrantRefused) as refused:
        grants.give_grant(agent_id=desk.agent.pk, tools={desk.tool.name: {}}, by=jane)

    assert refused.value.code == "grant_pattern"


def test_a_suspended_agent_gets_no_grant(world: World) -> None:
    register.suspend_agent(agent_id=world.desk.agent.pk, by=Automatic("limits"), reason="No.")

    with pytest.raises(AgentNotActive):
        world.give()


def test_nobody_who_left_gives_a_grant(world: World) -> None:
    register.set_employment(
        person_id=world.jane.pk,
        employment=Employment.LEFT,
        last_day=date(2026, 1, 31),
        by=Automatic("test"),
    )
    world.jane.refresh_from_db()

    with pytest.raises(NotAllowed):
        world.give()


@pytest.mark.parametrize("narrowing", [{"type": 5}, {"pattern": "(a"}, {"$ref": "#/nowhere"}])
def test_what_narrows_must_be_a_schema(world: World, narrowing: dict[str, Any]) -> None:
    with pytest.raises(Invalid):
        world.give(tools={world.desk.tool.name: narrowing})


def test_what_is_withheld_is_told(world: World) -> None:
    offer = offer_of(world.jane, world.desk.agent)

    assert [tool.name for tool in offer.may] == [world.desk.tool.name]
    assert [tool.name for tool in offer.withheld] == [world.more.name]
    assert not offer.is_everything


# The user alone


def test_what_the_user_may_not_do_the_agent_may_not_do_for_them(world: World) -> None:
    world.give()
    world.desk.role.people.remove(world.jane)

    answer = world.ask()

    assert answer.decision.code == "role.user_none"


# Ended


def test_an_end_is_known_to_the_next_decision(world: World) -> None:
    grant = world.give()
    assert world.code() == ""

    ended = grants.end_grant(grant_id=grant.pk, by=world.jane)

    assert (ended.end_cause, ended.ended_by) == (EndCause.PERSON, world.jane)
    assert world.code() == "consent.none"
    assert grants.end_grant(grant_id=grant.pk, by=world.jane).ended_at == ended.ended_at
    assert len(entries("grant_ended")) == 1


def test_security_ends_a_grant_and_nobody_else_sees_it(world: World) -> None:
    grant = world.give()

    with pytest.raises(NoSuchGrant):
        grants.end_grant(grant_id=grant.pk, by=world.desk.owner)
    security = make_person(groups=[GroupName.SECURITY])
    assert grants.end_grant(grant_id=grant.pk, by=security).end_cause == EndCause.SECURITY


def test_a_person_ends_all_their_grants_at_once(world: World) -> None:
    world.give()

    assert grants.end_own_grants(by=world.jane) == 1
    assert grants.end_own_grants(by=world.jane) == 0
    assert world.code() == "consent.none"


def test_an_end_refuses_what_waits_in_the_persons_name(world: World) -> None:
    world.desk.tool.gates = {"records": {"above": 0}}
    world.desk.tool.save()
    grant = world.give()
    assert world.ask().decision.effect == "hold"

    grants.end_grant(grant_id=grant.pk, by=world.jane)

    hold = Hold.objects.get()
    assert hold.state == HoldState.REJECTED
    assert "consent" in hold.reason


def test_who_leaves_lets_nobody_act_for_them(world: World) -> None:
    grant = world.give()

    register.set_employment(
        person_id=world.jane.pk,
        employment=Employment.LEFT,
        last_day=date(2026, 1, 31),
        by=Automatic("test"),
    )

    grant.refresh_from_db()
    assert grant.end_cause == EndCause.LEFT
    assert world.code() == "identity.user_left"


def test_what_is_over_is_ended_once(world: World) -> None:
    grant = world.give(until=clock.now() + timedelta(seconds=60))

    assert grants.expire_grants(clock.now()) == 0
    assert grants.expire_grants(grant.until) == 1
    assert grants.expire_grants(grant.until) == 0
    grant.refresh_from_db()
    assert (grant.end_cause, grant.ended_by) == (EndCause.EXPIRED, None)


# The database


@pytest.mark.parametrize(
    "change",
    [
        "DELETE FROM authz_grant",
        "UPDATE authz_grant SET until = until + interval '1 day'",
        "UPDATE authz_grant SET tools = '{}'",
        "UPDATE authz_grant SET person_id = person_id + 1",
        "UPDATE authz_grant SET ended_at = NULL, end_cause = '', ended_by_id = NULL",
    ],
)
def test_nothing_goes_around_what_was_consented_to(world: World, change: str) -> None:
    grant = world.give()
    grants.end_grant(grant_id=grant.pk, by=world.jane)

    with pytest.raises(IntegrityError), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(change)


@pytest.mark.parametrize(
    "changed",
    [
        {"tools": {}},
        {"tools": []},
        {"tools": {"gone.tool": {}}},
        {"until": clock.now() + timedelta(days=400)},
        {"ended_at": clock.now() + timedelta(hours=1), "end_cause": "person"},
    ],
)
def test_no_shell_writes_a_grant_that_no_service_gives(world: World, changed: Any) -> None:
    now = clock.now()
    given = {"tools": {world.desk.tool.name: {}}, "given_at": now} | changed

    with pytest.raises(IntegrityError), transaction.atomic():
        Grant.objects.create(
            id=clock.uuid7(),
            person=world.jane,
            agent=world.desk.agent,
            **({"until": now + timedelta(days=1)} | given),
        )


def test_an_agent_whose_row_is_not_active_acts_for_nobody(world: World) -> None:
    world.give()
    world.desk.agent.refresh_from_db()
    register.suspend_agent(agent_id=world.desk.agent.pk, by=Automatic("limits"), reason="No.")

    assert world.code() == "identity.not_active"
    world.desk.agent.refresh_from_db()
    assert world.desk.agent.state == AgentState.SUSPENDED
