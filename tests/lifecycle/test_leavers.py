"""Leavers: flagged at once, denied at once, asked for five business days, then decommissioned."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from django.contrib.auth.models import Group
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from authz.decide import decide
from governance.kernel import clock
from governance.kernel.errors import Invalid, NotAllowed
from lifecycle.cases import sweep as cases
from lifecycle.cases.errors import CaseClosed
from lifecycle.inbox.entries import queue_of
from lifecycle.leavers import services, sweep
from lifecycle.leavers.page import page_of
from lifecycle.models import Case, Notice, Review, ReviewStep
from lifecycle.reviews.selectors import people_for
from registry import services as register
from registry.enums import AgentState, GroupName
from registry.models import Agent, Person, System
from registry.permissions import Automatic
from tests.factories.authz import Desk, make_desk
from tests.factories.registry import make_agent, make_person, make_system, make_tool, security
from tests.lifecycle.worlds_acting import acts_for_somebody

pytestmark = pytest.mark.django_db

HR = Automatic("scim")
MONDAY = datetime(2026, 11, 2, 9, tzinfo=UTC)
DUE = datetime(2026, 11, 9, 17, tzinfo=UTC)
TODAY = MONDAY.date()
TOMORROW = date.today() + timedelta(days=1)  # noqa: DTZ011  any day to come


@pytest.fixture
def at(monkeypatch: pytest.MonkeyPatch) -> Callable[[datetime], None]:
    """Move the clock of Muster; the record's ids stay in the database's time."""
    uuid7 = clock.uuid7
    monkeypatch.setattr(clock, "uuid7", lambda at=None: uuid7(at or datetime.now(UTC)))

    def move(when: datetime) -> None:
        monkeypatch.setattr(clock, "now", lambda: when)

    return move


@pytest.fixture
def owner() -> Person:
    return make_person(name="Olga", manager=make_person(name="Mara"))


def boss_of(person: Person) -> Person:
    assert person.manager is not None
    return person.manager


def leave(person: Person, employment: str = "left", last_day: date = TODAY) -> None:
    register.set_employment(person_id=person.pk, employment=employment, last_day=last_day, by=HR)


def come_back(person: Person) -> None:
    register.set_employment(person_id=person.pk, employment="employed", by=HR)


def case_of(agent: Agent) -> Case:
    return Case.objects.get(agent=agent, kind="leaver")


def run(now: datetime) -> int:
    return sum(cases.handle(key, now) for key in cases.due(now))


def reconcile(now: datetime) -> int:
    return sum(sweep.handle(key, now) for key in sweep.due(now))


def told(person: Person) -> list[str]:
    rows = Notice.objects.filter(person=person, code__startswith="leaver.").order_by("made_at")
    return list(rows.values_list("code", flat=True))


def make_owned_desk(owner: Person) -> Desk:
    """An agent that may call something, of this owner."""
    desk = make_desk()
    Agent.objects.filter(pk=desk.agent.pk).update(owner=owner)
    return desk


def effect_of(desk: Desk) -> tuple[str, str]:
    (answer,) = decide([desk.ask()], desk.caller)
    return str(answer.decision.effect), answer.decision.code


def test_leaving_flags_every_agent_at_once_and_the_clock_runs(at: Any, owner: Person) -> None:
    backup = make_person(name="Bo")
    first, second = make_agent(owner=owner, backup_owner=backup), make_agent(owner=owner)
    draft, over = (
        make_agent(AgentState.DRAFT, owner=owner),
        make_agent(AgentState.DECOMMISSIONED, owner=owner),
    )

    at(MONDAY)
    leave(owner, "leaving", date(2026, 12, 31))

    assert {case.agent_id for case in Case.objects.all()} == {first.pk, second.pk, draft.pk}
    case = case_of(first)
    assert (case.due_on, case.due_at) == (DUE.date(), DUE)
    assert case.proposed_owner == backup
    assert case_of(second).proposed_owner == boss_of(owner)
    assert not over.cases.exists()
    assert (told(backup), told(owner), told(boss_of(owner))) == (
        ["leaver.offered"],
        ["leaver.flagged"],
        ["leaver.offered"],
    )
    assert [entry.kind for entry in queue_of(backup).mine] == ["leaver"]


def test_days_are_counted_where_the_owner_is(at: Any) -> None:
    places = (("Europe/Copenhagen", "DK"), ("America/New_York", "US"), ("UTC", ""))
    agents = [make_agent(owner=make_person(zone=zone, calendar=of)) for zone, of in places]
    at(datetime(2026, 12, 18, 9, tzinfo=UTC))
    for agent in agents:
        leave(agent.owner)

    found = {agent.owner.calendar: case_of(agent).due_at for agent in agents}

    assert found == {
        "DK": datetime(2026, 12, 28, 16, tzinfo=UTC),
        "US": datetime(2026, 12, 28, 22, tzinfo=UTC),
        "": datetime(2026, 12, 25, 17, tzinfo=UTC),
    }


def test_sent_twice_and_out_of_order_it_is_one_case_on_one_clock(at: Any, owner: Person) -> None:
    agent = make_agent(owner=owner)

    at(MONDAY)
    leave(owner)
    at(MONDAY + timedelta(days=2))
    leave(owner)
    leave(owner, "leaving", date(2026, 12, 31))

    case = case_of(agent)
    assert (case.state, case.due_at) == ("open", DUE)
    assert told(boss_of(owner)) == ["leaver.offered"]
    assert sorted(case.events.values_list("what", flat=True)) == [
        "left",
        f"offered:{boss_of(owner).pid}:1",
        "opened",
    ]


def test_each_day_is_told_once_and_the_last_one_to_security_and_the_platform(
    at: Any, owner: Person
) -> None:
    agents = [make_agent(owner=owner) for _ in range(3)]
    sec, admin = security(), make_person(GroupName.PLATFORM_ADMIN)
    at(MONDAY)
    leave(owner)

    for day in (3, 4, 5, 6, 7, 8, 9):
        for hour in (1, 9, 16):
            now = datetime(2026, 11, day, hour, tzinfo=UTC)
            at(now)
            run(now)

    assert told(boss_of(owner)) == ["leaver.offered", *["leaver.day"] * 4, "leaver.last_day"]
    assert (told(sec), told(admin)) == (["leaver.last_day"], ["leaver.last_day"])
    assert {case_of(agent).state for agent in agents} == {"open"}


@pytest.mark.parametrize("late", [timedelta(), timedelta(days=3)])
def test_at_the_end_of_day_five_it_is_decommissioned_with_its_true_date(
    at: Any, owner: Person, mark: Any, records_after: Any, late: timedelta
) -> None:
    agent, marked = make_agent(owner=owner), mark()
    at(MONDAY)
    leave(owner)

    assert run(DUE - timedelta(seconds=1)) == 1
    assert Agent.objects.get(pk=agent.pk).state == "active"
    at(DUE + late)
    assert (run(DUE + late), run(DUE + late)) == (1, 0)

    agent.refresh_from_db()
    case = case_of(agent)
    assert (agent.state, case.state, case.outcome) == ("decommissioning", "ended", "decommissioned")
    assert agent.state_reason == "Its owner leaves. Nobody answered by 2026-11-09 17:00 UTC."
    asked = [
        json.loads(bytes(each["body"]).split(b"\n")[0])["asked"] for each in records_after(marked)
    ]
    ended = [each["due"] for each in asked if each.get("did") == "case_ended"]
    assert ended == [DUE.isoformat()]


def test_who_left_loses_every_duty_and_way_in_and_their_agents_everything(
    client: Client, owner: Person
) -> None:
    desk = make_owned_desk(owner)
    owner.set_password("a long enough one")
    owner.groups.add(Group.objects.get_or_create(name="security")[0])
    owner.save()
    client.force_login(owner)
    absent = make_person(GroupName.SECURITY)
    absence = register.declare_absence(
        person=absent, stand_in=owner, first_day=TOMORROW, last_day=TOMORROW, by=absent
    )
    assert effect_of(desk)[0] == "allow"

    leave(owner, last_day=clock.now().date())

    assert effect_of(desk) == ("deny", "identity.owner_left")
    gone = Person.objects.get(pk=owner.pk)
    assert (gone.group_names, gone.is_active, gone.is_staff) == (frozenset(), False, False)
    assert not gone.check_password("a long enough one")
    absence.refresh_from_db()
    assert absence.ended_at is not None
    assert told(absent) == ["leaver.stand_in"]
    assert client.get("/", secure=True).status_code == 302
    # Back again, the session and the groups of before are not.
    come_back(owner)
    assert client.get("/", secure=True).status_code == 302
    assert Person.objects.get(pk=owner.pk).group_names == frozenset()


def test_who_is_asked_accepts_and_it_runs_for_them(owner: Person) -> None:
    backup = make_person()
    desk = make_owned_desk(owner)
    Agent.objects.filter(pk=desk.agent.pk).update(backup_owner=backup)
    leave(owner, last_day=clock.now().date())
    case = case_of(desk.agent)
    with pytest.raises(NotAllowed):
        services.accept(case_id=case.pk, by=boss_of(owner))

    services.accept(case_id=case.pk, by=backup)

    agent = Agent.objects.get(pk=desk.agent.pk)
    case.refresh_from_db()
    assert (agent.owner, agent.backup_owner) == (backup, None)
    assert (case.state, case.outcome, case.closed_by) == ("answered", "accepted", backup)
    assert effect_of(desk)[0] == "allow"
    assert told(boss_of(owner))[-1] == "leaver.closed"
    with pytest.raises(CaseClosed):
        services.accept(case_id=case.pk, by=backup)


def test_a_no_asks_the_next_and_then_security(owner: Person) -> None:
    backup, sec = make_person(), security()
    agent = make_agent(owner=owner, backup_owner=backup)
    leave(owner, last_day=clock.now().date())
    case = case_of(agent)
    with pytest.raises(Invalid):
        services.refuse(case_id=case.pk, by=backup, reason=" ")

    services.refuse(case_id=case.pk, by=backup, reason="I do not know it.")
    case.refresh_from_db()
    assert case.proposed_owner == boss_of(owner)
    services.refuse(case_id=case.pk, by=boss_of(owner), reason="Nor do I.")

    case.refresh_from_db()
    assert case.proposed_owner is None
    assert told(sec) == ["leaver.nobody"]
    assert [entry.kind for entry in queue_of(sec).mine if entry.kind == "leaver"] == ["leaver"]


def test_somebody_named_must_accept_and_nobody_names_themself(owner: Person) -> None:
    other, sec = make_person(), security()
    agent = make_agent(owner=owner)
    leave(owner, last_day=clock.now().date())
    case = case_of(agent)
    for by, to in ((sec, sec), (boss_of(owner), boss_of(owner)), (sec, owner)):
        with pytest.raises(Invalid):
            services.name_owner(case_id=case.pk, to=to, by=by)
    with pytest.raises(NotAllowed):
        services.name_owner(case_id=case.pk, to=boss_of(owner), by=other)

    services.name_owner(case_id=case.pk, to=other, by=boss_of(owner), reason="She built it.")
    with pytest.raises(NotAllowed):
        services.accept(case_id=case.pk, by=boss_of(owner))
    services.accept(case_id=case.pk, by=other)

    assert Agent.objects.get(pk=agent.pk).owner == other


def test_who_signed_an_agent_is_not_asked_to_own_it(owner: Person) -> None:
    agent = make_agent(tier="confidential", owner=owner)
    signer = agent.clearances.get(basis="security").by
    Agent.objects.filter(pk=agent.pk).update(backup_owner=signer)

    leave(owner, last_day=clock.now().date())

    assert case_of(agent).proposed_owner == boss_of(owner)


def test_ended_at_once_is_an_answer(owner: Person) -> None:
    agent = make_agent(owner=owner)
    leave(owner, last_day=clock.now().date())
    case = case_of(agent)
    with pytest.raises(NotAllowed):
        services.end_agent(case_id=case.pk, by=make_person(), reason="Nobody needs it.")

    services.end_agent(case_id=case.pk, by=boss_of(owner), reason="Nobody needs it.")

    agent.refresh_from_db()
    case.refresh_from_db()
    assert (agent.state, agent.state_changed_by) == ("decommissioning", boss_of(owner))
    assert (case.state, case.outcome) == ("answered", "ended_at_once")


def test_whoever_comes_back_in_time_keeps_what_was_not_handed_over(owner: Person) -> None:
    kept, given = make_agent(owner=owner), make_agent(owner=owner)
    leave(owner, last_day=clock.now().date())
    services.accept(case_id=case_of(given).pk, by=boss_of(owner))

    come_back(owner)

    assert (case_of(kept).state, case_of(kept).outcome) == ("dropped", "came_back")
    assert Agent.objects.get(pk=given.pk).owner == boss_of(owner)
    assert told(owner)[-1] == "leaver.closed"
    assert run(clock.now() + timedelta(days=30)) == 0


def test_who_is_asked_and_leaves_too_is_asked_no_more(owner: Person) -> None:
    backup = make_person()
    agent = make_agent(owner=owner, backup_owner=backup)
    leave(owner, last_day=clock.now().date())

    leave(backup, "leaving", date(2099, 1, 1))

    assert case_of(agent).proposed_owner == boss_of(owner)


# What an event missed


def test_reconciliation_finds_who_left_without_an_event(client: Client, owner: Person) -> None:
    agent, backed = make_agent(owner=owner), make_agent(backup_owner=owner)
    owner.groups.add(Group.objects.get_or_create(name="security")[0])
    leave(backed.owner, "leaving", date(2099, 1, 1))
    assert case_of(backed).proposed_owner == owner
    client.force_login(owner)
    Person.objects.filter(pk=owner.pk).update(employment="left", last_day=TODAY)

    now = clock.now()
    assert (reconcile(now) > 0, reconcile(now)) == (True, 0)

    gone = Person.objects.get(pk=owner.pk)
    assert (gone.is_active, gone.group_names) == (False, frozenset())
    assert case_of(agent).state == "open"
    assert case_of(backed).proposed_owner is None
    assert client.get("/", secure=True).status_code == 302


def test_reconciliation_finds_a_last_day_that_passed(owner: Person) -> None:
    agent = make_agent(owner=owner)
    leave(owner, "leaving", clock.now().date())
    due = case_of(agent).due_at
    tomorrow = clock.now() + timedelta(days=1)
    assert sweep.due(clock.now()) == []

    reconcile(tomorrow)

    assert Person.objects.get(pk=owner.pk).employment == "left"
    assert case_of(agent).due_at == due
    assert case_of(agent).events.filter(what="left").exists()


def test_reconciliation_asks_another_where_who_was_asked_left_unseen(owner: Person) -> None:
    backup = make_person()
    agent = make_agent(owner=owner, backup_owner=backup)
    leave(owner, "leaving", date(2099, 1, 1))
    Person.objects.filter(pk=backup.pk).update(employment="leaving", last_day=date(2099, 1, 1))

    assert reconcile(clock.now()) == 1

    assert case_of(agent).proposed_owner == boss_of(owner)
    assert reconcile(clock.now()) == 0


def test_reconciliation_finds_an_agent_without_its_case(owner: Person) -> None:
    leave(owner, "leaving", date(2099, 1, 1))
    agent = make_agent(owner=make_person())
    Agent.objects.filter(pk=agent.pk).update(owner=owner)

    reconcile(clock.now())

    assert case_of(agent).proposed_owner == boss_of(owner)


# The page


def test_the_page_of_a_leaver_takes_answers_and_tells_the_whole_story(
    client: Client, owner: Person
) -> None:
    desk, other = make_owned_desk(owner), make_agent(owner=owner)
    auditor = make_person(GroupName.AUDITOR)
    leave(owner, last_day=clock.now().date())
    effect_of(desk)
    client.force_login(boss_of(owner))
    page = f"/leavers/{owner.pid}/"

    client.post(f"{page}answer/", {"word": "accept", "case": case_of(other).pk}, secure=True)
    answered = client.post(
        f"{page}answer/",
        {"word": "end", "case": case_of(desk.agent).pk, "reason": "Nobody needs it."},
        secure=True,
        follow=True,
    )

    assert Agent.objects.get(pk=other.pk).owner == boss_of(owner)
    said = f"{desk.agent.slug} gets nothing from now on"
    assert said in answered.content.decode()
    client.force_login(auditor)
    shown = client.get(page, secure=True).content.decode()
    told = (
        f"{desk.agent.slug} is flagged",
        f"{other.slug} was handed over to Mara",
        f"{desk.agent.slug} began to be decommissioned",
        "Muster (scim) says that Olga has left",
        "Every duty and way in of Olga was taken away",
        "Tried, and refused",
        "Nobody needs it.",
    )
    assert [each for each in told if each not in shown] == []
    events = case_of(other).events.values_list("record", flat=True)
    assert [
        each for each in events if f"/record/{each}" not in shown and str(each) not in shown
    ] == []
    assert 'name="word"' not in shown
    client.force_login(make_person())
    assert client.get(page, secure=True).status_code == 403


def test_who_has_left_lets_nobody_act_for_them_and_the_page_says_which(client: Client) -> None:
    boss, asked = make_person(name="Mara"), make_person()
    world = acts_for_somebody(manager=boss, chat_handle="@ana")
    make_agent(owner=world.user, backup_owner=asked)
    slug, page = world.desk.agent.slug, f"/leavers/{world.user.pid}/"

    leave(world.user, last_day=clock.now().date())

    client.force_login(boss)
    shown = client.get(page, secure=True).content.decode()
    assert "Agents that acted for them" in shown
    assert f"{slug} acts for {world.user} no more" in shown
    (told,) = client.get(f"/api/v1/leavers/{world.user.pid}", secure=True).json()["grants"]
    assert (told["agent"], told["tools"]) == (slug, [world.desk.tool.name])
    assert told["ended_at"] is not None
    client.force_login(asked)
    assert slug not in client.get(page, secure=True).content.decode()
    assert client.get(f"/api/v1/leavers/{world.user.pid}", secure=True).json()["grants"] == []


# The same event by a source of people


def heard(external_id: str, **facts: Any) -> Person:
    said = {"name": "Olga", **facts}
    return register.sync_person(source="hr", external_id=external_id, facts=said, by=HR).person  # type: ignore[arg-type]


def test_an_address_in_other_case_is_the_same_leaver(owner: Person) -> None:
    desk = make_owned_desk(owner)

    gone = heard("7", email=owner.email.upper(), active=False)

    assert gone == owner
    assert effect_of(desk) == ("deny", "identity.owner_left")
    assert case_of(desk.agent).state == "open"


def test_a_new_hire_with_a_used_address_inherits_nothing(owner: Person) -> None:
    desk, address = make_owned_desk(owner), owner.email
    heard("7", email=address)
    heard("7", active=False)

    newcomer = heard("8", email=address, active=True)

    assert newcomer != owner
    assert newcomer.email == address
    assert effect_of(desk) == ("deny", "identity.owner_left")
    case = case_of(desk.agent)
    assert (case.state, case.proposed_owner) == ("open", boss_of(owner))
    with pytest.raises(NotAllowed):
        services.accept(case_id=case.pk, by=newcomer)


def test_heard_out_of_order_who_left_stays_gone(owner: Person) -> None:
    desk = make_owned_desk(owner)
    heard("7", email=owner.email)
    heard("7", active=False)

    # What was sent before it, about their last day, comes later.
    heard("7", last_day=clock.now().date() + timedelta(days=30))

    assert Person.objects.get(pk=owner.pk).employment == "left"
    assert effect_of(desk) == ("deny", "identity.owner_left")
    assert Case.objects.filter(agent=desk.agent).count() == 1


# What waited for them


def test_what_waited_for_a_source_owner_goes_to_others(owner: Person) -> None:
    source = make_person(GroupName.SOURCE_OWNER)
    system = make_system(tier="restricted", owner=source)
    asking = make_agent(AgentState.IN_REVIEW, tool=make_tool(system), owner=owner)
    step = ReviewStep.objects.filter(review__agent=asking, role="source_owner").first()
    if step is None:
        review = Review.objects.get(agent=asking)
        step = ReviewStep.objects.create(
            review=review, role="source_owner", system=system, days=5, due=clock.now()
        )
    ReviewStep.objects.filter(pk=step.pk).update(told_at=clock.now())
    other = security()

    leave(source, last_day=clock.now().date())

    step.refresh_from_db()
    assert step.told_at is None
    assert told(owner) == ["leaver.duty"]
    people, _ = people_for("source_owner", System.objects.get(pk=system.pk), asking)
    assert other in people
    assert source not in people


# REST


def test_the_story_is_over_for_what_was_handed_over_and_goes_on_for_what_was_not(
    at: Any, owner: Person
) -> None:
    kept, left = make_owned_desk(owner), make_owned_desk(owner)
    facts = {"email": owner.email, "active": False}
    register.sync_person(source="okta", external_id="o", facts=facts, by=HR)  # type: ignore[arg-type]
    services.accept(case_id=case_of(kept.agent).pk, by=boss_of(owner))
    effect_of(left)
    case = case_of(left.agent)
    at(case.due_at)
    run(case.due_at)
    at(case.due_at + timedelta(days=30))
    register.update_agent(agent_id=kept.agent.pk, by=boss_of(owner), rate_per_minute=1)
    register.suspend_agent(agent_id=kept.agent.pk, by=boss_of(owner), reason="Of its own.")

    shown = page_of(owner, make_person(GroupName.AUDITOR))

    titles = [line.title for line in shown["story"].lines]
    assert titles[0] == "The source okta says that Olga has left"
    assert f"{kept.agent.slug} was suspended" not in titles
    assert f"{left.agent.slug} began to be decommissioned" in titles
    cells = {row[0].agent: [cell.word for cell in row[1]] for row in shown["days"].rows}
    assert cells[kept.agent][0] == "accepted"
    assert (cells[left.agent][0], cells[left.agent][-1]) == ("denied", "ended")
    denied = [(each.agent, each.code, each.tries) for each in shown["story"].denied]
    assert denied == [(left.agent.slug, "identity.owner_left", 1)]
    heard = {one.person: one.record for each in shown["told"] for one in each.heard}
    assert heard[boss_of(owner)] is not None


def test_the_list_of_leavers_has_open_and_settled_ones_in_a_fixed_number_of_queries(
    client: Client,
) -> None:
    client.force_login(make_person(GroupName.AUDITOR))
    client.get("/leavers/", secure=True)
    asked = []
    for many in (1, 3):
        for _ in range(many):
            gone = make_person(name="Nils Vang", manager=make_person())
            settled = make_agent(owner=gone)
            leave(gone, last_day=clock.now().date())
            services.accept(case_id=case_of(settled).pk, by=boss_of(gone))
            waits = make_agent(owner=make_person(name="Rita Lund"))
            leave(waits.owner, last_day=clock.now().date())
        with CaptureQueriesContext(connection) as queries:
            page = client.get("/leavers/", secure=True).content.decode()
        asked.append(len(queries))

    assert asked[0] == asked[1]
    assert page.count("1 handed over, 0 ended") == 4
    assert "4 agents need another owner" in page
    client.force_login(make_person())
    assert "Nils Vang" not in client.get("/leavers/", secure=True).content.decode()


def test_rest_lists_answers_and_tells_the_story(client: Client, owner: Person) -> None:
    taken, ended = make_agent(owner=owner), make_agent(owner=owner)
    leave(owner, last_day=clock.now().date())
    client.force_login(boss_of(owner))

    def send(case: Case, **body: Any) -> Any:
        return client.post(
            f"/api/v1/cases/{case.pk}/answer", body, content_type="application/json", secure=True
        )

    listed = client.get("/api/v1/cases?kind=leaver&state=open", secure=True).json()
    assert {each["agent"] for each in listed["results"]} == {taken.slug, ended.slug}
    assert send(case_of(taken), word="accept").json()["outcome"] == "accepted"
    again = send(case_of(taken), word="accept")
    assert (again.status_code, again.json()["code"]) == (409, "case_closed")
    assert send(case_of(ended), word="end").status_code == 400
    assert send(case_of(ended), word="name").status_code == 400
    assert send(case_of(ended), word="nonsense").status_code == 400
    assert send(case_of(ended), word="keep", reason="No.").status_code == 404
    named = send(case_of(ended), word="name", to=security().email).json()
    assert named["proposed_by"] == boss_of(owner).pid
    assert send(case_of(ended), word="end", reason="Over.").json()["outcome"] == "ended_at_once"

    story = client.get(f"/api/v1/leavers/{owner.pid}", secure=True).json()
    records = {each["record"] for each in story["story"]}
    assert {str(each) for each in case_of(taken).events.values_list("record", flat=True)} <= records
    client.force_login(make_person())
    assert client.get(f"/api/v1/leavers/{owner.pid}", secure=True).status_code == 403
    assert send(case_of(ended), word="end", reason="x").status_code == 404
