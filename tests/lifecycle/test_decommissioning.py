"""The end of an agent: who is asked, what is ended in which order, and what proves it."""

from __future__ import annotations

import hashlib
import json
import re
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from django.db import connections, transaction
from time_machine import travel

from audit.models import Record
from audit.selectors import parse_body
from authz.decide import decide
from authz.enums import HoldState
from authz.models import FlowSession, Hold, Lease, Release, Reservation
from authz.services import holds, sessions
from governance.kernel import clock
from governance.kernel.errors import GovernanceError, Invalid, NotAllowed, Unavailable
from lifecycle import claims
from lifecycle.decommissioning import (
    aftercare,
    ending,
    printing,
    reading,
    rules,
    services,
    sweep,
    working,
)
from lifecycle.decommissioning.errors import (
    AlreadyOrdered,
    DependentsWait,
    NothingOrdered,
    NothingToAcknowledge,
)
from lifecycle.models import EndOrder, EndRun, Notice, Rotation
from lifecycle.models.decommissioning import EndState, EndStepState
from registry import changes, vault
from registry import services as register
from registry.enums import AgentState, ChangeState, CredentialState, GroupName
from registry.errors import WrongState
from registry.identity import clients
from registry.models import Agent, Client, CredentialReference, Person
from tests.factories.authz import Desk, make_desk
from tests.factories.authz import make_person as someone
from tests.factories.registry import SWEEP, make_agent, make_person, make_system, security
from tests.lifecycle.processes import in_child
from tests.lifecycle.worlds_acting import acts_for_somebody, another_for, hands_over

NAMES = [
    *("refusal", "keys", "runs", "delegations", "grants", "credentials", "identities"),
    *("holds", "questions", "schedules", "dependents"),
]
OUTSIDE = {"credentials", "identities"}


def ended(agent: Agent) -> EndRun:
    """The agent, ended to the last step."""
    register.begin_decommissioning(agent_id=agent.pk, by=SWEEP, reason="Its task is over.")
    run = EndRun.objects.get(agent=agent)
    working.carry_on(run_id=run.pk)
    return EndRun.objects.get(pk=run.pk)


def states(run: EndRun) -> dict[str, str]:
    return {step.name: step.state for step in run.steps.all()}


def state_of(agent: Agent) -> str:
    return Agent.objects.get(pk=agent.pk).state


def told(code: str, person: Person | None = None) -> int:
    rows = Notice.objects.filter(code=code)
    return rows.filter(person=person).count() if person else rows.count()


def certificate(run: EndRun) -> dict[str, Any]:
    newest = run.certificates.order_by("-edition")[0]
    said: dict[str, Any] = json.loads(bytes(newest.document))
    return said


def age(run: EndRun, by: timedelta) -> EndRun:
    """As if the end had begun so much earlier. The record takes no other day than today."""
    names = ("started_at", "patience_at", "destroy_at", "next_try_at")
    earlier = {name: getattr(run, name) - by for name in names}
    EndRun.objects.filter(pk=run.pk).update(**earlier)
    return EndRun.objects.get(pk=run.pk)


def round_of(run: EndRun) -> EndRun:
    """One more round, as if its time had come."""
    EndRun.objects.filter(pk=run.pk).update(next_try_at=run.started_at)
    working.carry_on(run_id=run.pk)
    return EndRun.objects.get(pk=run.pk)


def due_now(order: EndOrder) -> None:
    """As if it had been ordered so long ago that its days are over."""
    at = clock.now() - timedelta(seconds=1)
    EndOrder.objects.filter(pk=order.pk).update(at=at, begins_at=at)


# What is ended


@pytest.mark.django_db
def test_an_agent_that_holds_nothing_ends_in_one_go() -> None:
    agent = make_agent()

    run = ended(agent)

    assert (run.state, state_of(agent)) == ("done", "decommissioned")
    assert states(run) == dict.fromkeys(NAMES, "done")
    assert all(step.record and step.said for step in run.steps.all())
    assert run.settled_at is not None


@pytest.mark.django_db
def test_nobody_is_acted_for_any_more_and_what_was_handed_over_either_way_ends() -> None:
    world = acts_for_somebody()
    desk, other = world.desk, another_for(world.desk)
    given = hands_over(desk, other.agent, desk.tool.name, user=world.user.pid)
    received = hands_over(other, desk.agent, desk.tool.name)
    untouched = acts_for_somebody()

    run = ended(desk.agent)

    for each in (world.grant, given, received, untouched.grant):
        each.refresh_from_db()
    assert [each.end_cause for each in (world.grant, given, received)] == ["agent"] * 3
    assert untouched.grant.ended_at is None
    said = {step.name: step.said for step in run.steps.all()}
    assert said["delegations"] == "2 delegations ended, with all that was handed on below."
    assert said["grants"] == "1 grant ended: it acts for nobody any more."
    titles = [each["title"] for each in certificate(run)["steps"]]
    assert {"Delegations", "Grants of people"} <= set(titles)


GATES = {"amount": {"above": 40_000, "currency": "EUR"}}


def full_desk() -> tuple[Desk, Hold, Release]:
    """An agent that holds something of each kind."""
    approver = someone(groups=[GroupName.SECURITY])
    desk = make_desk(tool_fields={"gates": GATES, "effect": "financial", "cost_minor": 10})
    agent, owner = desk.agent, desk.agent.owner
    Agent.objects.filter(pk=agent.pk).update(spend_cap_minor=10_000_000)
    waiting, approved = (
        Hold.objects.get(
            pk=decide([desk.ask(parameters={"claim": claim, "amount": 50_000})], desk.caller)[
                0
            ].settled["hold"]["id"]
        )
        for claim in ("CL-1", "CL-2")
    )
    holds.approve_hold(hold_id=approved.pk, by=approver, second_factor_at=clock.now())
    sessions.open_session(agent=agent.slug, caller=desk.caller)
    credential = vault.create("vault://desk/key", "worth", agent=agent, by=owner)
    Lease.objects.create(
        credential=credential,
        agent=agent,
        record=clock.uuid7(),
        version="1",
        at=clock.now(),
        expires_at=clock.now() + timedelta(hours=1),
    )
    register.transfer_agent(agent_id=agent.pk, to=make_person(), by=owner)
    Rotation.objects.create(
        agent=agent,
        key="client",
        due_on=clock.now().date(),
        state="waiting",
        opened_at=clock.now(),
        next_at=clock.now(),
    )
    return desk, waiting, Release.objects.get(hold=approved)


@pytest.mark.django_db(transaction=True)
def test_everything_that_it_holds_is_ended(settings: Any) -> None:
    settings.MUSTER_APPROVER_MFA = False
    desk, waiting, release = full_desk()
    agent = desk.agent
    assert Reservation.objects.filter(agent=agent.slug, ended="").count() == 2

    clients.new_secret(agent=agent, by=agent.owner)
    before = Client.objects.get(agent=agent)

    run = ended(agent)

    client = Client.objects.get(agent=agent)
    hold = Hold.objects.get(pk=waiting.pk)
    credential = CredentialReference.objects.get(agent=agent)
    assert run.state == EndState.DONE
    assert not clients.has_keys(client)
    assert client.version == before.version + 1
    assert (hold.state, hold.reason) == (HoldState.REJECTED, f"{agent.slug} is decommissioned.")
    assert Release.objects.get(pk=release.pk).used_by is None
    assert not Reservation.objects.filter(agent=agent.slug, ended="").exists()
    assert not FlowSession.objects.filter(agent=agent, ended_at__isnull=True).exists()
    assert not Lease.objects.filter(agent=agent, ended_at__isnull=True).exists()
    assert not changes.ProposedChange.objects.filter(state=ChangeState.PROPOSED).exists()
    assert not Rotation.objects.filter(agent=agent).exclude(state="done").exists()
    assert (credential.state, credential.live_at_source) == (CredentialState.REVOKED, True)
    live = "vault://desk/key may still open what it was for."
    assert certificate(run)["left"] == [
        f"{live} End it where it comes from, then say so on its page."
    ]
    assert run.settled_at is None


@pytest.mark.django_db(transaction=True)
def test_the_next_token_lease_and_decision_are_refused_before_any_step() -> None:
    desk = make_desk()
    ask, caller = desk.ask(), desk.caller
    (before,) = decide([ask], caller)

    register.begin_decommissioning(agent_id=desk.agent.pk, by=SWEEP, reason="Over.")

    (after,) = decide([ask], caller)
    assert (before.allowed, after.allowed) == (True, False)
    assert after.decision.code == "identity.not_active"
    with pytest.raises(clients.NotActive):
        clients.new_secret(agent=desk.agent, by=desk.agent.owner)
    assert states(desk.agent.end_run) == dict.fromkeys(NAMES, "waiting")


@pytest.mark.django_db
def test_a_row_that_never_lived_ends_too_and_waits_for_nobody() -> None:
    agent = make_agent(AgentState.DRAFT)
    register.set_dependents(agent_id=agent.pk, people=[make_person()], agents=[], by=agent.owner)

    run = services.end(agent_id=agent.pk, by=agent.owner, reason="Not wanted.")

    assert isinstance(run, EndRun)
    assert certificate(ended_run(run))["agent"]["live_since"] is None


def ended_run(run: EndRun) -> EndRun:
    working.carry_on(run_id=run.pk)
    return EndRun.objects.get(pk=run.pk)


@pytest.mark.django_db
def test_a_row_that_someone_closes_at_once_is_ended_all_the_same() -> None:
    agent = make_agent(AgentState.DECOMMISSIONED)

    run = ended_run(agent.end_run)

    assert (run.state, states(run)) == ("done", dict.fromkeys(NAMES, "done"))
    assert certificate(run)["ended"]["closed_record"] == str(run.closed_record)


@pytest.mark.django_db
def test_what_asks_it_for_approval_is_named_until_it_asks_another() -> None:
    agent, other = make_agent(), make_agent()
    entry = other.allowlist.get()
    entry.gates = {"destructive": True, "agents": [agent.slug]}
    entry.save()

    run = ended(agent)
    named = reading.left_of(run)
    entry.gates = {}
    entry.save()

    asked = f"{other.slug} asks it for approval of {entry.tool.name}. Name another."
    assert named == [asked]
    assert run.steps.get(name="dependents").left == [asked]
    assert reading.left_of(run) == []


# Who relies on it


def relied_on(tier: str = "internal") -> tuple[Agent, Person, Agent]:
    """An agent, a person and an agent that rely on it."""
    agent, person, other = make_agent(tier=tier), make_person(), make_agent()
    register.set_dependents(agent_id=agent.pk, people=[person], agents=[other], by=agent.owner)
    return agent, person, other


@pytest.mark.django_db
def test_those_who_rely_on_it_are_told_once_and_the_last_word_begins_it() -> None:
    agent, person, other = relied_on()

    order = services.end(agent_id=agent.pk, by=agent.owner, reason="Over.")
    asked = (told("end.asked", person), told("end.asked", other.owner))
    services.acknowledge(agent_id=agent.pk, by=person)
    between = state_of(agent)
    services.acknowledge(agent_id=agent.pk, by=person)
    services.acknowledge(agent_id=agent.pk, by=other.owner)

    assert isinstance(order, EndOrder)
    assert asked == (1, 1)
    assert (between, state_of(agent)) == ("active", "decommissioning")
    order.refresh_from_db()
    assert (order.state, agent.end_run.by) == ("begun", agent.owner)
    words = certificate(ended_run(agent.end_run))["dependents"]
    assert [each["acknowledged_by"] for each in words] == [person.name, other.owner.name]


@pytest.mark.django_db
def test_a_certificate_names_people_before_agents_each_by_name() -> None:
    agent, owner = make_agent(), make_person()
    lars, ana = make_person(name="Lars Holm"), make_person(name="Ana Duarte")
    zebra, desk = make_agent(slug="zebra", owner=owner), make_agent(slug="a-desk", owner=owner)
    for people, agents in (([], [zebra]), ([lars], [zebra]), ([lars, ana], [zebra, desk])):
        register.set_dependents(agent_id=agent.pk, people=people, agents=agents, by=agent.owner)

    register.begin_decommissioning(agent_id=agent.pk, by=SWEEP, reason="Over.")
    words = certificate(ended_run(agent.end_run))["dependents"]

    assert [each["name"] for each in words] == ["Ana Duarte", "Lars Holm", "a-desk", "zebra"]


@pytest.mark.parametrize(
    ("tier", "ordered", "calendar", "begins"),
    [
        ("public", "2026-11-23T09:00:00Z", "", "2026-11-24T16:00:00+00:00"),
        ("internal", "2026-11-23T09:00:00Z", "", "2026-11-25T16:00:00+00:00"),
        ("confidential", "2026-11-23T09:00:00Z", "", "2026-11-26T16:00:00+00:00"),
        ("restricted", "2026-11-23T09:00:00Z", "", "2026-11-30T16:00:00+00:00"),
        ("internal", "2026-11-27T23:30:00Z", "", "2026-12-01T16:00:00+00:00"),
        ("internal", "2026-12-23T09:00:00Z", "DK", "2026-12-28T16:00:00+00:00"),
        ("internal", "2026-12-23T09:00:00Z", "", "2026-12-25T16:00:00+00:00"),
        ("restricted", "2026-10-23T09:00:00Z", "DE-BY", "2026-10-30T16:00:00+00:00"),
    ],
)
def test_those_who_rely_on_it_have_business_days_by_its_tier(
    tier: str, ordered: str, calendar: str, begins: str
) -> None:
    owner = Person(zone="Europe/Copenhagen", calendar=calendar)

    at = rules.begins_at(tier, owner, datetime.fromisoformat(ordered))

    assert at.isoformat() == begins


@pytest.mark.django_db
def test_without_a_word_it_ends_when_its_days_are_over() -> None:
    agent, _, _ = relied_on()
    order = services.end(agent_id=agent.pk, by=agent.owner, reason="Over.")
    assert isinstance(order, EndOrder)
    early = (sweep.due(clock.now()), services.begin_order(order_id=order.pk))

    due_now(order)
    due = sweep.due(clock.now())
    done = [sweep.handle(key, clock.now()) for key in due]
    again = sweep.handle(due[0], clock.now())

    assert (early, due, done, again) == (([], False), [f"order:{order.pk}"], [True], False)
    assert state_of(agent) == "decommissioning"


@pytest.mark.django_db
def test_a_persons_wish_waits_by_whichever_way_and_a_clocks_does_not() -> None:
    agent, person, _ = relied_on()

    with pytest.raises(DependentsWait, match=str(person)):
        register.begin_decommissioning(agent_id=agent.pk, by=agent.owner, reason="Over.")
    before = state_of(agent)
    register.begin_decommissioning(agent_id=agent.pk, by=SWEEP, reason="Nobody answered.")

    assert (before, state_of(agent)) == ("active", "decommissioning")
    ended_run(agent.end_run)
    assert told("end.told", person) == 1


@pytest.mark.django_db
def test_nobody_waits_for_who_has_left_or_for_what_has_ended() -> None:
    agent, person, other = relied_on()
    register.begin_decommissioning(agent_id=other.pk, by=SWEEP, reason="Over.")
    Person.objects.filter(pk=person.pk).update(employment="left", last_day=clock.now().date())

    run = services.end(agent_id=agent.pk, by=agent.owner, reason="Over.")

    assert isinstance(run, EndRun)


@pytest.mark.django_db
def test_an_order_is_taken_back_and_its_words_with_it() -> None:
    agent, person, other = relied_on()
    services.end(agent_id=agent.pk, by=agent.owner, reason="Over.")
    services.acknowledge(agent_id=agent.pk, by=person)
    with pytest.raises(AlreadyOrdered):
        services.end(agent_id=agent.pk, by=agent.owner, reason="Over.")
    with pytest.raises(NotAllowed):
        services.withdraw(agent_id=agent.pk, by=person)

    services.withdraw(agent_id=agent.pk, by=agent.owner)

    assert (state_of(agent), agent.acknowledgements.count()) == ("active", 0)
    assert told("end.withdrawn", person) == 1
    with pytest.raises(NothingOrdered):
        services.withdraw(agent_id=agent.pk, by=agent.owner)
    with pytest.raises(NothingOrdered):
        services.acknowledge(agent_id=agent.pk, by=other.owner)


@pytest.mark.django_db
def test_only_who_relies_on_it_says_that_they_know() -> None:
    agent, _, _ = relied_on()
    services.end(agent_id=agent.pk, by=agent.owner, reason="Over.")

    with pytest.raises(NothingToAcknowledge):
        services.acknowledge(agent_id=agent.pk, by=make_person())


@pytest.mark.django_db
def test_an_order_of_who_may_end_it_no_more_falls_away() -> None:
    agent, _, _ = relied_on()
    owner = agent.owner
    order = services.end(agent_id=agent.pk, by=owner, reason="Over.")
    assert isinstance(order, EndOrder)
    Agent.objects.filter(pk=agent.pk).update(owner=make_person())

    due_now(order)
    began = services.begin_order(order_id=order.pk)

    order.refresh_from_db()
    assert (began, order.state, state_of(agent)) == (False, "withdrawn", "active")
    assert order.why.startswith("Only its owner")


@pytest.mark.django_db
@pytest.mark.parametrize("reason", ["", " ", "x" * 501, "a\0b"])
def test_an_end_has_a_reason(reason: str) -> None:
    agent = make_agent()

    with pytest.raises(Invalid):
        services.end(agent_id=agent.pk, by=agent.owner, reason=reason)

    assert state_of(agent) == "active"


@pytest.mark.django_db
@pytest.mark.parametrize("state", [AgentState.DECOMMISSIONING, AgentState.DECOMMISSIONED])
def test_what_ends_is_not_ended_again(state: AgentState) -> None:
    agent = make_agent(state)

    with pytest.raises(WrongState):
        services.end(agent_id=agent.pk, by=agent.owner, reason="Over.")

    assert EndRun.objects.filter(agent=agent).count() == 1


# What another system refuses


@dataclass
class Broken:
    """A step that fails so often, and then does what it did before."""

    step: ending.EndingStep
    refuses: list[Exception]
    asked: int = 0

    def do(self, agent: Agent) -> str:
        self.asked += 1
        if self.refuses:
            raise self.refuses.pop(0)
        return self.step.do(agent)


@pytest.fixture
def breaking() -> Iterator[Callable[[str, list[Exception]], Broken]]:
    kept = ending.in_order()

    def breaks(name: str, refuses: list[Exception]) -> Broken:
        step = ending.find(name)
        assert step is not None
        broken = Broken(step, refuses)
        ending.register(replace(step, do=broken.do))
        return broken

    yield breaks
    for step in kept:
        ending.register(step)


FAILURES: dict[str, Exception] = {
    "away": Unavailable("It does not answer."),
    "refused": Invalid("It takes no such name."),
    "broken": RuntimeError("a text that is shown to nobody"),
}
SAID = {
    "away": "It does not answer.",
    "refused": "It takes no such name.",
    "broken": "It ended with RuntimeError.",
}


@pytest.mark.django_db
@pytest.mark.parametrize("failure", FAILURES)
@pytest.mark.parametrize("name", NAMES)
def test_a_step_that_fails_keeps_no_other_waiting_and_is_done_later(
    name: str, failure: str, breaking: Callable[..., Broken]
) -> None:
    breaking(name, [FAILURES[failure]])
    agent = make_agent()

    run = ended(agent)
    before, step = states(run), run.steps.get(name=name)
    early = working.carry_on(run_id=run.pk)
    with travel(run.next_try_at + timedelta(seconds=1), tick=False):
        assert sweep.due(clock.now()) == [str(run.pk)]
        working.carry_on(run_id=run.pk)

    assert before == dict.fromkeys(NAMES, "done") | {name: "waiting"}
    assert states(run) == dict.fromkeys(NAMES, "done")
    assert (step.state, step.error, early) == ("waiting", SAID[failure], None)
    after = EndRun.objects.get(pk=run.pk)
    assert (after.state, state_of(agent)) == ("done", "decommissioned")
    assert [told(code) for code in ("end.done", "end.stuck")] == [1, 0]


@pytest.mark.django_db
@pytest.mark.parametrize("name", sorted(OUTSIDE))
def test_what_is_refused_for_days_is_escalated_once_then_left_and_tried_on(
    name: str, breaking: Callable[..., Broken]
) -> None:
    broken = breaking(name, [Unavailable("Down.")] * 4)
    guardian = security()
    agent = make_agent()
    run = ended(agent)

    run = age(run, rules.ESCALATE_AFTER)
    round_of(run)
    round_of(run)
    stuck = (state_of(agent), told("end.stuck", guardian), told("end.stuck", agent.owner))
    left = round_of(age(run, run.patience_at - clock.now()))
    first = certificate(left)
    after = round_of(left)

    assert stuck == ("decommissioning", 1, 1)
    assert (left.state, state_of(agent), left.settled_at) == ("done", "decommissioned", None)
    assert first["left"] == [f"{run.steps.get(name=name).title}: Down."]
    assert [each["ended"] for each in first["steps"] if each["name"] == name] == [False]
    assert (broken.asked, states(after)[name]) == (5, "done")
    assert (certificate(after)["left"], certificate(after)["edition"]) == ([], 2)
    assert after.settled_at is not None


@pytest.mark.django_db
def test_a_step_that_the_installation_has_no_more_holds_nothing_up() -> None:
    agent = make_agent()
    ending.register(ending.EndingStep("gone", "Gone", 950, lambda a: "", ending.nothing))
    register.begin_decommissioning(agent_id=agent.pk, by=SWEEP, reason="Over.")
    ending.forget("gone")

    run = ended_run(agent.end_run)

    assert run.steps.get(name="gone").said == "This installation has this step no more."
    assert run.state == "done"


@pytest.mark.django_db
def test_an_outside_step_is_in_no_transaction_and_an_inside_one_is(
    breaking: Callable[..., Broken], monkeypatch: pytest.MonkeyPatch
) -> None:
    depth, seen = len(transaction.get_connection().savepoint_ids), {}
    for name in ("credentials", "holds"):
        broken = breaking(name, [])

        def do(agent: Agent, name: str = name, broken: Broken = broken) -> str:
            seen[name] = len(transaction.get_connection().savepoint_ids) - depth
            return broken.step.do(agent)

        ending.register(replace(broken.step, do=do))

    ended(make_agent())

    assert seen == {"credentials": 0, "holds": 1}


# Afterwards


def with_credential(*, read: bool = True) -> tuple[Agent, CredentialReference]:
    agent = make_agent(tier="restricted")
    credential = vault.create(
        f"vault://{agent.slug}/key", "worth" if read else None, agent=agent, by=agent.owner
    )
    return agent, credential


@pytest.mark.django_db
def test_a_further_edition_says_what_was_confirmed_and_destroyed_and_the_first_one_stays() -> None:
    agent, credential = with_credential()
    run = ended(agent)
    first = run.certificates.get()
    kept = (bytes(first.document), bytes(first.pdf or b""))

    vault.confirm_ended(credential.reference, by=agent.owner, reason="Rotated in its console.")
    looked = round_of(run)
    confirmed, not_over = certificate(looked)["credentials"][0], looked.settled_at
    over = round_of(round_of(age(run, timedelta(days=7))))
    last = certificate(over)

    assert json.loads(kept[0])["credentials"][0]["still_live_at_its_source"] is True
    assert (confirmed["confirmed_by"], confirmed["destroyed"]) == (agent.owner.name, False)
    assert confirmed["confirmed_how"] == "Rotated in its console."
    assert not_over is None
    assert (last["edition"], last["credentials"][0]["destroyed"], last["left"]) == (3, True, [])
    assert over.settled_at is not None
    assert run.destroy_at - run.started_at == timedelta(days=7)
    first.refresh_from_db()
    assert (bytes(first.document), printing.pdf_of(first)) == kept
    digests = list(over.certificates.order_by("edition").values_list("digest", flat=True))
    assert last["earlier_edition"] == digests[1]
    assert sweep.due(clock.now() + timedelta(days=400)) == []


@pytest.mark.django_db
def test_a_vault_that_does_not_destroy_is_asked_again(monkeypatch: pytest.MonkeyPatch) -> None:
    agent, credential = with_credential(read=False)
    run = ended(agent)

    def away(reference: str, *, by: object) -> None:
        raise Unavailable("Down.")

    with monkeypatch.context() as patched:
        patched.setattr(aftercare.vault, "destroy", away)
        waiting = round_of(age(run, timedelta(days=7)))
    over = round_of(waiting)

    assert waiting.settled_at is None
    credential.refresh_from_db()
    assert credential.state == CredentialState.DESTROYED
    assert over.settled_at is not None


# The certificate


@pytest.mark.django_db
def test_the_certificate_is_what_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    owner = make_person(name="Ana Duarte", email="ana@example.org")
    system = make_system(slug="golden-payments", tier="internal")
    agent = make_agent(owner=owner, slug="golden-desk", tier="internal")
    credential = vault.create("vault://golden/desk", "worth", agent=agent, by=owner, system=system)
    register.set_dependents(
        agent_id=agent.pk, people=[make_person(name="Lars Holm")], agents=[], by=owner
    )
    run = ended(agent)
    said = certificate(run)
    golden = json.loads((Path(__file__).parent.parent / "data" / "certificate.json").read_text())

    client_id = Client.objects.get(agent=agent).client_id
    given = json.dumps(said, indent=2, ensure_ascii=False).replace(client_id, "golden-desk-id")
    found = _without_ids(json.loads(given))
    assert found == golden
    assert "@" not in json.dumps(said)
    assert credential.reference == said["credentials"][0]["reference"]


def _without_ids(said: dict[str, Any]) -> dict[str, Any]:
    """Ids and instants are new each time: their form is compared."""
    text = json.dumps(said)
    text = re.sub(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", "<id>", text)
    text = re.sub(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:]{8}Z", "<instant>", text)
    plain: dict[str, Any] = json.loads(text)
    return plain


@pytest.mark.django_db
def test_the_digest_stands_on_the_record_and_the_page_is_tagged() -> None:
    run = ended(make_agent())

    made = run.certificates.get()
    digest = hashlib.sha256(bytes(made.document)).hexdigest()
    body = parse_body(Record.objects.get(pk=made.record))["asked"]
    assert (made.digest, body["digest"]) == (digest, f"sha256:{digest}")
    pdf = printing.pdf_of(made)
    assert pdf.startswith(b"%PDF")
    assert b"<pdfuaid:part>1</pdfuaid:part>" in pdf
    assert b"/Lang(en" in pdf.replace(b" ", b"")
    assert b"/StructTreeRoot" in pdf
    other = printing.rendered(json.loads(bytes(made.document)), "0" * 64, str(made.record))
    again = printing.rendered(json.loads(bytes(made.document)), digest, str(made.record))
    assert (again == pdf, other == pdf) == (True, False)


@pytest.mark.django_db
def test_a_name_that_no_font_here_has_is_printed_all_the_same() -> None:
    run = ended(make_agent(owner=make_person(name="ꙮ 王 \U0001f9ea")))

    pdf = bytes(run.certificates.get().pdf or b"")

    assert pdf.startswith(b"%PDF")
    assert b"/StructTreeRoot" in pdf


def test_what_it_is_told_is_no_markup() -> None:
    evil = '#read("/etc/passwd") *bold* ]#panic() "'
    document = {
        "edition": 1,
        "issued_at": "2026-11-27T05:00:00Z",
        "installation": evil,
        "earlier_edition": None,
        "agent": dict.fromkeys(("id", "name", "purpose", "tier", "owner", "backup_owner"), evil)
        | dict.fromkeys(("registered_at", "live_since"), evil),
        "ended": dict.fromkeys(
            ("by", "reason", "begun_at", "closed_at", "begun_record", "closed_record"), evil
        ),
        "steps": [],
        "dependents": [],
        "credentials": [],
        "clients_outside": [],
        "left": [evil],
        "retention": evil,
    }

    assert printing.rendered(document, evil, evil).startswith(b"%PDF")


# Pure rules


@pytest.mark.parametrize(
    ("slug", "taken", "found"),
    [
        ("desk", set(), "desk-2"),
        ("desk", {"desk-2"}, "desk-3"),
        ("desk-2", set(), "desk-3"),
        ("desk-9", {"desk-10"}, "desk-11"),
        ("desk-02", set(), "desk-02-2"),
        ("desk-a", set(), "desk-a-2"),
        ("d" * 60, set(), "d" * 58 + "-2"),
        ("d" * 57 + "-xy", set(), "d" * 57 + "-2"),
    ],
)
def test_a_name_is_never_given_twice(slug: str, taken: set[str], found: str) -> None:
    assert rules.next_slug(slug, taken) == found
    assert len(found) <= 60


def test_every_state_says_what_may_follow() -> None:
    assert set(rules.RUN_TRANSITIONS) == set(EndState)
    assert set(rules.STEP_TRANSITIONS) == set(EndStepState)


# Two at once


def at_once(*acts: Callable[[], object]) -> list[str]:
    """What became of each, all from one moment on."""
    barrier, ends = threading.Barrier(len(acts)), []

    def work(act: Callable[[], object]) -> None:
        try:
            barrier.wait(20)
            act()
            ends.append("done")
        except GovernanceError as error:
            ends.append(type(error).__name__)
        finally:
            connections.close_all()

    threads = [threading.Thread(target=work, args=(act,)) for act in acts]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    return sorted(ends)


@pytest.mark.django_db(transaction=True)
def test_ended_twice_at_once_it_ends_once() -> None:
    agent = make_agent()

    def end() -> None:
        services.end(agent_id=agent.pk, by=agent.owner, reason="Over.")

    assert at_once(end, end) == ["WrongState", "done"]
    assert EndRun.objects.filter(agent=agent).count() == 1


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("rival", ["suspend", "resume", "transfer", "accept", "decide", "lease"])
def test_whatever_happens_at_the_same_moment_it_ends(rival: str) -> None:
    desk = make_desk()
    agent, owner, heir = desk.agent, desk.agent.owner, make_person()
    if rival == "resume":
        register.suspend_agent(agent_id=agent.pk, by=owner, reason="Stop.")
    if rival == "accept":
        register.transfer_agent(agent_id=agent.pk, to=heir, by=owner)
    vault.create(f"vault://{agent.slug}/key", None, agent=agent, by=owner)
    acts: dict[str, Callable[[], object]] = {
        "suspend": lambda: register.suspend_agent(agent_id=agent.pk, by=owner, reason="Stop."),
        "resume": lambda: register.resume_agent(agent_id=agent.pk, by=owner),
        "transfer": lambda: register.transfer_agent(agent_id=agent.pk, to=heir, by=owner),
        "accept": lambda: changes.agree(
            change_id=changes.ProposedChange.objects.get(agent=agent.slug).pk, by=heir
        ),
        "decide": lambda: decide([desk.ask()], desk.caller),
        "lease": lambda: vault.read(f"vault://{agent.slug}/key", clock.uuid7()),
    }

    at_once(acts[rival], lambda: services.end(agent_id=agent.pk, by=owner, reason="Over."))
    # Whoever came first: another owner ends it then.
    if state_of(agent) == "active" and rival == "accept":
        register.begin_decommissioning(agent_id=agent.pk, by=SWEEP, reason="Over.")
    run = ended_run(EndRun.objects.get(agent=agent))

    (after,) = decide([desk.ask()], desk.caller)
    assert (run.state, state_of(agent), after.allowed) == ("done", "decommissioned", False)
    assert not clients.has_keys(Client.objects.get(agent=agent))
    assert CredentialReference.objects.get(agent=agent).state == CredentialState.REVOKED
    assert not changes.ProposedChange.objects.filter(state=ChangeState.PROPOSED).exists()


@pytest.mark.django_db(transaction=True)
def test_of_two_workers_one_does_each_step(breaking: Callable[..., Broken]) -> None:
    agent = make_agent()
    register.begin_decommissioning(agent_id=agent.pk, by=SWEEP, reason="Over.")
    run, begun, go_on = agent.end_run, threading.Event(), threading.Event()
    broken = breaking("credentials", [])

    def hold(agent: Agent) -> str:
        broken.asked += 1
        begun.set()
        assert go_on.wait(20)
        return "Held."

    ending.register(replace(broken.step, do=hold))

    def work() -> None:
        working.carry_on(run_id=run.pk)
        connections.close_all()

    first = threading.Thread(target=work)
    first.start()
    assert begun.wait(20)
    second = working.carry_on(run_id=run.pk)
    go_on.set()
    first.join()

    assert (second, broken.asked) == (None, 1)
    assert EndRun.objects.get(pk=run.pk).state == "done"


# Killed

PLACES = [
    ("before", "lifecycle.decommissioning.working._next"),
    ("after", "lifecycle.decommissioning.working._next"),
    ("after", "lifecycle.decommissioning.working._do_inside"),
    ("before", "lifecycle.decommissioning.working._write_down"),
    ("after", "registry.vault.services._revoke"),
    ("after", "registry.vault.settle"),
    ("after", "lifecycle.decommissioning.telling.tell_dependents"),
    ("after", "registry.services.finish_decommissioning"),
    ("after", "lifecycle.decommissioning.certificate.issue"),
    ("after", "lifecycle.decommissioning.telling.tell_ended"),
    ("before", "lifecycle.decommissioning.printing.print_missing"),
]


@pytest.mark.kill
@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(("when", "place"), PLACES)
def test_killed_anywhere_it_ends_the_same(when: str, place: str) -> None:
    agent, credential = with_credential()
    person = make_person()
    register.set_dependents(agent_id=agent.pk, people=[person], agents=[], by=agent.owner)
    register.begin_decommissioning(agent_id=agent.pk, by=SWEEP, reason="Over.")
    run = agent.end_run

    died = in_child(lambda: working.carry_on(run_id=run.pk), **{when: place})
    later = clock.now() + claims.CLAIM + rules.LOOK_AGAIN + timedelta(seconds=1)
    with travel(later, tick=False):
        assert sweep.due(clock.now()) == [str(run.pk)]
        working.carry_on(run_id=run.pk)

    after = EndRun.objects.get(pk=run.pk)
    assert (died, after.state, state_of(agent)) == (9, "done", "decommissioned")
    assert states(after) == dict.fromkeys(NAMES, "done")
    assert (told("end.told", person), told("end.done", agent.owner)) == (1, 1)
    assert [bool(each.pdf) for each in after.certificates.all()] == [True]
    credential.refresh_from_db()
    assert credential.state == CredentialState.REVOKED


@pytest.mark.kill
@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(
    "place",
    ["lifecycle.decommissioning.services.begin", "lifecycle.decommissioning.tasks.set_off"],
)
def test_killed_while_it_begins_it_has_begun_or_not(place: str) -> None:
    agent = make_agent()

    def begin() -> None:
        register.begin_decommissioning(agent_id=agent.pk, by=SWEEP, reason="Over.")

    assert in_child(begin, before=place) == 9
    if place.endswith("begin"):
        assert (state_of(agent), EndRun.objects.count()) == ("active", 0)
        begin()

    assert state_of(agent) == "decommissioning"
    assert sweep.due(clock.now()) == [str(EndRun.objects.get().pk)]
