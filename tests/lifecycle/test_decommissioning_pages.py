"""The end of an agent on the site, over REST, from the command line; and registering it again."""

from __future__ import annotations

import hashlib
from datetime import timedelta
from io import StringIO
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.test import Client as Site

from governance.kernel import clock
from lifecycle.decommissioning import ending, working
from lifecycle.inbox import entries
from lifecycle.models import EndOrder, EndRun, Succession
from lifecycle.models.campaigns import Campaign, Candidate
from lifecycle.renewals import sweep as renewals
from registry import services as register
from registry import vault
from registry.enums import AgentState
from registry.models import Agent, Client, Person
from tests.factories.registry import SWEEP, make_agent, make_person, security
from tests.lifecycle.worlds_acting import acts_for_somebody, another_for, hands_over

pytestmark = pytest.mark.django_db


def as_person(person: Person) -> Site:
    site = Site()
    site.force_login(person)
    return site


def relied_on() -> tuple[Agent, Person]:
    agent, person = make_agent(), make_person()
    register.set_dependents(agent_id=agent.pk, people=[person], agents=[], by=agent.owner)
    return agent, person


def ended(agent: Agent) -> EndRun:
    register.begin_decommissioning(agent_id=agent.pk, by=SWEEP, reason="Over.")
    working.carry_on(run_id=agent.end_run.pk)
    return EndRun.objects.get(agent=agent)


def test_plan_order_word_end_certificate_on_the_site() -> None:
    agent, person = relied_on()
    owner, friend = as_person(agent.owner), as_person(person)
    address = f"/agents/{agent.slug}/end/"
    vault.create(f"vault://{agent.slug}/key", "worth", agent=agent, by=agent.owner)

    plan = owner.get(address).content.decode()
    owner.post(address, {"reason": "Its task is over."})
    order = EndOrder.objects.get(agent=agent)
    inbox = [each.key for each in entries.queue_of(person).mine]
    asked = friend.get(address).content.decode()
    shown = friend.get(f"/inbox/?item=ending:{order.pk}").content.decode()
    friend.post(f"{address}know/")
    working.carry_on(run_id=agent.end_run.pk)
    page = owner.get(address).content.decode()
    paper = owner.get(f"{address}certificate-1.pdf")
    plain = owner.get(f"{address}certificate-1.json")

    assert "1 of 1" in plan
    assert f"vault://{agent.slug}/key" in plan
    assert inbox == [f"ending:{order.pk}"]
    assert f"I know that {agent.slug} ends" in asked
    assert "What it holds" not in asked
    assert "Its task is over." in shown
    assert f"{agent.slug} has ended" in page
    assert (paper.content[:4], paper["Content-Type"]) == (b"%PDF", "application/pdf")
    digest = hashlib.sha256(plain.content).hexdigest()
    assert digest in page
    assert owner.get(f"{address}certificate-2.json").status_code == 404
    assert owner.get(f"{address}certificate-1.pdf").content == paper.content
    assert "Not everything is ended" in page


def asked_about() -> Agent:
    """An agent about which everything is asked that can be."""
    agent = make_agent(owner=make_person(department="Claims"))
    day = clock.now().date() + timedelta(days=3)
    register.renew_agent(agent_id=agent.pk, by=SWEEP, due=day, because="For a test.")
    renewals.ask(agent.pk, clock.now())
    register.update_person(person_id=agent.owner_id, by=security(), department="Sales")
    register.transfer_agent(agent_id=agent.pk, to=make_person(name="Tim"), by=agent.owner)
    campaign = Campaign.objects.create(
        name="Spring", started_by=agent.owner, started_at=clock.now(), due=day
    )
    Candidate.objects.create(
        campaign=campaign, position=1, kind="mcp", slug="old-desk", agent=agent, state="known"
    )
    return agent


def test_the_plan_lists_everything_that_is_asked_about_it() -> None:
    agent = asked_about()
    day = agent.cases.get(kind="mover").due_on

    plan = as_person(agent.owner).get(f"/api/v1/agents/{agent.slug}/decommissioning/plan").json()
    page = as_person(agent.owner).get(f"/agents/{agent.slug}/end/").content.decode()

    held = {part["name"]: [each["what"] for each in part["held"]] for part in plan["parts"]}
    owner = agent.owner
    assert sorted(held["cases"]) == [
        f"Does {agent.slug} stay with {owner}, who is in Sales now?",
        f"Is {agent.slug} still needed?",
    ]
    assert held["questions"] == [
        f"{agent.slug} goes from {owner} to Tim.",
        "A review to go on, looked at in time",
    ]
    assert held["campaigns"] == ["old-desk"]
    assert f"open until {day}" in page
    assert "campaign Spring" in page


def test_the_plan_lists_what_others_give_agents_as_they_say_it() -> None:
    agent = make_agent()
    address = f"/agents/{agent.slug}/end/"
    site = as_person(agent.owner)

    def seats(_: Agent) -> list[ending.Held]:
        return [ending.Held("A seat at the desk", "for Ana", True, "Ends at once.")]

    step = ending.EndingStep("seats", "Seats", 550, lambda a: "", ending.nothing, held=seats)
    before = site.get(address).content.decode()
    try:
        ending.register(step)
        after = site.get(address).content.decode()
    finally:
        ending.forget("seats")

    assert "A seat at the desk" not in before
    assert "A seat at the desk" in after


def test_the_plan_counts_the_people_and_names_the_agents_that_it_acts_for() -> None:
    world = acts_for_somebody(name="Ana Stray")
    desk, other = world.desk, another_for(world.desk)
    hands_over(desk, other.agent, desk.tool.name, user=world.user.pid)

    plan = as_person(desk.owner).get(f"/api/v1/agents/{desk.agent.slug}/decommissioning/plan")
    page = as_person(desk.owner).get(f"/agents/{desk.agent.slug}/end/").content.decode()

    held = {part["name"]: part["held"] for part in plan.json()["parts"]}
    assert [(each["what"], each["by_muster"]) for each in held["grants"]] == [("1 grant", True)]
    assert [(each["what"], each["where"]) for each in held["delegations"]] == [
        ("1 delegation", f"handed to {other.agent.slug}")
    ]
    assert "People it acts for" in page
    assert "Ana Stray" not in page


def test_who_only_relies_on_it_reads_that_it_ends_and_nothing_of_what_it_held() -> None:
    agent, person = relied_on()
    vault.create(f"vault://{agent.slug}/key", "worth", agent=agent, by=agent.owner)
    ended(agent)
    friend = as_person(person)
    address = f"/agents/{agent.slug}/end/"

    page = friend.get(address).content.decode()

    assert "It gets nothing any more" in page
    assert f"vault://{agent.slug}/key" not in page
    refused = ("steps/", "certificate-1.json", "certificate-1.pdf")
    assert [friend.get(f"{address}{each}").status_code for each in refused] == [404] * 3
    rest = f"/api/v1/agents/{agent.slug}/decommissioning/certificate.json"
    assert friend.get(rest).status_code == 404


def test_a_stranger_sees_no_end() -> None:
    agent = make_agent()
    ended(agent)

    stranger = as_person(make_person())

    for place in ("", "steps/", "certificate-1.json"):
        assert stranger.get(f"/agents/{agent.slug}/end/{place}").status_code == 404
    for place in ("", "/plan", "/certificate.json", "/certificate.pdf"):
        address = f"/api/v1/agents/{agent.slug}/decommissioning{place}"
        assert stranger.get(address).status_code == 404


def test_who_may_not_end_it_reads_why(client: Site) -> None:
    agent = make_agent(backup_owner=make_person())

    page = as_person(agent.backup_owner).get(f"/agents/{agent.slug}/end/").content.decode()
    done = as_person(agent.backup_owner).post(f"/agents/{agent.slug}/end/", {"reason": "x"})

    said = f"Only its owner {agent.owner} and security may decommission {agent.slug}."
    assert said in page
    assert said in done.content.decode()
    assert Agent.objects.get(pk=agent.pk).state == "active"


def test_the_same_over_rest() -> None:
    agent, person = relied_on()
    owner, friend = as_person(agent.owner), as_person(person)
    address = f"/api/v1/agents/{agent.slug}/decommissioning"

    def post(site: Site, where: str, **body: Any) -> Any:
        return site.post(f"{address}{where}", body, content_type="application/json")

    plan = owner.get(f"{address}/plan").json()
    early = owner.get(f"{address}/certificate.json").json()
    ordered = post(owner, "", reason="Over.")
    again = post(owner, "", reason="Over.")
    withdrawn = owner.delete(address).json()
    post(owner, "", reason="Over.")
    known = post(friend, "/acknowledge").json()
    working.carry_on(run_id=agent.end_run.pk)
    told = owner.get(address).json()
    document = owner.get(f"{address}/certificate.json")

    assert [each["waited_for"] for each in plan["dependents"]] == [True]
    assert (early["code"], again.status_code, again.json()["code"]) == (
        "not_ended",
        409,
        "already_ordered",
    )
    assert (ordered.status_code, ordered.json()["state"]) == (202, None)
    assert (withdrawn["order"], withdrawn["agent_state"]) == (None, "active")
    assert [each["acknowledged_by"] for each in known] == [person.pid]
    assert (told["state"], told["agent_state"], told["by"]) == (
        "done",
        "decommissioned",
        agent.owner.pid,
    )
    assert hashlib.sha256(document.content).hexdigest() == told["certificates"][0]["digest"]
    assert post(owner, "", reason="").status_code == 400
    assert owner.get(f"{address}/certificate.json?edition=x").status_code == 404
    assert owner.get(f"{address}/certificate.json?edition=2").status_code == 404


def test_the_same_from_the_command_line() -> None:
    agent, out = make_agent(), StringIO()

    call_command("decommission", agent.slug, by=agent.owner.email, stdout=out)
    before = Agent.objects.get(pk=agent.pk).state
    call_command("decommission", agent.slug, by=agent.owner.email, reason="Over.", stdout=out)

    assert "Nothing was done. Say --reason to end it." in out.getvalue()
    assert (before, Agent.objects.get(pk=agent.pk).state) == ("active", "decommissioning")
    with pytest.raises(CommandError, match="cannot be ended"):
        call_command("decommission", agent.slug, by=agent.owner.email, reason="Over.")
    with pytest.raises(CommandError, match="nobody"):
        call_command("decommission", agent.slug, by="nobody@example.org")


# Again


def again_form(agent: Agent, **changed: Any) -> dict[str, Any]:
    return {
        "slug": f"{agent.slug}-2",
        "purpose": agent.purpose,
        "kind": agent.kind,
        "pattern": agent.pattern,
        "tools": [agent.allowlist.get().tool_id],
        "rate_per_minute": 10,
        "rate_per_hour": 100,
        "spend_cap": "5.00",
        "again": agent.slug,
        "template": "something-else",
        "then": "draft",
    } | changed


def test_registered_again_it_is_a_new_row_that_inherits_nothing() -> None:
    agent = make_agent(slug="night-desk")
    vault.create(f"vault://{agent.slug}/key", "worth", agent=agent, by=agent.owner)
    ended(agent)
    site = as_person(agent.owner)

    form = site.get(f"/agents/register/?again={agent.slug}&template=something-else")
    answer = site.post("/agents/register/", again_form(agent))

    later = Agent.objects.get(slug=f"{agent.slug}-2")
    made = Succession.objects.get()
    text = form.content.decode()
    assert answer.status_code == 302
    assert f'value="{agent.slug}-2"' in text
    assert agent.purpose in text
    assert (made.earlier, made.later, later.state) == (agent, later, AgentState.DRAFT)
    assert not Client.objects.filter(agent=later).exists()
    assert (later.credentials.count(), later.clearances.count()) == (0, 0)
    assert later.allowlist.get().tool == agent.allowlist.get().tool
    assert agent.slug in site.get(f"/agents/{later.slug}/").content.decode()
    assert later.slug in site.get(f"/agents/{agent.slug}/end/").content.decode()


def test_only_what_has_ended_is_registered_again() -> None:
    agent = make_agent()
    site = as_person(agent.owner)

    answer = site.get(f"/agents/register/?again={agent.slug}")

    assert answer.status_code == 409
    assert as_person(make_person()).get(f"/agents/register/?again={agent.slug}").status_code == 404
