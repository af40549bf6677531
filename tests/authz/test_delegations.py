"""What agents hand on to agents: narrower each time, bound to its receiver, ended at once."""

from dataclasses import dataclass
from datetime import timedelta
from itertools import pairwise, permutations
from typing import Any
from uuid import UUID, uuid4

import pytest
from django.db import IntegrityError, connection, transaction
from django.test import override_settings

from audit.leaf import parse_body
from audit.models import Record
from audit.selectors import TrailFilters
from authz import replay
from authz.decide import Answer, decide
from authz.engine.types import Input
from authz.enums import EndCause
from authz.errors import DelegationRefused, NoSuchDelegation, NotYourDelegation, TokenEnded
from authz.models import Delegation, Role
from authz.services import delegations, grants, sessions
from authz.services.delegations import HandOver
from governance.kernel import clock
from governance.kernel.errors import Invalid
from registry import services as register
from registry.enums import IdentityPattern
from registry.errors import AgentNotActive
from registry.models import Agent, AllowlistEntry, Client, Person
from registry.permissions import Automatic
from tests.factories.authz import (
    Desk,
    caller_of,
    declare,
    make_agent,
    make_client,
    make_desk,
    make_person,
    make_system,
    make_tool,
)

pytestmark = pytest.mark.django_db

SMALL = {"properties": {"amount": {"maximum": 1000}}}
PAID = {"claim": "CL-1", "amount": 1001}


@dataclass
class World:
    """A desk whose agent `a` may act for `jane`, and agents b to e with the same row."""

    desk: Desk
    jane: Person
    agents: dict[str, tuple[Agent, Client]]

    def caller(self, name: str) -> Any:
        return caller_of(self.agents[name][1])

    def hand(self, giver: str, receiver: str, **changed: Any) -> Delegation:
        wanted: dict[str, Any] = {"tools": {self.desk.tool.name: {}}}
        slug = self.agents[receiver][0].slug if receiver in self.agents else receiver
        hand_over = HandOver(receiver=slug, **(wanted | changed))
        return delegations.delegate(caller=self.caller(giver), wanted=hand_over)

    def chain(self, names: str, **changed: Any) -> list[Delegation]:
        """One link after the other, acting for jane."""
        links: list[Delegation] = []
        for giver, receiver in pairwise(names):
            above = {"parent": links[-1].pk} if links else {"user": self.jane.pid}
            links.append(self.hand(giver, receiver, **{**above, **changed}))
        return links

    def ask(self, name: str, link: Delegation | UUID, **changed: Any) -> Answer:
        given = {"agent": self.agents[name][0].slug, "user": self.jane.pid}
        named = str(link.pk if isinstance(link, Delegation) else link)
        ask = self.desk.ask(**{"delegation": named, **given, **changed})
        (answer,) = decide([ask], self.caller(name))
        return answer

    def code(self, name: str, link: Delegation | UUID, **changed: Any) -> str:
        return self.ask(name, link, **changed).decision.code


@pytest.fixture
def world() -> World:
    desk = make_desk(agent_fields={"pattern": IdentityPattern.IMPERSONATION})
    jane, more = make_person(), make_tool(desk.system)
    desk.role.people.add(jane)
    desk.role.tools.add(more)
    agents = {"a": (desk.agent, desk.client)}
    for name in "bcde":
        agent = make_agent(make_person(), pattern=IdentityPattern.IMPERSONATION)
        AllowlistEntry.objects.create(agent=agent, tool=desk.tool)
        Role.agents.through.objects.create(role=desk.role, agent=agent)
        agents[name] = (agent, make_client(agent=agent))
    for giver, receiver in permutations([agent for agent, _ in agents.values()], 2):
        declare(giver, receiver)
    grants.give_grant(agent_id=desk.agent.pk, tools={desk.tool.name: {}}, by=jane)
    return World(desk, jane, agents)


# Handed over


def test_what_was_handed_over_lets_the_receiver_call(world: World) -> None:
    (link,) = world.chain("ab")

    answer = world.ask("b", link)

    assert answer.allowed
    assert dict(answer.decision.walk[1].detail) == {
        "depth": 1,
        "givers": [world.desk.agent.slug],
    }


def test_without_it_the_receiver_has_no_consent(world: World) -> None:
    (answer,) = decide(
        [world.desk.ask(agent=world.agents["b"][0].slug, user=world.jane.pid)], world.caller("b")
    )

    assert answer.decision.code == "consent.none"


def test_a_chain_goes_on_to_the_third_link_and_no_further(world: World) -> None:
    links = world.chain("abcd")

    assert world.ask("d", links[-1]).allowed
    with pytest.raises(DelegationRefused) as refused:
        world.hand("d", "e", parent=links[-1].pk)
    assert refused.value.code == "too_deep"


@override_settings(MUSTER_DELEGATION_DEPTH=1)
def test_an_installation_may_allow_less_depth(world: World) -> None:
    (link,) = world.chain("ab")

    with pytest.raises(DelegationRefused):
        world.hand("b", "c", parent=link.pk)


@pytest.mark.parametrize("which", "ab")
def test_what_the_template_of_a_giver_says_goes_for_the_whole_chain(
    world: World, which: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    shallow = world.agents[which][0]
    monkeypatch.setattr(delegations, "_depth_of", [lambda agent: 1 if agent == shallow else 3])
    (link,) = world.chain("ab")

    with pytest.raises(DelegationRefused) as refused:
        world.hand("b", "c", parent=link.pk)

    assert refused.value.code == "too_deep"
    assert refused.value.message.startswith("It may be handed on once at the most.")


def test_a_template_may_let_nothing_be_handed_over(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(delegations, "_depth_of", [lambda _: 0])

    with pytest.raises(DelegationRefused) as refused:
        world.hand("a", "b")

    assert refused.value.message.endswith("hands nothing over: its template says so.")


def test_it_acts_without_a_user_as_well(world: World) -> None:
    for agent, _ in world.agents.values():
        agent.pattern = IdentityPattern.SERVICE
        agent.save()
    link = world.hand("a", "b")

    assert world.ask("b", link, user="").allowed
    assert world.code("b", link) == "identity.pattern"


def test_it_is_worth_nothing_to_another_agent(world: World) -> None:
    (link,) = world.chain("ab")

    assert world.code("c", link) == "delegation.other_agent"
    assert world.code("a", link) == "delegation.other_agent"


def test_it_is_for_one_user(world: World) -> None:
    (link,) = world.chain("ab")
    other = make_person()
    world.desk.role.people.add(other)

    assert world.code("b", link, user=other.pid) == "delegation.other_user"


@pytest.mark.parametrize("named", ["nonsense", "", "01900000-0000-7000-8000-000000000001"])
def test_an_unknown_one_is_refused(world: World, named: str) -> None:
    code = world.ask("b", uuid4(), delegation=named).decision.code

    assert code == ("delegation.unknown" if named else "consent.none")


def test_each_link_narrows(world: World) -> None:
    first = world.hand("a", "b", user=world.jane.pid, tools={world.desk.tool.name: SMALL})
    second = world.hand("b", "c", parent=first.pk)

    assert world.code("c", second) == ""
    assert world.code("c", second, parameters=PAID) == "delegation.parameters"


def test_it_hands_over_what_both_may_do_now(world: World) -> None:
    more = make_tool(make_system())
    AllowlistEntry.objects.create(agent=world.desk.agent, tool=more)

    for tools in ({}, {more.name: {}}, {"gone.tool": {}}):
        with pytest.raises(DelegationRefused) as refused:
            world.hand("a", "b", tools=tools)
        assert refused.value.code == "tools"


def test_it_hands_over_no_more_than_the_user_consented_to(world: World) -> None:
    more = make_tool(make_system())
    for name in "ab":
        AllowlistEntry.objects.create(agent=world.agents[name][0], tool=more)

    with pytest.raises(DelegationRefused) as refused:
        world.hand("a", "b", user=world.jane.pid, tools={more.name: {}})

    assert refused.value.code == "tools"
    assert world.hand("a", "b", tools={more.name: {}})


def test_it_ends_no_later_than_what_it_rests_on(world: World) -> None:
    now = clock.now()
    first = world.hand("a", "b", user=world.jane.pid, until=now + timedelta(minutes=5))
    second = world.hand("b", "c", parent=first.pk)

    assert second.until == first.until
    with pytest.raises(DelegationRefused) as refused:
        world.hand("b", "c", parent=first.pk, until=now + timedelta(minutes=6))
    assert refused.value.code == "until"


def test_one_that_is_over_refuses_before_anything_ends_it(world: World) -> None:
    (link,) = world.chain("ab", until=clock.now() + timedelta(milliseconds=500))
    ask = world.desk.ask(
        agent=world.agents["b"][0].slug, user=world.jane.pid, delegation=str(link.pk)
    )

    (answer,) = decide([ask], world.caller("b"), now=link.until)

    assert answer.decision.code == "delegation.expired"
    assert delegations.expire_delegations(link.until) == 1


@pytest.mark.parametrize(
    ("receiver", "code"), [("a", "receiver"), ("nobody", "receiver"), ("", "receiver")]
)
def test_the_receiver_is_another_agent(world: World, receiver: str, code: str) -> None:
    with pytest.raises(DelegationRefused) as refused:
        world.hand("a", receiver)

    assert refused.value.code == code


def test_no_grant_no_handing_over_in_a_users_name(world: World) -> None:
    with pytest.raises(DelegationRefused) as refused:
        world.hand("b", "c", user=world.jane.pid)

    assert refused.value.code == "consent"


def test_nobody_hands_on_what_was_handed_to_another(world: World) -> None:
    (link,) = world.chain("ab")

    with pytest.raises(NoSuchDelegation):
        world.hand("c", "d", parent=link.pk)
    with pytest.raises(DelegationRefused):
        world.hand("b", "c", parent=link.pk, user=make_person().pid)


@override_settings(MUSTER_DELEGATION_FAN_OUT=2)
def test_an_agent_hands_over_to_so_many_at_once(world: World) -> None:
    for name in "bc":
        world.hand("a", name)

    with pytest.raises(DelegationRefused) as refused:
        world.hand("a", "d")

    assert refused.value.code == "fan_out"


def test_a_gateway_hands_nothing_over(world: World) -> None:
    with pytest.raises(DelegationRefused):
        delegations.delegate(
            caller=world.desk.gateway_caller,
            wanted=HandOver(receiver=world.desk.agent.slug, tools={world.desk.tool.name: {}}),
        )


def test_a_token_that_ended_hands_nothing_over(world: World) -> None:
    caller = world.caller("a")
    Client.objects.filter(agent=world.desk.agent).update(version=9)

    with pytest.raises(TokenEnded):
        delegations.delegate(
            caller=caller,
            wanted=HandOver(receiver=world.agents["b"][0].slug, tools={world.desk.tool.name: {}}),
        )


@pytest.mark.parametrize("which", ["a", "b"])
def test_neither_side_may_be_suspended(world: World, which: str) -> None:
    agent = world.agents[which][0]
    register.suspend_agent(agent_id=agent.pk, by=Automatic("limits"), reason="No.")

    with pytest.raises(AgentNotActive):
        world.hand("a", "b")


def test_what_narrows_must_be_a_schema(world: World) -> None:
    with pytest.raises(Invalid):
        world.hand("a", "b", tools={world.desk.tool.name: {"type": 5}})


# Everyone behind a call


def test_a_giver_that_is_suspended_stops_the_chain(world: World) -> None:
    links = world.chain("abc")
    agent = world.agents["a"][0]
    register.suspend_agent(agent_id=agent.pk, by=Automatic("limits"), reason="No.")

    answer = world.ask("c", links[-1])

    assert answer.decision.code == "delegation.giver_inactive"
    assert answer.decision.detail["giver"] == agent.slug


def test_a_giver_whose_row_loses_the_tool_stops_the_chain(world: World) -> None:
    links = world.chain("abc")
    AllowlistEntry.objects.filter(agent=world.agents["b"][0]).delete()

    answer = world.ask("c", links[-1])

    assert answer.decision.code == "allowlist.not_listed"
    assert answer.decision.detail["agent"] == world.agents["b"][0].slug


def test_a_giver_without_the_role_stops_the_chain(world: World) -> None:
    links = world.chain("abc")
    world.desk.role.agents.remove(world.agents["a"][0])

    assert world.code("c", links[-1]) == "role.none"


def test_owners_of_the_whole_chain_are_barred_from_approving(world: World) -> None:
    world.desk.tool.gates = {"records": {"above": 0}}
    world.desk.tool.save()
    links = world.chain("abc")

    answer = world.ask("c", links[-1])

    assert answer.decision.effect == "hold"
    with connection.cursor() as cursor:
        cursor.execute("SELECT barred FROM authz_hold")
        (barred,) = cursor.fetchone()
    owners = {world.agents[name][0].owner.pid for name in "abc"}
    assert set(barred) == owners | {world.jane.pid}


# The record


def test_what_was_decided_on_a_chain_is_judged_again_to_the_same_answer(world: World) -> None:
    began = clock.now()
    first, second = world.chain("abc")
    codes = [
        world.code("c", second),
        world.code("c", second, parameters={"claim": 5}),
        world.code("d", second),
        world.code("c", uuid4()),
    ]
    delegations.end_delegation(delegation_id=first.pk, caller=world.caller("a"))
    codes.append(world.code("c", second))
    grants.end_own_grants(by=world.jane)

    tally = replay.Tally()
    reading = replay.read_decisions(
        TrailFilters(since=began), by=replay.System(), reason="a test", limit=100
    )
    differences = [each for page in replay.replay(reading, tally) for each in page]

    assert codes == [
        "",
        "parameters.schema",
        "delegation.other_agent",
        "delegation.unknown",
        "delegation.ended",
    ]
    assert (tally.judged, differences, tally.damaged) == (len(codes), [], 0)


def test_the_entry_names_the_link_and_every_slice_behind_it(world: World) -> None:
    _, second = world.chain("abc")

    record = Record.objects.get(pk=world.ask("c", second).id)
    said = parse_body(bytes(record.body))

    assert said["asked"]["delegation"] == str(second.pk)
    slugs = {world.agents[name][0].slug for name in "abc"}
    assert {f"agent:{slug}" for slug in slugs} | {f"chain:{second.pk}"} <= said["judged"][
        "slices"
    ].keys()


# What was read comes along


def test_what_the_giver_has_read_comes_along(world: World) -> None:
    hostile = make_system(trust="untrusted", tier="restricted", categories=["health"])
    session = sessions.open_session(agent="", caller=world.caller("a"))
    sessions.report_inputs(
        session_id=session.id, inputs=[Input(hostile.slug)], caller=world.caller("a")
    )

    link = world.hand("a", "b", user=world.jane.pid, session=session.id)
    answer = world.ask("b", link)

    assert (link.read_tier, link.read_untrusted) == ("restricted", True)
    assert link.read_categories == ["health"]
    assert answer.decision.code == "flow.sinks"
    assert (answer.decision.label, answer.decision.tainted) == ("restricted", True)


# Ended


def test_ending_a_link_ends_all_below_at_once(world: World) -> None:
    first, second, third = world.chain("abcd")
    assert world.ask("d", third).allowed

    delegations.end_delegation(delegation_id=first.pk, caller=world.caller("a"))

    assert world.code("b", first) == world.code("c", second) == "delegation.ended"
    assert world.code("d", third) == "delegation.ended"
    causes = Delegation.objects.order_by("depth").values_list("end_cause", flat=True)
    assert list(causes) == [EndCause.GIVER, EndCause.ABOVE, EndCause.ABOVE]


def test_ending_the_last_link_leaves_those_above(world: World) -> None:
    first, second = world.chain("abc")

    delegations.end_delegation(delegation_id=second.pk, caller=world.caller("c"))

    assert world.code("c", second) == "delegation.ended"
    assert world.ask("b", first).allowed


def test_only_the_chain_ends_its_links(world: World) -> None:
    first, second = world.chain("abc")

    with pytest.raises(NotYourDelegation):
        delegations.end_delegation(delegation_id=second.pk, caller=world.caller("d"))
    with pytest.raises(NotYourDelegation):
        delegations.end_delegation(delegation_id=first.pk, caller=world.caller("c"))
    ended = delegations.end_delegation(delegation_id=second.pk, caller=world.caller("a"))
    assert ended.end_cause == EndCause.GIVER


def test_ending_the_grant_ends_what_was_handed_over_on_it(world: World) -> None:
    _, second = world.chain("abc")

    assert grants.end_own_grants(by=world.jane) == 1

    assert world.code("c", second) == "delegation.ended"
    assert not Delegation.objects.filter(ended_at__isnull=True).exists()


def test_another_grant_does_not_revive_what_rested_on_the_earlier(world: World) -> None:
    (link,) = world.chain("ab")
    grants.give_grant(agent_id=world.desk.agent.pk, tools={world.desk.tool.name: {}}, by=world.jane)

    assert world.code("b", link) == "delegation.ended"


def test_an_agent_that_stops_ends_its_links(world: World) -> None:
    _, second = world.chain("abc")

    assert delegations.end_delegations_of(agent=world.agents["b"][0], actor="system:test") == 1

    assert world.code("c", second) == "delegation.ended"


# The database


@pytest.mark.parametrize(
    "change",
    [
        "DELETE FROM authz_delegation",
        "UPDATE authz_delegation SET until = until + interval '1 day'",
        "UPDATE authz_delegation SET tools = '{\"x\": {}}'",
        "UPDATE authz_delegation SET receiver_id = giver_id + 2",
        "UPDATE authz_delegation SET ended_at = NULL, end_cause = ''",
    ],
)
def test_nothing_goes_around_what_was_handed_over(world: World, change: str) -> None:
    (link,) = world.chain("ab")
    delegations.end_delegation(delegation_id=link.pk, caller=world.caller("a"))

    with pytest.raises(IntegrityError), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(change)


@pytest.mark.parametrize(
    "changed",
    [
        {"tools": {"more.tool": {}}},
        {"tools": {}},
        {"until": "late"},
        {"giver": "a"},
        {"depth": 3},
        {"grant": None},
    ],
)
def test_no_shell_hands_over_more_than_there_is(world: World, changed: dict[str, Any]) -> None:
    (link,) = world.chain("ab")
    given: dict[str, Any] = {
        "parent": link,
        "depth": 2,
        "giver": world.agents["b"][0],
        "receiver": world.agents["c"][0],
        "grant": link.grant,
        "tools": {world.desk.tool.name: {}},
        "given_at": clock.now(),
        "until": link.until,
    }
    if changed.get("giver"):
        changed = {"giver": world.agents["a"][0]}
    if changed.get("until"):
        changed = {"until": link.until + timedelta(seconds=1)}

    with pytest.raises(IntegrityError), transaction.atomic():
        Delegation.objects.create(id=clock.uuid7(), **(given | changed))
