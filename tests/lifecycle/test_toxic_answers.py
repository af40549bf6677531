"""Findings are kept, found again, and answered in three ways."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest
from django.db import connection, transaction

from authz import services as authorization
from authz.models import OutputTier, Policy, Role
from governance.kernel import clock
from governance.kernel.errors import Invalid, NotAllowed, NotFound
from lifecycle.models import Notice, Review, ToxicCheck, ToxicDue, ToxicFinding, ToxicSplit
from lifecycle.reviews import services as reviews
from lifecycle.toxic import answering, checking
from lifecycle.toxic.errors import AlreadyAnswered, CannotSplit
from registry import changes, services
from registry.enums import AgentState
from registry.errors import NotCleared
from registry.models import Agent, Client, Person, ProposedChange
from registry.reach import reach_of
from registry.selectors import agent_by_slug
from tests.factories.authz import bearer
from tests.factories.registry import (
    make_draft,
    make_person,
    make_system,
    make_tool,
    security,
    sign_everything,
)

pytestmark = pytest.mark.django_db


def sweep() -> int:
    """The sweep until nothing is due; how many owners were looked at."""
    done = 0
    for key in checking.due(clock.now()):
        done += checking.check_owner(key, clock.now())
    return done


def who_earns(**fields) -> Agent:
    """A draft that reads both sides of `salary-per-person`, and writes a file."""
    owner = fields.pop("owner", None) or make_person()
    schema = {"type": "object", "properties": {}, "additionalProperties": False}
    hr = make_tool(make_system(categories=["hr-directory"]), schema=schema)
    pay = make_tool(
        make_system(categories=["compensation"], tier="confidential", by=None), schema=schema
    )
    out = make_tool(make_system(tier="confidential"), effect="write", schema=schema)
    agent = make_draft(owner, hr, **fields)
    for tool in (pay, out):
        services.set_allowlist_entry(agent_id=agent.pk, tool=tool, by=owner)
    role = Role.objects.create(slug=f"role-{agent.slug}")
    role.tools.add(hr, pay, out)
    role.agents.add(agent)
    return Agent.objects.get(pk=agent.pk)


def finding_of(agent: Agent) -> ToxicFinding:
    sweep()
    return ToxicFinding.objects.get(agent=agent)


# Found


def test_a_registered_row_is_found_once_and_told_to_owner_and_security() -> None:
    guard = security()
    agent = who_earns()

    row = finding_of(agent)
    checking.ask_for([agent.owner_id])
    again = finding_of(agent)

    told = set(Notice.objects.filter(code="toxic.found").values_list("person_id", flat=True))
    assert (row.pk, row.since, row.state) == (again.pk, again.since, "open")
    assert {guard.pk, agent.owner_id} <= told
    assert Notice.objects.filter(code="toxic.found", person=guard).count() == 1


def test_it_is_gone_when_a_part_is_taken_away_and_comes_back_as_the_same() -> None:
    agent = who_earns()
    row = finding_of(agent)
    tool = agent.allowlist.get(tool__system__categories=["compensation"]).tool

    services.remove_allowlist_entry(agent_id=agent.pk, tool=tool, by=agent.owner)
    gone = finding_of(agent)
    services.set_allowlist_entry(agent_id=agent.pk, tool=tool, by=agent.owner)
    back = finding_of(agent)

    assert (gone.pk, gone.state) == (row.pk, "gone")
    assert (back.pk, back.state, back.gone_at) == (row.pk, "open", None)


def test_another_category_of_a_system_completes_it() -> None:
    owner = make_person()
    agent = make_draft(owner, make_tool(make_system(categories=["hr-directory"])))
    plain = make_system()
    services.set_allowlist_entry(agent_id=agent.pk, tool=make_tool(plain), by=owner)
    sweep()
    before = ToxicFinding.objects.count()

    services.save_system(slug=plain.slug, by=security(), categories=["compensation"])

    assert (before, finding_of(agent).combination) == (0, "salary-per-person")


def test_a_role_that_changes_has_its_agents_looked_at() -> None:
    agent = who_earns()
    sweep()

    authorization.change_role(
        slug=f"role-{agent.slug}",
        by=security(),
        remove={"tools": [agent.allowlist.first().tool.name]},
    )

    assert checking.due(clock.now()) == [agent.owner_id]


def test_agents_of_one_owner_are_found_together() -> None:
    owner = make_person()
    one = make_draft(owner, make_tool(make_system(categories=["hr-directory"])))
    other = make_draft(owner, make_tool(make_system(categories=["compensation"])))
    sweep()

    row = ToxicFinding.objects.get(owner=owner)

    assert (row.scope, row.agents, row.connected) == ("owner", [one.slug, other.slug], False)


def test_a_transfer_takes_it_to_the_other_owner() -> None:
    owner, heir = make_person(), make_person()
    make_draft(heir, make_tool(make_system(categories=["hr-directory"])))
    other = make_draft(owner, make_tool(make_system(categories=["compensation"])))
    sweep()

    change = services.transfer_agent(agent_id=other.pk, to=heir, by=owner)
    for each in ProposedChange.objects.filter(kind="agent.transfer", state="proposed"):
        changes.agree(change_id=each.pk, by=heir)
    sweep()

    assert change is not None
    assert ToxicFinding.objects.get(owner=heir).state == "open"


def test_adding_one_to_the_catalogue_checks_everything_and_stops_nothing() -> None:
    owner = make_person()
    one = make_draft(owner, make_tool(make_system(categories=["weather"])))
    services.set_allowlist_entry(
        agent_id=one.pk, tool=make_tool(make_system(categories=["moods"])), by=owner
    )
    services.attest_agent(agent_id=one.pk, by=owner)
    sweep()
    authorization.save_toxic(
        slug="weather-and-moods",
        by=security(),
        categories=["weather", "moods"],
        implied_tier="restricted",
        reason="Together they tell who is unwell when.",
    )
    waiting = ToxicDue.objects.filter(check_of__isnull=False, done_at__isnull=True).count()

    sweep()

    check = ToxicCheck.objects.get()
    one.refresh_from_db()
    assert (waiting, check.found, check.due.filter(done_at__isnull=True).count()) == (1, 1, 0)
    assert one.state == AgentState.ACTIVE
    assert f"Live now, and not stopped: {one.slug}" in Notice.objects.filter(person=owner)[0].text


# Answered


def test_the_choice_and_its_reason_are_kept_and_recorded(mark, records_after) -> None:
    agent = who_earns()
    row = finding_of(agent)
    before = mark()

    answering.aggregate(finding_id=row.pk, by=agent.owner, reason="Its reports stay with HR.")

    row.refresh_from_db()
    records = [one["body"] for one in records_after(before)]
    assert (row.state, row.answer, row.answer_reason) == (
        "answered",
        "aggregate",
        "Its reports stay with HR.",
    )
    assert any(b"toxic_answered" in bytes(body) for body in records)
    with pytest.raises(AlreadyAnswered):
        answering.aggregate(finding_id=row.pk, by=agent.owner, reason="Again.")


def test_only_who_answers_for_it_and_security_answer() -> None:
    agent = who_earns()
    row = finding_of(agent)

    with pytest.raises(NotFound):
        answering.aggregate(finding_id=row.pk, by=make_person(), reason="Mine.")
    with pytest.raises(NotAllowed):
        answering.aggregate(finding_id=row.pk, by=make_person("auditor"), reason="Mine.")
    with pytest.raises(Invalid):
        answering.aggregate(finding_id=row.pk, by=security(), reason=" ")


def test_lowering_outputs_again_takes_two_and_opens_the_finding() -> None:
    agent = who_earns()
    row = finding_of(agent)
    answering.aggregate(finding_id=row.pk, by=agent.owner, reason="It stays with HR.")
    (change,) = answering.ask_to_lower(finding_id=row.pk, by=agent.owner, reason="Not needed.")
    still = OutputTier.objects.get().tier

    changes.agree(change_id=change.pk, by=security())

    assert (still, OutputTier.objects.count(), finding_of(agent).state) == ("restricted", 0, "open")


def test_a_draft_is_sent_for_review() -> None:
    agent = who_earns()

    answering.elevate(finding_id=finding_of(agent).pk, by=agent.owner, reason="It must.")

    agent.refresh_from_db()
    assert agent.state == AgentState.IN_REVIEW


def test_what_went_live_with_every_signature_waits_for_no_answer() -> None:
    agent = who_earns()
    services.submit_for_review(agent_id=agent.pk, by=agent.owner)
    sign_everything(agent)

    row = finding_of(agent)

    assert (row.state, row.answer) == ("answered", "elevate")
    assert row.answered_by_id in agent.clearances.values_list("by", flat=True)


def test_what_was_signed_before_the_combination_was_so_is_not_reviewed_for_it() -> None:
    agent = who_earns()
    services.submit_for_review(agent_id=agent.pk, by=agent.owner)
    sign_everything(agent)
    authorization.save_toxic(slug="salary-per-person", by=security(), reference="Once more.")

    row = finding_of(agent)
    assert row.state == "open"
    answering.elevate(finding_id=row.pk, by=agent.owner, reason="Payroll needs it.")
    change = ProposedChange.objects.get(kind="agent.stay")
    with pytest.raises(NotCleared):
        changes.agree(change_id=change.pk, by=security())


def live_with_a_new_combination() -> Agent:
    """Live by its owner's word, before anybody knew that this is toxic together."""
    owner = make_person()
    agent = make_draft(owner, make_tool(make_system(categories=["weather"])))
    moods = make_tool(make_system(categories=["moods"], owner=make_person("source_owner")))
    services.set_allowlist_entry(agent_id=agent.pk, tool=moods, by=owner)
    services.attest_agent(agent_id=agent.pk, by=owner)
    authorization.save_toxic(
        slug="weather-and-moods",
        by=security(),
        categories=["weather", "moods"],
        implied_tier="restricted",
        reason="Together they tell who is unwell when.",
    )
    return Agent.objects.get(pk=agent.pk)


def test_a_live_one_stays_by_everybodys_signature() -> None:
    agent = live_with_a_new_combination()
    row = finding_of(agent)
    answering.elevate(finding_id=row.pk, by=agent.owner, reason="The canteen needs it.")
    change = ProposedChange.objects.get(kind="agent.stay")
    steps = list(Review.objects.get(change=change).steps.order_by("pk"))
    with pytest.raises(NotAllowed):
        changes.agree(change_id=change.pk, by=agent.owner)
    with pytest.raises(NotCleared), transaction.atomic():
        changes.agree(change_id=change.pk, by=security())

    for step in steps:
        reviews.approve_step(step_id=step.pk, by=signer_of(step))

    change.refresh_from_db()
    assert sorted(step.role for step in steps) == ["dpo", "security", *["source_owner"] * 2]
    assert (change.state, finding_of(agent).state) == ("agreed", "answered")


def signer_of(step) -> Person:
    """Someone of the step's role; in the place of a source's owner, security."""
    if step.system and step.system.owner:
        return step.system.owner
    return make_person("dpo" if step.role == "dpo" else "security")


def test_a_live_one_that_is_refused_asks_again() -> None:
    agent = live_with_a_new_combination()
    row = finding_of(agent)
    answering.elevate(finding_id=row.pk, by=agent.owner, reason="The canteen needs it.")

    change = ProposedChange.objects.get(kind="agent.stay")
    changes.reject(change_id=change.pk, by=security(), answer="Split it.")

    row.refresh_from_db()
    agent.refresh_from_db()
    assert (row.state, row.answer, agent.state) == ("open", "", "active")


def test_more_than_was_answered_asks_again() -> None:
    agent = who_earns()
    answering.aggregate(finding_id=finding_of(agent).pk, by=agent.owner, reason="Known.")
    more = make_tool(make_system(categories=["compensation"]))

    services.set_allowlist_entry(agent_id=agent.pk, tool=more, by=agent.owner)

    assert (finding_of(agent).state, OutputTier.objects.count()) == ("open", 1)


# Split


def test_split_opens_two_drafts_each_on_one_side() -> None:
    agent = who_earns()
    tools = set(agent.allowlist.values_list("tool__name", flat=True))

    made = answering.split(finding_id=finding_of(agent).pk, by=agent.owner, reason="Apart.")

    rows = [agent_by_slug(each.slug) for each in (made.first, made.second)]
    held = [set(row.allowlist.values_list("tool__name", flat=True)) for row in rows]
    assert (held[0] | held[1], held[0] & held[1]) == (tools, set())
    assert [row.state for row in rows] == ["draft", "draft"]
    assert [reach_of(row).combinations for row in rows] == [(), ()]
    assert all(row.owner_id == agent.owner_id for row in rows)


def test_the_junction_comes_with_a_policy_of_its_own_by_two_people() -> None:
    agent = who_earns()
    made = answering.split(finding_id=finding_of(agent).pk, by=agent.owner, reason="Apart.")
    before = ToxicSplit.objects.junction_tools()
    change = ProposedChange.objects.get(kind="toxic.junction")
    with pytest.raises(NotAllowed):
        changes.agree(change_id=change.pk, by=agent.owner)

    changes.agree(change_id=change.pk, by=security())
    sweep()

    policy = Policy.objects.get(slug=made.policy)
    across = ToxicFinding.objects.get(owner=agent.owner)
    rows = [reach_of(agent_by_slug(each.slug)) for each in (made.first, made.second)]
    assert (before, ToxicSplit.objects.junction_tools()) == (frozenset(), frozenset({made.tool}))
    assert (policy.state, policy.text.startswith("forbid")) == ("active", True)
    assert [reach.combinations for reach in rows] == [(), ()]
    assert [str(reach.tier) for reach in rows] == ["confidential", "confidential"]
    assert (across.state, across.answer, across.connected) == ("answered", "split", False)


def test_one_tool_that_gives_both_cannot_be_split() -> None:
    owner = make_person()
    both = make_tool(make_system(categories=["hr-directory", "compensation"]))
    agent = make_draft(owner, both)

    with pytest.raises(CannotSplit):
        answering.split(finding_id=finding_of(agent).pk, by=owner, reason="Apart.")
    assert Agent.objects.filter(owner=owner).count() == 1


def test_a_split_is_taken_back_while_nothing_of_it_runs() -> None:
    agent = who_earns()
    row = finding_of(agent)
    made = answering.split(finding_id=row.pk, by=agent.owner, reason="Apart.")

    answering.undo_split(finding_id=row.pk, by=agent.owner)
    changes.agree(change_id=ProposedChange.objects.get(kind="toxic.junction").pk, by=security())

    made.refresh_from_db()
    made.first.refresh_from_db()
    assert (finding_of(agent).state, made.first.state) == ("open", "decommissioned")
    assert Policy.objects.filter(slug=made.policy).count() == 0
    assert answering.split(finding_id=row.pk, by=agent.owner, reason="Once more.").pk != made.pk


@pytest.mark.django_db(transaction=True)
def test_neither_run_of_a_split_comes_to_what_the_union_came_to(client) -> None:
    agent = who_earns()
    row = finding_of(agent)
    made = answering.split(finding_id=row.pk, by=agent.owner, reason="Apart.")
    guard = security()
    changes.agree(change_id=ProposedChange.objects.get(kind="toxic.junction").pk, by=guard)
    sides = [go_live(each, guard) for each in (made.first, made.second)]
    every = [*agent.allowlist.values_list("tool__name", flat=True), made.tool]

    told = {
        side.slug: {name: ask(client, side, name, side_of(made, side)) for name in every}
        for side in sides
    }

    allowed = {slug: {n for n, one in each.items() if one[0]} for slug, each in told.items()}
    first, second = (set(made.sides[name]) | {made.tool} for name in ("first", "second"))
    assert allowed == {made.first.slug: first, made.second.slug: second}
    assert "restricted" not in {one[1] for each in told.values() for one in each.values() if one[0]}
    assert ask(client, sides[0], made.tool, {"side": "second", "value": "x"})[0] is False


def go_live(agent: Agent, guard) -> Agent:
    services.submit_for_review(agent_id=agent.pk, by=agent.owner)
    services.approve_agent(agent_id=agent.pk, by=guard)
    return Agent.objects.get(pk=agent.pk)


def side_of(made: ToxicSplit, agent: Agent) -> dict[str, str]:
    return {"side": "first" if agent.pk == made.first_id else "second", "value": "12 people"}


def ask(client, agent: Agent, tool: str, parameters) -> tuple[bool, str]:
    given = parameters if tool.startswith("junction-") else {}
    body = {
        "subject": {"type": "agent", "id": agent.slug},
        "action": {"name": tool, "properties": given},
        "resource": {"type": "tool", "id": tool},
    }
    of = Client.objects.get(agent=agent)
    answer = client.post(
        "/access/v1/evaluation",
        data=body,
        content_type="application/json",
        headers={"authorization": bearer(of)},
    ).json()
    return answer["decision"], answer["context"]["classification"]


# At once


@pytest.mark.django_db(transaction=True)
def test_looking_at_once_finds_once() -> None:
    agent = who_earns()
    checking.ask_for([agent.owner_id])

    def look(_: int) -> bool:
        try:
            return checking.check_owner(agent.owner_id, clock.now())
        finally:
            connection.close()

    with ThreadPoolExecutor(4) as pool:
        done = list(pool.map(look, range(4)))

    assert done.count(True) == 1
    assert ToxicFinding.objects.filter(agent=agent).count() == 1
    assert checking.due(clock.now()) == []


def test_what_is_asked_while_it_looks_is_looked_at_again() -> None:
    agent = who_earns()
    sweep()
    checking.ask_for([agent.owner_id])
    checking.ask_for([agent.owner_id])

    assert (checking.due(clock.now()), sweep(), sweep()) == ([agent.owner_id], 1, 0)
