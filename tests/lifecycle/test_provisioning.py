"""Going live: what is given, in which order, and what becomes of it when something fails."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from uuid import UUID

import pytest
from django.db import IntegrityError, connections, transaction
from time_machine import travel

from audit.models import Record
from audit.selectors import parse_body
from governance.kernel import clock
from governance.kernel.errors import Conflict, GovernanceError, Invalid, Unavailable
from lifecycle import claims
from lifecycle import services as lifecycle
from lifecycle.models import ProvisioningRun
from lifecycle.provisioning import inside, outside, rules, services, sweep, working
from lifecycle.provisioning.outside import OutsideStep
from registry import services as register
from registry.enums import AgentState
from registry.errors import NotCleared, ReachChanged, WrongState
from registry.models import Agent, Clearance, Client, Person
from tests.factories.registry import make_agent, make_draft, make_system, make_tool, security
from tests.lifecycle.processes import in_child

INSIDE = ["identity", "credentials", "roles", "allowlist", "limits", "gates", "renewal", "audit"]


@dataclass
class Elsewhere:
    """A system elsewhere, which keeps in a folder what was made for whom, and what it was asked."""

    folder: Path
    name: str
    refuses: list[GovernanceError | Exception] = field(default_factory=list)
    refuses_undo: list[GovernanceError] = field(default_factory=list)
    meanwhile: Callable[[Agent], object] = lambda agent: None

    @property
    def made(self) -> list[str]:
        place = self.folder / self.name
        return sorted(path.name for path in place.iterdir()) if place.exists() else []

    def asked(self) -> int:
        told = self.folder / f"{self.name}.asked"
        return len(told.read_text().splitlines()) if told.exists() else 0

    def do(self, agent: Agent, run_id: UUID) -> str:
        with (self.folder / f"{self.name}.asked").open("a") as told:
            told.write(f"{run_id}\n")
        if self.refuses:
            raise self.refuses.pop(0)
        (self.folder / self.name).mkdir(exist_ok=True)
        (self.folder / self.name / agent.slug).touch()
        self.meanwhile(agent)
        return f"Made at {self.name}."

    def undo(self, agent: Agent) -> None:
        if self.refuses_undo:
            raise self.refuses_undo.pop(0)
        (self.folder / self.name / agent.slug).unlink(missing_ok=True)

    def step(self) -> OutsideStep:
        return OutsideStep(self.name, f"At {self.name}", lambda agent: True, self.do, self.undo)


@pytest.fixture
def elsewhere(tmp_path: Path) -> Iterator[tuple[Elsewhere, Elsewhere]]:
    """Two systems outside, in their order."""
    first, second = Elsewhere(tmp_path, "provider"), Elsewhere(tmp_path, "safe")
    for each in (first, second):
        outside.register(each.step())
    yield first, second
    for each in (first, second):
        outside.forget(each.name)


def cleared(tier: str = "internal") -> tuple[Agent, Person]:
    """An agent in review that someone has cleared, and who may let it go live."""
    agent = make_draft(tool=make_tool(make_system(tier=tier)))
    by = security()
    register.submit_for_review(agent_id=agent.pk, by=agent.owner)
    register.clear_agent(agent_id=agent.pk, by=by, basis=Clearance.Basis.SECURITY)
    return agent, by


def go_live(*, agent_id: int, by: Person) -> ProvisioningRun:
    """Let a cleared agent run; the run that this began."""
    agent = register.activate_agent(agent_id=agent_id, by=by)
    run: ProvisioningRun = agent.provisioning_runs.latest("started_at")
    return run


def steps(run: ProvisioningRun) -> dict[str, str]:
    return {step.name: step.state for step in run.steps.all()}


def did(agent: Agent) -> list[str]:
    bodies = [parse_body(each) for each in Record.objects.filter(agent=agent.slug).order_by("id")]
    told = [body["asked"]["did"] for body in bodies if "did" in body.get("asked", {})]
    return [each for each in told if "provision" in each]


def reload(run: ProvisioningRun) -> ProvisioningRun:
    return ProvisioningRun.objects.get(pk=run.pk)


# Inside


@pytest.mark.django_db
def test_without_a_system_outside_all_is_done_at_once() -> None:
    agent, by = cleared()

    run = go_live(agent_id=agent.pk, by=by)

    agent.refresh_from_db()
    assert (agent.state, run.state) == ("active", "done")
    assert steps(run) == dict.fromkeys(INSIDE, "done")
    assert [step.name for step in inside.INSIDE] == INSIDE
    assert all(step.said for step in run.steps.all())
    assert did(agent) == ["agent_provisioned"]


@pytest.mark.django_db
def test_identity_is_there_without_a_secret_until_its_owner_asks() -> None:
    agent, by = cleared()
    go_live(agent_id=agent.pk, by=by)

    before = Client.objects.get(agent=agent)
    issued = lifecycle.new_secret(agent_id=agent.pk, by=agent.owner)

    assert (before.secret_digest, before.version) == ("", 0)
    assert issued.client_id == before.client_id
    assert Client.objects.get(agent=agent).version == 1


@pytest.mark.django_db
@pytest.mark.parametrize("way", ["attest", "approve", "go_live"])
def test_every_way_to_live_is_provisioned_alike(way: str) -> None:
    if way == "go_live":
        agent, by = cleared()
        go_live(agent_id=agent.pk, by=by)
    else:
        agent = make_agent(tier="internal" if way == "attest" else "confidential")

    run = agent.provisioning_runs.get()

    assert (run.state, steps(run)) == ("done", dict.fromkeys(INSIDE, "done"))


@pytest.mark.django_db
def test_a_row_that_nobody_cleared_gets_nothing() -> None:
    agent = make_draft()
    register.submit_for_review(agent_id=agent.pk, by=agent.owner)

    with pytest.raises(NotCleared):
        go_live(agent_id=agent.pk, by=security())

    assert not ProvisioningRun.objects.exists()
    assert not Client.objects.filter(agent=agent).exists()


@pytest.mark.django_db
def test_another_reach_than_the_one_that_was_read_goes_not_live() -> None:
    agent, by = cleared()

    with pytest.raises(ReachChanged):
        register.approve_agent(agent_id=agent.pk, by=by, reach_digest="0" * 64)

    assert Agent.objects.get(pk=agent.pk).state == "in_review"


@pytest.mark.django_db
@pytest.mark.parametrize("place", range(len(INSIDE)))
def test_nothing_is_kept_where_a_step_inside_fails(
    place: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    agent, by = cleared()

    def fails(agent: Agent, by: object) -> str:
        raise Invalid("This step fails.")

    broken = list(inside.INSIDE)
    broken[place] = inside.Inside(broken[place].name, broken[place].title, fails)
    monkeypatch.setattr(services, "INSIDE", tuple(broken))

    with pytest.raises(Invalid):
        go_live(agent_id=agent.pk, by=by)

    assert Agent.objects.get(pk=agent.pk).state == "in_review"
    assert not ProvisioningRun.objects.exists()
    assert not Client.objects.filter(agent=agent).exists()
    assert did(agent) == []


# Outside


@pytest.mark.django_db
def test_steps_outside_are_done_in_their_order(elsewhere: tuple[Elsewhere, Elsewhere]) -> None:
    agent, by = cleared()
    run = go_live(agent_id=agent.pk, by=by)
    waiting = steps(run)

    working.carry_on(run_id=run.pk)

    assert (waiting["provider"], waiting["safe"]) == ("waiting", "waiting")
    assert reload(run).state == "done"
    assert [each.made for each in elsewhere] == [[agent.slug], [agent.slug]]
    assert did(agent) == [
        "agent_provisioned",
        "provisioning_step_done",
        "provisioning_step_done",
        "provisioning_done",
    ]


@pytest.mark.django_db
def test_only_what_an_agent_needs_is_made_outside(tmp_path: Path) -> None:
    place = Elsewhere(tmp_path, "provider")
    outside.register(OutsideStep("provider", "Provider", lambda a: False, place.do, place.undo))
    try:
        run = make_agent().provisioning_runs.get()
    finally:
        outside.forget("provider")

    assert (run.state, "provider" in steps(run)) == ("done", False)


@pytest.mark.django_db
def test_what_is_not_there_now_is_tried_again_later(
    elsewhere: tuple[Elsewhere, Elsewhere],
) -> None:
    provider, _ = elsewhere
    provider.refuses = [Unavailable("It does not answer."), RuntimeError("secret text")]
    agent, by = cleared()
    run = go_live(agent_id=agent.pk, by=by)

    working.carry_on(run_id=run.pk)
    first = reload(run)
    why = [first.steps.get(name="provider").error]
    early = working.carry_on(run_id=run.pk)
    with travel(first.next_try_at + timedelta(seconds=1), tick=False):
        assert sweep.due(clock.now()) == [str(run.pk)]
        working.carry_on(run_id=run.pk)
        second = reload(run)
        why.append(second.steps.get(name="provider").error)
    with travel(second.next_try_at + timedelta(seconds=1), tick=False):
        working.carry_on(run_id=run.pk)

    assert why == ["It does not answer.", "It ended with RuntimeError."]
    assert (first.state, early) == ("running", None)
    assert reload(run).state == "done"
    assert reload(run).steps.get(name="provider").error == ""


@pytest.mark.django_db
def test_what_fails_for_good_is_taken_back_and_stops_the_agent(
    elsewhere: tuple[Elsewhere, Elsewhere],
) -> None:
    provider, safe = elsewhere
    safe.refuses = [Invalid("It takes no such name.")]
    agent, by = cleared()
    run = go_live(agent_id=agent.pk, by=by)

    working.carry_on(run_id=run.pk)

    agent.refresh_from_db()
    assert agent.state == "suspended"
    assert agent.state_reason == ("It could not go live: At safe failed. It takes no such name.")
    assert (reload(run).state, reload(run).failure) == ("undone", agent.state_reason)
    assert (provider.made, safe.made) == ([], [])
    assert steps(run) == dict.fromkeys(INSIDE, "done") | {"provider": "undone", "safe": "undone"}


@pytest.mark.django_db
def test_after_too_many_tries_it_has_failed(elsewhere: tuple[Elsewhere, Elsewhere]) -> None:
    provider, _ = elsewhere
    provider.refuses = [Unavailable("It does not answer.")] * rules.MOST_ATTEMPTS
    agent, by = cleared()
    run = go_live(agent_id=agent.pk, by=by)

    for _ in range(rules.MOST_ATTEMPTS):
        with travel(reload(run).next_try_at + timedelta(seconds=1), tick=False):
            working.carry_on(run_id=run.pk)

    assert provider.asked() == rules.MOST_ATTEMPTS
    assert (reload(run).state, Agent.objects.get(pk=agent.pk).state) == ("undone", "suspended")


@pytest.mark.django_db
def test_what_cannot_be_undone_now_stays_open_until_it_can(
    elsewhere: tuple[Elsewhere, Elsewhere],
) -> None:
    provider, safe = elsewhere
    safe.refuses = [Invalid("No.")]
    provider.refuses_undo = [Invalid("Not now.")]
    agent, by = cleared()
    run = go_live(agent_id=agent.pk, by=by)

    working.carry_on(run_id=run.pk)
    stuck = reload(run)
    why = stuck.steps.get(name="provider").error
    with pytest.raises(Conflict, match="still being taken back"):
        services.try_again(agent_id=agent.pk, by=by)
    with travel(stuck.next_try_at + timedelta(seconds=1), tick=False):
        working.carry_on(run_id=run.pk)

    assert (stuck.state, why) == ("undoing", "Not now.")
    assert (reload(run).state, provider.made) == ("undone", [])
    assert Agent.objects.get(pk=agent.pk).state == "suspended"


@pytest.mark.django_db
def test_tried_again_it_is_provisioned_anew(elsewhere: tuple[Elsewhere, Elsewhere]) -> None:
    provider, safe = elsewhere
    safe.refuses = [Invalid("No.")]
    agent, by = cleared()
    first = go_live(agent_id=agent.pk, by=by)
    working.carry_on(run_id=first.pk)

    second = services.try_again(agent_id=agent.pk, by=by)
    working.carry_on(run_id=second.pk)

    assert first.pk != second.pk
    assert (reload(first).state, reload(second).state) == ("undone", "done")
    assert (provider.made, safe.made) == ([agent.slug], [agent.slug])
    assert Agent.objects.get(pk=agent.pk).state == "active"


@pytest.mark.django_db
def test_resuming_an_agent_that_was_provisioned_begins_no_run() -> None:
    agent = make_agent(AgentState.SUSPENDED)

    register.resume_agent(agent_id=agent.pk, by=security())

    assert agent.provisioning_runs.count() == 1


@pytest.mark.django_db
def test_nothing_is_made_for_a_row_that_was_stopped(
    elsewhere: tuple[Elsewhere, Elsewhere],
) -> None:
    provider, safe = elsewhere
    agent, by = cleared()
    run = go_live(agent_id=agent.pk, by=by)
    register.suspend_agent(agent_id=agent.pk, by=by, reason="Stop.")

    working.carry_on(run_id=run.pk)

    assert (provider.asked(), safe.asked()) == (0, 0)
    assert reload(run).state == "undone"
    assert Agent.objects.get(pk=agent.pk).state_reason == "Stop."


@pytest.mark.django_db
@pytest.mark.parametrize("during", [0, 1])
def test_a_row_stopped_meanwhile_loses_what_was_made(
    during: int, elsewhere: tuple[Elsewhere, Elsewhere]
) -> None:
    agent, by = cleared()
    run = go_live(agent_id=agent.pk, by=by)

    def stop(agent: Agent) -> None:
        register.suspend_agent(agent_id=agent.pk, by=by, reason="Stop.")

    elsewhere[during].meanwhile = stop

    working.carry_on(run_id=run.pk)

    assert [each.made for each in elsewhere] == [[], []]
    assert reload(run).state == "undone"


@pytest.mark.django_db
def test_a_step_outside_is_in_no_transaction(elsewhere: tuple[Elsewhere, Elsewhere]) -> None:
    provider, _ = elsewhere
    agent, by = cleared()
    run = go_live(agent_id=agent.pk, by=by)
    depth = len(transaction.get_connection().savepoint_ids)
    seen: list[int] = []
    provider.meanwhile = lambda agent: seen.append(len(transaction.get_connection().savepoint_ids))

    working.carry_on(run_id=run.pk)

    assert seen == [depth]


@pytest.mark.django_db
def test_database_takes_one_open_run_of_an_agent(elsewhere: tuple[Elsewhere, Elsewhere]) -> None:
    agent, by = cleared()
    go_live(agent_id=agent.pk, by=by)

    with pytest.raises(IntegrityError, match="provisioning_one_open_run"), transaction.atomic():
        services.begin(agent, by)


def test_every_state_says_what_may_follow() -> None:
    assert set(rules.RUN_TRANSITIONS) == set(rules.R)
    assert set(rules.STEP_TRANSITIONS) == set(rules.S)


# Killed, and two at once


@pytest.mark.django_db(transaction=True)
def test_of_two_at_once_one_goes_live() -> None:
    agent, by = cleared()
    ends: list[str] = []

    def go() -> None:
        try:
            go_live(agent_id=agent.pk, by=by)
            ends.append("live")
        except WrongState:
            ends.append("refused")
        finally:
            connections.close_all()

    both = [threading.Thread(target=go) for _ in range(2)]
    for each in both:
        each.start()
    for each in both:
        each.join()

    assert sorted(ends) == ["live", "refused"]
    assert agent.provisioning_runs.count() == 1
    assert Client.objects.filter(agent=agent).count() == 1


@pytest.mark.django_db(transaction=True)
def test_of_two_workers_one_does_each_step(elsewhere: tuple[Elsewhere, Elsewhere]) -> None:
    agent, by = cleared()
    run = go_live(agent_id=agent.pk, by=by)
    begun, go_on = threading.Event(), threading.Event()

    def hold(agent: Agent) -> None:
        begun.set()
        assert go_on.wait(20)

    elsewhere[0].meanwhile = hold

    def work() -> None:
        working.carry_on(run_id=run.pk)
        connections.close_all()

    first = threading.Thread(target=work)
    first.start()
    assert begun.wait(20)
    second = working.carry_on(run_id=run.pk)
    go_on.set()
    first.join()

    assert second is None
    assert [each.asked() for each in elsewhere] == [1, 1]
    assert reload(run).state == "done"


# Each name is a place where the process dies; the run must end well from there.
DEATHS = [
    ("before", "lifecycle.provisioning.services.begin"),
    ("after", "lifecycle.provisioning.services.begin"),
    ("before", "lifecycle.provisioning.services._inside"),
    ("after", "lifecycle.provisioning.services._inside"),
    ("after", "registry.identity.clients.make_client"),
    ("after", "audit.services.record"),
]


@pytest.mark.kill
@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(("when", "place"), DEATHS)
def test_killed_while_it_is_activated_nothing_is_there(when: str, place: str) -> None:
    agent, by = cleared()

    ended = in_child(lambda: go_live(agent_id=agent.pk, by=by), **{when: place})

    assert ended == 9
    assert Agent.objects.get(pk=agent.pk).state == "in_review"
    assert not ProvisioningRun.objects.exists()
    assert not Client.objects.filter(agent=agent).exists()
    assert go_live(agent_id=agent.pk, by=by).state == "done"


STEPS = [
    "_claim",
    "_next",
    "_do",
    "_write_down",
    "_move",
]
TAKEN_BACK = ["_give_up", "_undo", "_write_down", "_next", "_move", "_begin_undoing"]


def _killed(run: ProvisioningRun, when: str, name: str) -> None:
    ended = in_child(
        lambda: working.carry_on(run_id=run.pk), **{when: f"lifecycle.provisioning.working.{name}"}
    )
    assert ended == 9


def _swept(run: ProvisioningRun) -> None:
    """What the sweep does once the claim of the dead process has run out."""
    with travel(clock.now() + claims.CLAIM + timedelta(seconds=1), tick=False):
        assert sweep.due(clock.now()) == [str(run.pk)]
        working.carry_on(run_id=run.pk)


@pytest.mark.kill
@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("name", STEPS)
def test_killed_outside_the_next_one_goes_on(
    name: str, when: str, elsewhere: tuple[Elsewhere, Elsewhere]
) -> None:
    agent, by = cleared()
    run = go_live(agent_id=agent.pk, by=by)

    _killed(run, when, name)
    _swept(run)

    assert reload(run).state == "done"
    assert [each.made for each in elsewhere] == [[agent.slug], [agent.slug]]
    assert Agent.objects.get(pk=agent.pk).state == "active"


@pytest.mark.kill
@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("name", TAKEN_BACK)
def test_killed_while_it_is_taken_back_nothing_stays(
    name: str, when: str, elsewhere: tuple[Elsewhere, Elsewhere]
) -> None:
    agent, by = cleared()
    run = go_live(agent_id=agent.pk, by=by)
    # In the child and after it: what it refuses, it refuses again.
    elsewhere[1].refuses = [Invalid("No.")]

    _killed(run, when, name)
    _swept(run)

    assert reload(run).state == "undone"
    assert [each.made for each in elsewhere] == [[], []]
    assert Agent.objects.get(pk=agent.pk).state == "suspended"
