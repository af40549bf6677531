"""The kill switch: who may, one and many, at the next decision, and what is left when it is cut."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client

from authz.decide import decide
from governance.kernel.errors import Conflict, GovernanceError, Invalid, NotAllowed, NotFound
from lifecycle import sweeps
from lifecycle.models import MassSuspension, Notice
from lifecycle.switch import services
from registry import services as register
from registry.enums import AgentState, GroupName
from registry.models import Agent, Person
from tests.factories.authz import make_desk
from tests.factories.registry import (
    make_agent,
    make_draft,
    make_person,
    make_system,
    make_tool,
    security,
)
from tests.lifecycle.processes import in_child

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _no_second_factor(settings: Any) -> None:
    settings.MUSTER_APPROVER_MFA = False


def states(*agents: Agent) -> list[str]:
    found = dict(Agent.objects.values_list("pk", "state"))
    return [found[each.pk] for each in agents]


def order(by: Person, family: str = "all", target: str = "", **more: Any) -> MassSuspension:
    return services.order_suspension(
        family=family, target=target, by=by, **{"reason": "Leak", **more}
    )


def test_source_owner_stops_what_reaches_their_system_and_nothing_else() -> None:
    source = make_person(GroupName.SOURCE_OWNER)
    theirs = make_agent(tool=make_tool(make_system(owner=source)))
    other = make_agent()

    register.suspend_agent(agent_id=theirs.pk, by=source, reason="Leak")
    with pytest.raises(NotAllowed, match="owners of its systems"):
        register.suspend_agent(agent_id=other.pk, by=source, reason="Leak")

    assert states(theirs, other) == ["suspended", "active"]


def test_owner_of_a_system_without_the_group_stops_nothing() -> None:
    """The group is filled by two people; owning a system's row alone is no such word."""
    someone = make_person()
    agent = make_agent(tool=make_tool(make_system(owner=someone)))

    with pytest.raises(NotAllowed):
        register.suspend_agent(agent_id=agent.pk, by=someone, reason="Leak")


def test_backup_owner_stops_and_an_auditor_does_not() -> None:
    backup = make_person()
    agent = make_agent(backup_owner=backup)

    with pytest.raises(NotAllowed):
        register.suspend_agent(agent_id=agent.pk, by=make_person(GroupName.AUDITOR), reason="x")
    register.suspend_agent(agent_id=agent.pk, by=backup, reason="Leak")

    assert states(agent) == ["suspended"]


def test_the_next_decision_is_denied() -> None:
    desk = make_desk()
    (before,) = decide([desk.ask()], desk.caller)

    services.carry_out(order(security()))
    (after,) = decide([desk.ask()], desk.caller)

    assert before.allowed
    assert (after.decision.effect, after.decision.check) == ("deny", "identity")


def test_each_family_stops_its_own_and_only_what_runs() -> None:
    by, owner, system = security(), make_person(), make_system()
    tool = make_tool(system)
    mine = make_agent(owner=owner)
    reaching = make_agent(tool=tool)
    other, draft = make_agent(), make_draft(owner=owner, tool=tool)
    every = (mine, reaching, other, draft)

    found = {}
    for family, target in (
        ("owner", owner.pid),
        ("tool", tool.name),
        ("system", system.slug),
        ("all", ""),
    ):
        made = order(by, family, target)
        services.carry_out(made)
        found[family] = (made.total, states(*every))

    assert found == {
        "owner": (1, ["suspended", "active", "active", "draft"]),
        "tool": (1, ["suspended", "suspended", "active", "draft"]),
        "system": (0, ["suspended", "suspended", "active", "draft"]),
        "all": (1, ["suspended", "suspended", "suspended", "draft"]),
    }
    assert not MassSuspension.objects.filter(ended_at__isnull=True).exists()


def test_each_has_a_record_and_its_owner_a_page(mark: Any, records_after: Any) -> None:
    by, agents, marked = security(), [make_agent() for _ in range(3)], mark()

    services.carry_out(order(by))

    told = [
        record["agent"]
        for record in records_after(marked, kind="registry")
        if b'"did":"agent_suspended"' in bytes(record["body"])
    ]
    assert sorted(told) == sorted(agent.slug for agent in agents)
    paged = Notice.objects.filter(code="agent.suspended", severity="page")
    assert {each.person for each in paged} == {agent.owner for agent in agents}


def test_many_are_stopped_by_the_sweep_and_what_was_started_again_stays(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    by, agents = security(), [make_agent() for _ in range(5)]
    monkeypatch.setattr(services, "AT_ONCE", 1)
    made = order(by)
    services.carry_out(made)
    stopped = list(Agent.objects.filter(state=AgentState.SUSPENDED))
    register.resume_agent(agent_id=stopped[0].pk, by=by)

    run = sweeps.run_sweep("suspensions")

    made.refresh_from_db()
    assert run is not None
    assert (len(stopped), run.done) == (2, 4)
    assert made.ended_at is not None
    assert [each.pk for each in agents if states(each) == ["active"]] == [stopped[0].pk]


@pytest.mark.django_db(transaction=True)
def test_killed_in_the_middle_the_sweep_stops_the_rest() -> None:
    by, agents = security(), [make_agent() for _ in range(4)]
    made = order(by)

    ended_by = in_child(lambda: services.carry_out(made), after="registry.services.suspend_agent")
    left = states(*agents).count("active")
    sweeps.run_sweep("suspensions")

    made.refresh_from_db()
    assert (ended_by, left) == (9, 4)
    assert states(*agents) == ["suspended"] * 4
    assert made.ended_at is not None


@pytest.mark.parametrize(
    ("group", "refusal"),
    [
        ("dpo", NotAllowed),
        ("platform_admin", NotAllowed),
        ("auditor", NotAllowed),
        ("source_owner", NotAllowed),
    ],
)
def test_only_security_stops_many(group: str, refusal: type[GovernanceError]) -> None:
    agent = make_agent()

    with pytest.raises(refusal):
        order(make_person(GroupName(group)))

    assert states(agent) == ["active"]


def test_an_order_without_reason_family_or_target_is_refused() -> None:
    by = security()

    with pytest.raises(Invalid, match="Say why"):
        order(by, reason=" ")
    with pytest.raises(Invalid, match="Choose"):
        order(by, "tribe")
    for family in ("owner", "system", "tool"):
        with pytest.raises(NotFound):
            order(by, family, "nothing")


def test_more_than_were_shown_are_not_stopped_unseen() -> None:
    by, agent = security(), make_agent()

    with pytest.raises(Conflict, match="Look again"):
        order(by, seen=0)

    assert states(agent) == ["active"]


def test_security_sees_whom_it_stops_then_stops_them(client: Client) -> None:
    by, owner = security(), make_person()
    agents = [make_agent(owner=owner) for _ in range(2)]
    client.force_login(by)
    place = f"/suspended/many/?family=owner&owner={owner.pid}"

    shown = client.get(place).content.decode()
    nothing = client.post(place, {"reason": "", "seen": "2"})
    before = states(*agents)
    done = client.post(place, {"reason": "Leak", "seen": "2"}, follow=True)

    assert "Suspend 2 agents?" in shown
    assert all(agent.slug in shown for agent in agents)
    assert (nothing.status_code, before) == (200, ["active"] * 2)
    assert states(*agents) == ["suspended"] * 2
    assert "2 agents suspended" in done.content.decode()


def test_page_of_suspended_says_who_may_start_again(client: Client) -> None:
    agent = make_agent(AgentState.SUSPENDED)
    client.force_login(agent.owner)
    for_owner = client.get("/suspended/").content.decode()
    client.force_login(security())
    for_security = client.get("/suspended/").content.decode()
    client.post(f"/agents/{agent.slug}/resume/")

    assert "One agent is suspended" in for_owner
    assert f"Someone in security who does not own {agent.slug} may resume it" in for_owner
    assert "Only security may suspend many agents at once." in for_owner
    assert "may resume it" not in for_security
    assert states(agent) == ["active"]


@pytest.mark.parametrize("group", ["", "dpo", "auditor"])
def test_others_do_not_open_the_switch_over_many(client: Client, group: str) -> None:
    client.force_login(make_person(*([GroupName(group)] if group else [])))

    assert client.get("/suspended/many/?family=all").status_code == 403
    assert client.get("/suspended/").status_code == 200


@pytest.mark.parametrize("rows", [1, 3])
def test_the_list_asks_the_same_queries_for_any_number(
    client: Client, rows: int, django_assert_max_num_queries: Any
) -> None:
    for _ in range(rows):
        make_agent(AgentState.SUSPENDED)
    client.force_login(security())

    with django_assert_max_num_queries(30):
        assert client.get("/suspended/").status_code == 200
