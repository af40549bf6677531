"""Observe mode: two people in, one out, never for restricted data, never for long."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.db import IntegrityError, transaction
from django.db.models import F
from django.test import Client as Browser
from time_machine import travel

from audit.models import Record
from audit.selectors import parse_body
from authz.decide import decide
from governance.kernel import clock
from governance.kernel.errors import Conflict, Invalid, NotAllowed
from lifecycle.observing import sweep
from registry import changes, services
from registry.enums import AgentState, GroupName, Tier
from registry.errors import ChangeOutdated, TooSensitive, WrongState
from registry.models import Agent, Clearance, Person, ProposedChange
from tests.factories.authz import make_desk
from tests.factories.registry import make_agent, make_person, make_system, make_tool, security

pytestmark = pytest.mark.django_db


def propose(agent: Agent, by: Person | None = None, days: int = 14) -> ProposedChange:
    return services.propose_observation(
        agent_id=agent.pk, days=days, by=by or agent.owner, reason="It already runs."
    )


def observed(tier: str = "internal", days: int = 14, **of: Any) -> Agent:
    agent = make_agent(tier=tier, **of)
    changes.agree(change_id=propose(agent, days=days).pk, by=security())
    return Agent.objects.get(pk=agent.pk)


def told(agent: Agent) -> list[str]:
    rows = Record.objects.filter(agent=agent.slug).order_by("id")
    said = [parse_body(row).get("asked", {}).get("did", "") for row in rows]
    return [each for each in said if each.startswith("observation")]


# In


def test_two_people_begin_it_for_so_many_days() -> None:
    agent, by = make_agent(), security()
    change = propose(agent)
    before = Agent.objects.get(pk=agent.pk).is_observed

    changes.agree(change_id=change.pk, by=by)

    agent.refresh_from_db()
    assert (before, agent.is_observed) == (False, True)
    assert (agent.observe_by, agent.observe_agreed_by) == (agent.owner, by)
    assert agent.observe_agreed_at is not None
    assert agent.observe_until == agent.observe_agreed_at + timedelta(days=14)
    assert told(agent) == ["observation_begun"]


@pytest.mark.parametrize("who", ["owner", "backup", "admin", "dpo", "nobody"])
def test_only_security_that_does_not_answer_for_it_agrees(who: str) -> None:
    owner, backup = make_person(GroupName.SECURITY), make_person(GroupName.SECURITY)
    agent = make_agent(owner=owner, backup_owner=backup)
    people = {
        "owner": owner,
        "backup": backup,
        "admin": make_person(GroupName.PLATFORM_ADMIN),
        "dpo": make_person(GroupName.DPO),
        "nobody": make_person(),
    }
    change = propose(agent, by=security())

    with pytest.raises(NotAllowed):
        changes.agree(change_id=change.pk, by=people[who])

    assert not Agent.objects.get(pk=agent.pk).is_observed


def test_who_proposed_it_does_not_agree() -> None:
    agent, by = make_agent(), security()

    with pytest.raises(NotAllowed, match="You proposed this"):
        changes.agree(change_id=propose(agent, by=by).pk, by=by)


def test_a_stranger_does_not_propose_it() -> None:
    with pytest.raises(NotAllowed):
        propose(make_agent(), by=make_person())


@pytest.mark.parametrize("days", [0, -1, 31])
def test_other_spans_are_refused(days: int) -> None:
    with pytest.raises(Invalid) as caught:
        propose(make_agent(), days=days)

    assert caught.value.fields == {"days": ["Between 1 and 30 days."]}


def test_restricted_data_is_never_observed() -> None:
    with pytest.raises(TooSensitive):
        propose(make_agent(tier="restricted"))


def test_reach_that_became_restricted_meanwhile_is_not_agreed_to() -> None:
    system = make_system(tier="internal")
    agent = make_agent(tool=make_tool(system))
    change = propose(agent)
    services.save_system(slug=system.slug, by=security(), tier=Tier.RESTRICTED)

    with pytest.raises(TooSensitive):
        changes.agree(change_id=change.pk, by=security())


@pytest.mark.parametrize("state", [AgentState.DRAFT, AgentState.IN_REVIEW, AgentState.SUSPENDED])
def test_only_an_active_agent_is_observed(state: AgentState) -> None:
    with pytest.raises(WrongState):
        propose(make_agent(state))


def test_a_proposal_from_before_it_was_observed_is_outdated() -> None:
    agent = observed()
    change = propose(agent)
    services.end_observation(agent_id=agent.pk, by=agent.owner)

    with pytest.raises(ChangeOutdated):
        changes.agree(change_id=change.pk, by=security())


# What the database refuses by itself


@pytest.mark.parametrize(
    ("fields", "name"),
    [
        ({"observe_by": None}, "agent_observed_by_whom_and_when"),
        ({"observe_agreed_by": None}, "agent_observed_by_whom_and_when"),
        ({"observe_until": None}, "agent_observed_by_whom_and_when"),
        ({"observe_agreed_by": F("observe_by")}, "agent_observed_by_two"),
        ({"observe_until": F("observe_until") + timedelta(days=17)}, "agent_observed_at_most"),
    ],
)
def test_database_refuses(fields: dict[str, Any], name: str) -> None:
    agent = observed()

    with pytest.raises(IntegrityError, match=name), transaction.atomic():
        Agent.objects.filter(pk=agent.pk).update(**fields)


# Out


@pytest.mark.parametrize("who", ["owner", "security"])
def test_one_person_ends_it_at_once(who: str) -> None:
    agent = observed()
    by = agent.owner if who == "owner" else security()

    services.end_observation(agent_id=agent.pk, by=by, reason="Enough.")
    services.end_observation(agent_id=agent.pk, by=by)

    agent.refresh_from_db()
    assert (agent.observe_until, agent.observe_by, agent.observe_agreed_at) == (None, None, None)
    assert told(agent) == ["observation_begun", "observation_ended"]


def test_a_stranger_does_not_end_it() -> None:
    with pytest.raises(NotAllowed):
        services.end_observation(agent_id=observed().pk, by=make_person())


def test_suspending_ends_it_for_good() -> None:
    agent = observed()

    services.suspend_agent(agent_id=agent.pk, by=agent.owner, reason="Stop.")

    agent.refresh_from_db()
    assert (agent.state, agent.observe_until) == ("suspended", None)


def test_widening_to_restricted_ends_it_in_the_same_step() -> None:
    agent = observed()
    tool = make_tool(make_system(tier="restricted"))
    saved = services.set_allowlist_entry(agent_id=agent.pk, tool=tool, by=agent.owner)

    services.clear_change(
        change_id=saved.proposed[0].pk, by=make_person(GroupName.DPO), basis=Clearance.Basis.DPO
    )
    changes.agree(change_id=saved.proposed[0].pk, by=security())

    agent.refresh_from_db()
    assert agent.observe_until is None
    assert told(agent) == ["observation_begun", "observation_ended"]


def test_system_that_becomes_restricted_ends_it_by_the_sweep() -> None:
    system = make_system(tier="internal")
    agent = observed(tool=make_tool(system))
    services.save_system(slug=system.slug, by=security(), tier=Tier.RESTRICTED)
    now = clock.now()

    done = [sweep.end(key, now) for key in sweep.due(now)]

    assert done == [True]
    assert Agent.objects.get(pk=agent.pk).observe_until is None


def test_it_ends_by_itself_and_once() -> None:
    agent = observed(days=1)
    until = agent.observe_until
    assert until is not None

    with travel(until - timedelta(seconds=1), tick=False):
        early = [sweep.end(key, clock.now()) for key in sweep.due(clock.now())]
    with travel(until, tick=False):
        over = Agent.objects.get(pk=agent.pk).is_observed
        late = [sweep.end(key, clock.now()) for key in sweep.due(clock.now())]
        again = [sweep.end(key, clock.now()) for key in sweep.due(clock.now())]

    assert (early, over, late, again) == ([False], False, [True], [])


# What it does


def test_a_call_goes_on_and_is_recorded_as_refused_until_it_ends() -> None:
    desk = make_desk(system_fields={"tier": "internal"})
    Person.objects.filter(pk=desk.owner.pk).update(chat_handle="@d")
    changes.agree(change_id=propose(desk.agent).pk, by=security())
    desk.role.agents.clear()
    (answer,) = decide([desk.ask()], desk.caller)

    services.end_observation(agent_id=desk.agent.pk, by=desk.owner)
    (after,) = decide([desk.ask()], desk.caller)

    assert (answer.allowed, after.allowed) == (True, False)
    records = Record.objects.filter(agent=desk.agent.slug, kind="decision").order_by("id")
    assert [(row.mode, row.effect) for row in records] == [("observe", "deny"), ("enforce", "deny")]


# Pages and REST


def test_every_page_of_it_says_so(client: Browser) -> None:
    agent = observed()
    client.force_login(agent.owner)
    pages = ["", "history/", "live/", "observe/", "probes/", "suspend/", "change/"]

    said = [client.get(f"/agents/{agent.slug}/{page}").content.decode() for page in pages]
    listed = client.get("/agents/").content.decode()
    services.end_observation(agent_id=agent.pk, by=agent.owner)
    after = client.get(f"/agents/{agent.slug}/").content.decode()

    assert ["Observed, not enforced" in each for each in said] == [True] * len(pages)
    assert "observed, not enforced" in listed
    assert "Observed, not enforced" not in after


def test_page_asks_and_ends(client: Browser) -> None:
    agent = make_agent()
    client.force_login(agent.owner)
    place = f"/agents/{agent.slug}/observe/"

    wrong = client.post(place, {"days": "31", "reason": ""})
    client.post(place, {"days": "7", "reason": "It already runs."})
    waits = client.get(place).content.decode()
    changes.agree(change_id=ProposedChange.objects.get(target=agent.slug).pk, by=security())
    client.post(f"{place}end/")

    assert wrong.status_code == 200
    assert "It waits for a second person" in waits
    assert Agent.objects.get(pk=agent.pk).observe_until is None
    assert told(agent) == ["observation_begun", "observation_ended"]


def test_rest_asks_tells_and_ends(client: Browser) -> None:
    agent = make_agent()
    client.force_login(agent.owner)
    place = f"/api/v1/agents/{agent.slug}/observe"

    asked = client.post(place, {"days": 7, "reason": "R."}, content_type="application/json")
    changes.agree(change_id=asked.json()["id"], by=security())
    on = client.get(place).json()
    row = client.get(f"/api/v1/agents/{agent.slug}").json()
    off = client.delete(place).json()
    wrong = client.post(place, {"days": 31, "reason": "R."}, content_type="application/json")

    assert asked.status_code == 202
    assert (on["observed"], on["proposed_by"]) == (True, agent.owner.email)
    assert row["observe_until"] == on["until"]
    assert (off["observed"], off["until"], off["agreed_by"]) == (False, None, None)
    assert wrong.status_code == 400


def test_others_agents_are_not_there(client: Browser) -> None:
    agent = make_agent()
    client.force_login(make_person())

    answers = [
        client.get(f"/agents/{agent.slug}/observe/"),
        client.post(f"/agents/{agent.slug}/observe/end/"),
        client.get(f"/api/v1/agents/{agent.slug}/observe"),
        client.delete(f"/api/v1/agents/{agent.slug}/observe"),
    ]

    assert [answer.status_code for answer in answers] == [404] * 4


def test_two_open_proposals_are_one() -> None:
    agent = make_agent()
    first = propose(agent)

    assert propose(agent).pk == first.pk
    with pytest.raises(Conflict):
        propose(agent, days=3)


@pytest.mark.django_db
@pytest.mark.parametrize(("tier", "offered"), [("internal", True), ("restricted", False)])
def test_what_would_be_refused_is_not_offered(client: Browser, tier: str, offered: bool) -> None:
    agent = make_agent(tier=tier)
    client.force_login(agent.owner)

    page = client.get(f"/agents/{agent.slug}/observe/").content.decode()

    assert ('type="submit">Ask security' in page) is offered
    assert ("It reaches restricted data" in page) is not offered
