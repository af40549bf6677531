"""Is an agent in order: what is found, for whom, and with which exit code."""

from __future__ import annotations

import json
from datetime import timedelta
from io import StringIO
from typing import Any

import pytest
from django.core.management import call_command
from django.test import Client as Browser
from time_machine import travel

from authz.decide import decide
from governance.kernel import clock
from lifecycle.checking.report import check_agent
from lifecycle.models import ProbeRun
from registry import services as register
from registry.enums import AgentState, Employment, GroupName
from registry.models import Agent, AllowlistEntry
from tests.factories.authz import make_desk
from tests.factories.registry import make_agent, make_person, make_system, make_tool, security

pytestmark = pytest.mark.django_db


def codes(agent: Agent) -> list[tuple[str, bool]]:
    return [(each.code, each.fails) for each in check_agent(agent.pk).findings]


def command(*arguments: str) -> tuple[int, str, str]:
    out, err = StringIO(), StringIO()
    try:
        call_command("check_agent", *arguments, stdout=out, stderr=err)
    except SystemExit as end:
        return int(end.code or 0), out.getvalue(), err.getvalue()
    return 0, out.getvalue(), err.getvalue()


def test_agent_in_order_passes() -> None:
    agent = make_agent()

    code, said, _ = command(agent.slug)

    assert codes(agent) == []
    assert (code, said) == (0, f"{agent.slug} (active, internal) is in order.\n")


@pytest.mark.parametrize("state", [AgentState.DRAFT, AgentState.IN_REVIEW, AgentState.SUSPENDED])
def test_agent_that_is_not_active_fails(state: AgentState) -> None:
    agent = make_agent(state)

    assert codes(agent)[0] == ("identity.not_active", True)
    assert command(agent.slug)[0] == 1


def test_agent_whose_owner_left_fails() -> None:
    agent = make_agent()
    by = make_person(GroupName.PLATFORM_ADMIN)
    register.set_employment(
        person_id=agent.owner_id, employment=Employment.LEFT, last_day=clock.now().date(), by=by
    )

    assert command(agent.slug)[0] == 1


def test_reach_that_rose_by_itself_is_over_reaching() -> None:
    system = make_system(tier="internal")
    agent = make_agent(tool=make_tool(system))

    register.save_system(slug=system.slug, by=security(), tier="restricted")

    (found,) = [one for one in check_agent(agent.pk).findings if one.code == "over_reaching"]
    assert found.fails
    assert "it is restricted now, and it was last cleared as internal" in found.sentence


def test_narrowing_is_not_over_reaching() -> None:
    agent = make_agent()

    register.update_agent(agent_id=agent.pk, by=agent.owner, rate_per_minute=1)

    assert "over_reaching" not in [code for code, _ in codes(agent)]


def test_unused_tools_are_told_and_stop_nothing() -> None:
    desk = make_desk()
    spare = make_tool(desk.system)
    AllowlistEntry.objects.create(agent=desk.agent, tool=spare)
    decide([desk.ask()], desk.caller)
    Agent.objects.filter(pk=desk.agent.pk).update(activated_at=clock.now() - timedelta(days=91))

    found = [one for one in check_agent(desk.agent.pk).findings if one.code == "unused_tools"]

    assert [(one.fails, spare.name in one.sentence) for one in found] == [(False, True)]
    assert desk.tool.name not in found[0].sentence


def test_young_agent_is_told_nothing_of_its_tools() -> None:
    assert "unused_tools" not in [code for code, _ in codes(make_agent())]


def test_failing_probes_fail() -> None:
    agent = make_agent()
    ProbeRun.objects.filter(agent=agent).update(blocking=["an-attack"])

    assert ("probes_failing", True) in codes(agent)


def test_probes_of_another_row_do_not_count() -> None:
    agent = make_agent()
    ProbeRun.objects.filter(agent=agent).update(standing="0" * 64)

    assert ("probes_stale", True) in codes(agent)


def test_unrenewed_agent_fails_the_day_after() -> None:
    agent = make_agent()
    due = agent.renewal_due
    assert due is not None
    last = clock.now().replace(year=due.year, month=due.month, day=due.day, hour=12)

    with travel(last, tick=False):
        on_the_day = codes(agent)
    with travel(last + timedelta(days=1), tick=False):
        after = codes(agent)

    assert ("unrenewed", True) not in on_the_day
    assert ("unrenewed", True) in after


def test_json_says_the_same_as_rest(client: Browser) -> None:
    agent = make_agent(AgentState.SUSPENDED)
    client.force_login(agent.owner)

    code, said, _ = command(agent.slug, "--json")
    answer = client.get(f"/api/v1/agents/{agent.slug}/check").json()

    printed = json.loads(said)
    for each in (printed, answer):
        each.pop("at")
    assert (code, printed["passed"]) == (1, False)
    assert printed == answer


def test_unknown_agent_is_bad_input() -> None:
    code, said, err = command("nobody", "--json")

    assert (code, json.loads(said)["problems"][0]["code"]) == (2, "not_found")
    assert err == "There is no agent nobody.\n"


def test_check_of_others_agents_is_not_there(client: Browser) -> None:
    client.force_login(make_person())

    assert client.get(f"/api/v1/agents/{make_agent().slug}/check").status_code == 404


def test_looking_changes_nothing() -> None:
    agent = make_agent()

    def counted() -> list[Any]:
        return [ProbeRun.objects.count(), Agent.objects.values().get(pk=agent.pk)]

    before = counted()
    check_agent(agent.pk)

    assert counted() == before
