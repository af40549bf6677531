"""Every state × every target × every role, and what a row needs before it runs."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from itertools import product

import pytest
from django.contrib.auth.models import Group
from django.core.management import call_command
from django.db import IntegrityError, connection, transaction

from audit.errors import AuditUnavailable
from governance.kernel.errors import GovernanceError, NotAllowed
from registry import guard, reach, rules, services
from registry.enums import AgentState, Employment, GroupName, Tier
from registry.errors import AgentNotActive, Incomplete, NotCleared, ReachChanged, WrongState
from registry.models import Agent, Clearance, Person, System
from tests.factories.registry import (
    SWEEP,
    make_agent,
    make_draft,
    make_person,
    make_system,
    make_tool,
    security,
)

pytestmark = pytest.mark.django_db
S = AgentState

ROLES = (
    "owner", "backup", "security", "dpo", "source_owner", "auditor", "platform_admin", "stranger",
    "owner_in_security", "left", "owner_of_its_system",
)  # fmt: skip

# How a person tries to bring an agent to a state.
MOVES = {
    S.DRAFT: lambda agent, by: services.withdraw_from_review(agent_id=agent.pk, by=by),
    S.IN_REVIEW: lambda agent, by: services.submit_for_review(agent_id=agent.pk, by=by),
    S.ACTIVE: lambda agent, by: (
        services.resume_agent(agent_id=agent.pk, by=by)
        if agent.state == S.SUSPENDED
        else services.activate_agent(agent_id=agent.pk, by=by)
    ),
    S.SUSPENDED: lambda agent, by: services.suspend_agent(agent_id=agent.pk, by=by, reason="Now."),
    S.DECOMMISSIONING: lambda agent, by: services.begin_decommissioning(
        agent_id=agent.pk, by=by, reason="Over."
    ),
    S.DECOMMISSIONED: lambda agent, by: services.finish_decommissioning(agent_id=agent.pk, by=by),
}

EDITORS = {"owner", "security", "platform_admin", "owner_in_security"}
SUSPENDERS = EDITORS | {"backup", "owner_of_its_system"}
ENDERS = {"owner", "security", "owner_in_security"}
# Who may, where the state allows it; the agents are internal, and cleared where it matters.
WHO = {
    (S.IN_REVIEW, S.DRAFT): EDITORS,
    (S.DRAFT, S.IN_REVIEW): EDITORS,
    (S.IN_REVIEW, S.ACTIVE): ENDERS,
    (S.SUSPENDED, S.ACTIVE): {"security"},
    (S.ACTIVE, S.SUSPENDED): SUSPENDERS,
    (S.SUSPENDED, S.SUSPENDED): SUSPENDERS,
    (S.DECOMMISSIONING, S.DECOMMISSIONED): ENDERS,
    **{(state, S.DECOMMISSIONING): ENDERS for state in (S.DRAFT, S.IN_REVIEW)},
    **{(state, S.DECOMMISSIONING): ENDERS for state in (S.ACTIVE, S.SUSPENDED)},
}


def people_around(agent: Agent) -> dict[str, Person]:
    """Someone in each role towards `agent`."""
    groups = ("security", "dpo", "source_owner", "auditor", "platform_admin")
    source_owner = make_person(GroupName.SOURCE_OWNER)
    System.objects.filter(tools__allowlisted__agent=agent).update(owner=source_owner)
    return {
        "owner": agent.owner,
        "backup": agent.backup_owner,
        "owner_of_its_system": source_owner,
        "stranger": make_person(),
        "left": make_person(GroupName.SECURITY, employment="left", last_day="2026-01-01"),
        **{name: make_person(GroupName(name)) for name in groups},
    }


def refused(act, error: type[GovernanceError] = GovernanceError) -> GovernanceError:
    with pytest.raises(error) as caught, transaction.atomic():
        act()
    return caught.value


@pytest.mark.parametrize("state", S)
def test_every_target_and_role(state: AgentState) -> None:
    agent = make_agent(state, backup_owner=make_person())
    people = people_around(agent)
    if state == S.IN_REVIEW:
        basis = Clearance.Basis.ATTESTATION
        services.clear_agent(agent_id=agent.pk, by=agent.owner, basis=basis)
    reached, wanted = {}, {}

    for target, role in product(S, ROLES):
        with undone():
            by = owner_in_security(agent) if role == "owner_in_security" else people[role]
            with suppress(NotAllowed, WrongState), transaction.atomic():
                MOVES[target](agent, by)
            reached[target, role] = Agent.objects.get(pk=agent.pk).state
        wanted[target, role] = target if role in WHO.get((state, target), set()) else state

    assert reached == wanted


@contextmanager
def undone() -> Iterator[None]:
    point = transaction.savepoint()
    yield
    transaction.savepoint_rollback(point)


def owner_in_security(agent: Agent) -> Person:
    agent.owner.groups.set(Group.objects.filter(name=GroupName.SECURITY))
    return Person.objects.get(pk=agent.owner_id)


def test_transitions_cover_every_state() -> None:
    assert set(rules.AGENT_TRANSITIONS) == set(S)
    assert {t for targets in rules.AGENT_TRANSITIONS.values() for t in targets} == set(S)


def test_state_diagram_has_not_drifted() -> None:
    call_command("state_diagram", check=True)


@pytest.mark.parametrize("state", S)
@pytest.mark.parametrize("employment", Employment)
def test_guard(state: AgentState, employment: str) -> None:
    agent = make_agent(state)
    last_day = None if employment == "employed" else "2026-12-01"
    services.set_employment(
        person_id=agent.owner_id, employment=employment, last_day=last_day, by=SWEEP
    )
    agent = Agent.objects.select_related("owner").get(pk=agent.pk)

    code = guard.refusal(agent)

    if state != S.ACTIVE:
        assert code == "identity.not_active"
    else:
        assert code == ("identity.owner_left" if employment == "left" else None)
    if code:
        assert refused(lambda: guard.require_active(agent), AgentNotActive).code == code
    else:
        guard.require_active(agent)


@pytest.mark.parametrize("missing", rules.LIMITS)
def test_no_review_without_limits(missing: str) -> None:
    agent = make_draft(**{missing: None})

    error = refused(
        lambda: services.submit_for_review(agent_id=agent.pk, by=agent.owner), Incomplete
    )

    assert list(error.fields) == [missing]


@pytest.mark.parametrize(
    "owner", [{"chat_handle": ""}, {"employment": "leaving", "last_day": "2027-01-01"}]
)
def test_no_review_without_an_owner_who_answers(owner: dict) -> None:
    agent = make_draft(owner=make_person(**owner))

    error = refused(
        lambda: services.submit_for_review(agent_id=agent.pk, by=agent.owner), Incomplete
    )

    assert list(error.fields) == ["owner"]


def test_owner_may_not_attest_confidential() -> None:
    agent = make_draft(tool=make_tool(make_system(tier="confidential")))

    refused(lambda: services.attest_agent(agent_id=agent.pk, by=agent.owner), NotAllowed)

    assert Clearance.objects.filter(agent=agent).count() == 0


def test_security_may_not_approve_their_own() -> None:
    owner = security()
    agent = make_draft(owner=owner, tool=make_tool(make_system(tier="confidential")))
    services.submit_for_review(agent_id=agent.pk, by=owner)

    error = refused(lambda: services.approve_agent(agent_id=agent.pk, by=owner), NotAllowed)

    assert error.message == (
        f"You own {agent.slug}, or stand in for its owner, so someone else must clear it."
    )


def test_confidential_needs_the_word_of_security() -> None:
    agent = make_agent(S.IN_REVIEW, tier="confidential")
    by = security()
    dpo = make_person(GroupName.DPO)
    services.clear_agent(agent_id=agent.pk, by=dpo, basis=Clearance.Basis.DPO)
    refused(lambda: services.activate_agent(agent_id=agent.pk, by=by), NotCleared)

    services.approve_agent(agent_id=agent.pk, by=by)

    assert Agent.objects.get(pk=agent.pk).state == S.ACTIVE


def test_a_toxic_combination_takes_the_word_from_the_owner(monkeypatch) -> None:
    system = make_system(categories=["identity", "location"])
    toxic = reach.Combination("stalking", frozenset({"identity", "location"}), Tier.RESTRICTED)
    agent = make_draft(tool=make_tool(system))
    monkeypatch.setattr(reach, "_catalogue", [lambda: [toxic]])

    error = refused(lambda: services.attest_agent(agent_id=agent.pk, by=agent.owner), NotAllowed)

    assert error.message == (
        f"{agent.slug} is restricted: security must clear it, the owner's word is not enough."
    )


def test_a_clearance_is_for_one_reach_only() -> None:
    agent = make_agent(S.IN_REVIEW)
    services.clear_agent(agent_id=agent.pk, by=agent.owner, basis=Clearance.Basis.ATTESTATION)
    services.set_allowlist_entry(agent_id=agent.pk, tool=make_tool(), by=agent.owner)

    refused(lambda: services.activate_agent(agent_id=agent.pk, by=agent.owner), NotCleared)


def test_an_answer_to_another_reach_is_refused() -> None:
    agent = make_draft()

    refused(
        lambda: services.attest_agent(agent_id=agent.pk, by=agent.owner, reach_digest="0" * 64),
        ReachChanged,
    )


def test_owner_resumes_only_what_they_suspended() -> None:
    agent = make_agent()
    services.suspend_agent(agent_id=agent.pk, by=agent.owner, reason="Looking at it.")

    resumed = services.resume_agent(agent_id=agent.pk, by=agent.owner)

    assert resumed.state == S.ACTIVE


def test_suspending_twice_records_once(mark, records_after) -> None:
    agent = make_agent()
    marked = mark()

    services.suspend_agent(agent_id=agent.pk, by=SWEEP, reason="Over its cap.")
    services.suspend_agent(agent_id=agent.pk, by=agent.owner, reason="Again.")

    assert [(r["actor"], r["agent"]) for r in records_after(marked, kind="registry")] == [
        ("system:sweep", agent.slug)
    ]
    assert Agent.objects.get(pk=agent.pk).state_reason == "Over its cap."


def test_clocks_start_at_activation() -> None:
    agent = make_agent(tier="confidential")

    assert agent.activated_at is not None
    activated = agent.activated_at.date()
    assert agent.review_due == rules.months_after(activated, 6)
    assert agent.renewal_due == rules.months_after(activated, 12)


@pytest.mark.parametrize("act", ["suspend", "draft", "attest", "employment", "system"])
def test_nothing_is_saved_when_recording_fails(act: str, monkeypatch) -> None:
    owner, agent, by, draft = make_person(), make_agent(), security(), make_draft()
    acts = {
        "suspend": lambda: services.suspend_agent(agent_id=agent.pk, by=by, reason="x"),
        "draft": lambda: services.draft_agent(
            slug="lost", name="x", purpose="y", owner=owner, by=owner
        ),
        "attest": lambda: services.attest_agent(agent_id=draft.pk, by=draft.owner),
        "employment": lambda: services.set_employment(
            person_id=owner.pk, employment="left", last_day="2026-01-01", by=by
        ),
        "system": lambda: services.save_system(slug="lost", by=by),
    }

    def fail(**_: object) -> None:
        raise AuditUnavailable()

    before = state_of_everything()
    monkeypatch.setattr("audit.services.record", fail)

    refused(acts[act], AuditUnavailable)

    assert state_of_everything() == before


def state_of_everything() -> list[tuple]:
    tables = ("registry_agent", "registry_person", "registry_system", "registry_clearance")
    with connection.cursor() as cursor:
        found = []
        for table in tables:
            cursor.execute(f"SELECT to_jsonb(t) FROM {table} AS t ORDER BY id")
            found.append(cursor.fetchall())
    return found


@pytest.mark.parametrize(
    ("field", "value"),
    [("spend_cap_minor", None), ("rate_per_minute", 0), ("activated_at", None)],
)
def test_a_live_row_without_limits_is_refused_by_the_database(field: str, value) -> None:
    agent = make_agent()

    with pytest.raises(IntegrityError), transaction.atomic():
        Agent.objects.filter(pk=agent.pk).update(**{field: value})

    assert getattr(Agent.objects.get(pk=agent.pk), field) == getattr(agent, field)


def test_a_superuser_is_refused_by_the_database() -> None:
    person = make_person()

    with pytest.raises(IntegrityError), transaction.atomic():
        Person.objects.filter(pk=person.pk).update(is_superuser=True)
