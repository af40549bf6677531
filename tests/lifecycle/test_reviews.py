"""Reviews: who signs by tier, who is refused, and what voids a word that was given."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import date, timedelta
from threading import Barrier
from typing import Any

import pytest
from django.db import IntegrityError, connections, transaction

from authz.models import Role
from authz.services import set_agent_roles
from governance.kernel.database_clock import database_now
from governance.kernel.errors import Conflict, GovernanceError, NotAllowed
from lifecycle.models import Notice, Review, ReviewStep
from lifecycle.models.reviews import EventKind, ReviewState, StepRole
from lifecycle.reviews import clock, page, selectors, services
from lifecycle.reviews.errors import NoReason, RowChanged, StepAnswered
from registry import changes, reach
from registry import services as register
from registry.enums import AgentState, GroupName, Tier
from registry.errors import NotCleared
from registry.models import Agent, Clearance, Person, ProposedChange, System
from tests.factories.registry import (
    make_agent,
    make_draft,
    make_person,
    make_system,
    make_tool,
    security,
)

pytestmark = pytest.mark.django_db
S = AgentState
PAIR = reach.Combination("pair", frozenset({"names", "places"}), Tier.RESTRICTED, "Both tell who.")


@pytest.fixture(autouse=True)
def _no_probe(settings: Any) -> None:
    settings.MUSTER_PROBE_GATES = dict.fromkeys(settings.MUSTER_PROBE_GATES, "off")


@pytest.fixture
def toxic(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reach, "_catalogue", [lambda: [PAIR]])


def dpo() -> Person:
    return make_person(GroupName.DPO)


def sent(tier: str = "confidential", **fields: Any) -> Review:
    """The open review of an agent that asks to go live."""
    agent = make_agent(S.IN_REVIEW, tier=tier, **fields)
    return Review.objects.get(agent=agent, state=ReviewState.OPEN)


def sent_toxic(*owners: Person | None) -> Review:
    """One that brings two categories together, each from a source with this owner."""
    names = make_system(tier="internal", categories=["names"], owner=owners[0])
    places = make_system(tier="internal", categories=["places"], owner=owners[1])
    agent = make_draft(tool=make_tool(names))
    register.set_allowlist_entry(agent_id=agent.pk, tool=make_tool(places), by=agent.owner)
    return services.open_review(agent_id=agent.pk, by=agent.owner)


def step(review: Review, role: str, system: str = "") -> ReviewStep:
    steps = review.steps.filter(role=role)
    return steps.get(system__slug=system) if system else steps.get()


def sign(review: Review, role: str, by: Person, system: str = "") -> Review:
    return services.approve_step(step_id=step(review, role, system).pk, by=by, reason="Fine.")


def refused(act: Callable[[], object], error: type[GovernanceError]) -> str:
    with pytest.raises(error) as caught:
        act()
    return caught.value.message


def state(review: Review) -> tuple[str, str]:
    review.refresh_from_db()
    return review.state, Agent.objects.get(pk=review.agent_id).state


LIVE = ("approved", "active")
OPEN = ("open", "in_review")


def test_confidential_needs_security_alone() -> None:
    review = sent("confidential")

    assert [(each.role, each.days) for each in review.steps.all()] == [("security", 2)]
    sign(review, "security", security())

    assert state(review) == LIVE
    word = review.agent.clearances.get()
    assert (word.basis, word.reason) == ("security", "Fine.")


def test_restricted_needs_security_and_dpo_in_either_order() -> None:
    for first, second in (("security", "dpo"), ("dpo", "security")):
        review = sent("restricted")
        people = {"security": security(), "dpo": dpo()}
        assert {(each.role, each.days) for each in review.steps.all()} == {
            ("security", 5),
            ("dpo", 5),
        }

        sign(review, first, people[first])
        assert state(review) == OPEN
        refused(
            lambda review=review: register.activate_agent(agent_id=review.agent_id, by=security()),
            NotCleared,
        )
        sign(review, second, people[second])

        assert state(review) == LIVE


def test_toxic_needs_the_owners_of_the_sources_whatever_the_tiers(toxic: None) -> None:
    one, two = make_person(), make_person()
    review = sent_toxic(one, two)
    names, places = sorted(
        review.steps.filter(role="source_owner").values_list("system__slug", flat=True)
    )
    owners = {
        names: System.objects.get(slug=names).owner,
        places: System.objects.get(slug=places).owner,
    }

    sign(review, "security", security())
    sign(review, "dpo", dpo())
    sign(review, "source_owner", owners[names], names)
    assert state(review) == OPEN
    said = refused(lambda: sign(review, "source_owner", owners[names], places), NotAllowed)
    sign(review, "source_owner", owners[places], places)

    assert said == f"Only {owners[places]}, who owns {places} may say yes for it."
    assert state(review) == LIVE


def test_one_owner_of_two_sources_counts_for_both_but_in_no_other_role(toxic: None) -> None:
    owner = make_person(GroupName.SECURITY)
    review = sent_toxic(owner, owner)
    slugs = list(review.steps.filter(role="source_owner").values_list("system__slug", flat=True))

    for slug in slugs:
        sign(review, "source_owner", owner, slug)
    said = refused(lambda: sign(review, "security", owner), NotAllowed)

    assert "Two hats on one head count once" in said
    assert state(review) == OPEN


def test_a_source_without_an_owner_needs_a_second_person_in_security(toxic: None) -> None:
    review = sent_toxic(make_person(), None)
    bare = review.steps.get(system__owner__isnull=True, role="source_owner")
    owned = review.steps.get(system__owner__isnull=False, role="source_owner")
    first, second = security(), security()
    sign(review, "security", first)
    sign(review, "dpo", dpo())
    sign(review, "source_owner", owned.system.owner, owned.system.slug)

    said = refused(lambda: sign(review, "source_owner", first, bare.system.slug), NotAllowed)
    stranger = refused(lambda: sign(review, "source_owner", dpo(), bare.system.slug), NotAllowed)
    sign(review, "source_owner", second, bare.system.slug)

    assert "Two hats on one head" in said
    assert "only a second person in security may" in stranger
    assert state(review) == LIVE


def test_two_hats_on_one_head_count_once() -> None:
    review = sent("restricted")
    both = make_person(GroupName.SECURITY, GroupName.DPO)
    sign(review, "security", both)

    said = refused(lambda: sign(review, "dpo", both), NotAllowed)
    register_said = refused(
        lambda: register.clear_agent(agent_id=review.agent_id, by=both, basis=Clearance.Basis.DPO),
        NotAllowed,
    )

    assert "Two hats on one head count once" in said
    assert "Two hats on one head count once" in register_said
    assert state(review) == OPEN


@pytest.mark.parametrize("role", ["owner", "backup"])
def test_nobody_reviews_their_own(role: str) -> None:
    own = make_person(GroupName.SECURITY, GroupName.DPO)
    people = {"owner": {"owner": own}, "backup": {"backup_owner": own}}[role]
    review = sent("restricted", **people)

    for name in ("security", "dpo"):
        said = refused(lambda name=name: sign(review, name, own), NotAllowed)
        assert said.startswith(f"You own {review.agent.slug}, or stand in for its owner")

    assert state(review) == OPEN


def test_the_database_refuses_ones_own_word_too() -> None:
    own = security()
    review = sent("restricted", owner=own)
    word = {"agent": review.agent, "reach_digest": review.reach_digest, "tier": "restricted"}

    with pytest.raises(IntegrityError), transaction.atomic():
        Clearance.objects.create(basis="security", by=own, at=database_now(), **word)
    with pytest.raises(IntegrityError), transaction.atomic():
        ReviewStep.objects.filter(review=review, role="security").update(
            state="approved", answered_by=own, answered_at=database_now()
        )
    both = security()
    ReviewStep.objects.filter(review=review, role="security").update(
        state="approved", answered_by=both, answered_at=database_now()
    )
    with pytest.raises(IntegrityError), transaction.atomic():
        ReviewStep.objects.filter(review=review, role="dpo").update(
            state="approved", answered_by=both, answered_at=database_now()
        )


WRONG = {
    "security": {"owner", "backup", "dpo", "source_owner", "auditor", "platform_admin", "stranger"},
    "dpo": {"owner", "backup", "security", "source_owner", "auditor", "platform_admin", "stranger"},
}


def test_only_the_right_group_signs() -> None:
    backup = make_person()
    review = sent("restricted", backup_owner=backup)
    groups = ("security", "dpo", "source_owner", "auditor", "platform_admin")
    people = {name: make_person(GroupName(name)) for name in groups}
    people |= {"owner": review.agent.owner, "backup": backup, "stranger": make_person()}
    people["left"] = make_person(GroupName.DPO, employment="left", last_day="2026-01-01")

    for role, wrong in WRONG.items():
        for name in wrong | {"left"}:
            refused(lambda role=role, name=name: sign(review, role, people[name]), NotAllowed)

    assert review.steps.exclude(state="waiting").count() == 0


CHANGES: dict[str, Callable[[Agent], object]] = {
    "a field": lambda agent: register.update_agent(
        agent_id=agent.pk, by=agent.owner, purpose="Something else."
    ),
    "a limit": lambda agent: register.update_agent(
        agent_id=agent.pk, by=agent.owner, rate_per_minute=9
    ),
    "a tool": lambda agent: register.set_allowlist_entry(
        agent_id=agent.pk, tool=make_tool(), by=agent.owner
    ),
    "the backup owner": lambda agent: register.update_agent(
        agent_id=agent.pk, by=agent.owner, backup_owner=make_person()
    ),
    "a role": lambda agent: set_agent_roles(
        agent_id=agent.pk, roles=[Role.objects.create(slug="more")], by=agent.owner
    ),
    "a dependent": lambda agent: register.set_dependents(
        agent_id=agent.pk, people=[make_person()], agents=[], by=agent.owner
    ),
    "a credential": lambda agent: register.add_credential_reference(
        agent_id=agent.pk, reference="vault://a/b", by=agent.owner
    ),
    "a source": lambda agent: register.save_system(
        slug=agent.allowlist.get().tool.system.slug, by=security(), categories=["more"]
    ),
}


@pytest.mark.parametrize("what", CHANGES)
def test_any_change_before_the_start_voids_what_was_signed(what: str) -> None:
    review = sent("restricted")
    first = security()
    sign(review, "security", first)

    CHANGES[what](Agent.objects.get(pk=review.agent_id))
    clock.handle(f"review:{review.pk}", database_now())
    sign(review, "dpo", dpo())

    assert state(review) == OPEN
    assert step(review, "security").state == "waiting"
    assert [each.kind for each in review.events.all()][:3] == ["opened", "approved", "voided"]
    assert Clearance.objects.get(basis="security").voided != ""
    assert Notice.objects.filter(person=first, code="review.voided").count() == 1


def test_a_change_between_the_last_approval_and_the_start_voids_all() -> None:
    review = sent("confidential")
    by, owner = security(), review.agent.owner
    register.set_employment(person_id=owner.pk, employment="leaving", last_day="2027-06-01", by=by)
    sign(review, "security", by)
    assert state(review) == OPEN
    assert step(review, "security").state == "approved"
    register.set_employment(person_id=owner.pk, employment="employed", last_day=None, by=by)

    register.update_agent(agent_id=review.agent_id, by=by, purpose="Something else.")
    refused(lambda: services.go_live(review_id=review.pk, by=by), NotCleared)
    sign(review, "security", by)

    assert state(review) == LIVE


def test_what_kept_it_from_going_live_is_tried_again() -> None:
    review = sent("confidential")
    by, owner = security(), review.agent.owner
    register.set_employment(person_id=owner.pk, employment="leaving", last_day="2027-06-01", by=by)
    sign(review, "security", by)
    register.set_employment(person_id=owner.pk, employment="employed", last_day=None, by=by)

    services.go_live(review_id=review.pk, by=by)

    assert state(review) == LIVE
    assert review.events.filter(kind="comment").get().text.startswith("Everyone has signed, and")


def test_the_digest_that_was_read_is_the_digest_that_is_signed() -> None:
    review = sent()
    waiting = step(review, "security")

    refused(
        lambda: services.approve_step(step_id=waiting.pk, by=security(), digest="0" * 64),
        RowChanged,
    )
    services.approve_step(step_id=waiting.pk, by=security(), digest=review.digest)

    assert state(review) == LIVE


@pytest.mark.parametrize(
    ("act", "ended"), [(services.ask_for_change, "changes"), (services.reject_step, "rejected")]
)
def test_a_no_has_a_reason_and_makes_it_a_draft(act: Callable[..., Review], ended: str) -> None:
    review = sent("restricted")
    by = dpo()
    waiting = step(review, "dpo")
    refused(lambda: act(step_id=waiting.pk, by=by, reason=" "), NoReason)
    refused(lambda: act(step_id=waiting.pk, by=security(), reason="No."), NotAllowed)

    act(step_id=waiting.pk, by=by, reason="Fields are too wide.")

    assert state(review) == (ended, "draft")
    assert Agent.objects.get(pk=review.agent_id).state_reason == "Fields are too wide."
    assert Notice.objects.get(code="review.ended").person == review.agent.owner


def test_what_changed_since_it_was_sent_back_is_shown() -> None:
    review = sent()
    services.ask_for_change(step_id=step(review, "security").pk, by=security(), reason="Less.")
    agent = Agent.objects.get(pk=review.agent_id)
    register.update_agent(agent_id=agent.pk, by=agent.owner, rate_per_minute=3)

    again = services.open_review(agent_id=agent.pk, by=agent.owner)
    shown = page.page_of(again, security())

    assert [(each.name, each.before, each.after) for each in shown["differences"]] == [
        ("rate per minute", "10", "3")
    ]


def test_an_attested_agent_has_a_review_that_is_over() -> None:
    agent = make_agent(tier="internal")

    review = Review.objects.get(agent=agent)

    assert (review.state, review.live_at is not None) == ("approved", True)
    assert [(each.role, each.answered_by) for each in review.steps.all()] == [
        ("owner", agent.owner)
    ]


def test_taking_it_back_ends_the_review() -> None:
    review = sent()

    register.withdraw_from_review(agent_id=review.agent_id, by=review.agent.owner)

    assert state(review) == ("withdrawn", "draft")


# Changes of live rows


def widened(tier: str) -> tuple[Agent, ProposedChange]:
    agent = make_agent(tier=tier)
    saved = register.set_allowlist_entry(
        agent_id=agent.pk, tool=make_tool(make_system(tier=tier)), by=agent.owner
    )
    return agent, saved.proposed[0]


def test_widening_a_restricted_row_takes_the_steps_of_its_tier() -> None:
    agent, change = widened("restricted")
    review = Review.objects.get(change=change)
    assert {each.role for each in review.steps.all()} == {"security", "dpo"}

    refused(lambda: changes.agree(change_id=change.pk, by=security()), NotCleared)
    sign(review, "security", security())
    during = agent.allowlist.count()
    sign(review, "dpo", dpo())

    change.refresh_from_db()
    assert (during, agent.allowlist.count(), change.state) == (1, 2, "agreed")
    assert state(review) == ("approved", "active")


def test_narrowing_is_immediate_and_keeps_every_word() -> None:
    agent = make_agent(tier="restricted")
    before = Review.objects.count()

    register.update_agent(agent_id=agent.pk, by=agent.owner, rate_per_minute=1)

    agent.refresh_from_db()
    assert (agent.rate_per_minute, Review.objects.count()) == (1, before)
    digest = register.fresh_reach(agent).digest
    assert {word.basis for word in agent.clearances.filter(reach_digest=digest)} == {
        "security",
        "dpo",
    }


def test_a_change_beneath_an_open_diff_voids_its_words() -> None:
    agent, change = widened("restricted")
    review = Review.objects.get(change=change)
    sign(review, "security", security())

    register.update_agent(agent_id=agent.pk, by=agent.owner, rate_per_minute=1)
    refused(lambda: sign(review, "dpo", dpo()), RowChanged)
    sign(review, "dpo", dpo())

    assert state(review) == ("open", "active")
    assert step(review, "security").state == "waiting"
    assert EventKind.VOIDED in [each.kind for each in review.events.all()]


def test_the_proposer_does_not_sign_their_own_diff() -> None:
    agent = make_agent(tier="confidential")
    by = security()
    saved = register.update_agent(agent_id=agent.pk, by=by, rate_per_minute=100)
    review = Review.objects.get(change=saved.proposed[0])

    said = refused(lambda: sign(review, "security", by), NotAllowed)
    sign(review, "security", security())

    assert said == "You proposed this, so someone else must sign it."
    assert state(review) == ("approved", "active")


# Absence


def test_a_stand_in_signs_for_the_owner_of_a_source(toxic: None) -> None:
    away, other = make_person(GroupName.SOURCE_OWNER), make_person()
    review = sent_toxic(away, other)
    slug = review.steps.get(system__owner=away).system.slug
    deputy = make_person(GroupName.SOURCE_OWNER)
    today = database_now().date()
    refused(lambda: sign(review, "source_owner", deputy, slug), NotAllowed)

    register.declare_absence(
        person=away, stand_in=deputy, first_day=today - timedelta(days=1),
        last_day=today + timedelta(days=3), by=away,
    )  # fmt: skip
    sign(review, "source_owner", deputy, slug)

    done = step(review, "source_owner", slug)
    assert (done.answered_by, done.stands_in_for) == (deputy, away)
    assert done.clearance.stands_in_for == away


def test_a_stand_in_needs_the_same_duty_and_signs_no_agent_of_their_own(toxic: None) -> None:
    away = make_person(GroupName.SOURCE_OWNER)
    today = database_now().date()
    span = {"first_day": today - timedelta(days=1), "last_day": today + timedelta(days=3)}
    with pytest.raises(GovernanceError):
        register.declare_absence(person=away, stand_in=make_person(), by=away, **span)
    deputy = make_person(GroupName.SOURCE_OWNER)
    with pytest.raises(NotAllowed):
        register.declare_absence(person=away, stand_in=deputy, by=deputy, **span)
    review = sent_toxic(away, make_person())
    agent = review.agent
    register.update_agent(agent_id=agent.pk, by=agent.owner, backup_owner=deputy)
    absence = register.declare_absence(person=away, stand_in=deputy, by=away, **span)
    slug = review.steps.get(system__owner=away).system.slug

    refused(lambda: sign(review, "source_owner", deputy, slug), NotAllowed)
    register.end_absence(absence_id=absence.pk, by=away)
    sign(review, "source_owner", away, slug)

    assert step(review, "source_owner", slug).stands_in_for is None


# The clock


def test_each_is_told_reminded_and_escalated_once() -> None:
    review = sent("confidential")
    boss = make_person()
    by = security()
    Person.objects.filter(pk=by.pk).update(manager=boss)
    admin = make_person(GroupName.PLATFORM_ADMIN)
    due = step(review, "security").due
    counted = {}

    for name, at in {
        "opened": review.opened_at,
        "the day before": due - timedelta(hours=20),
        "overdue": due + timedelta(minutes=1),
    }.items():
        clock.handle(f"review:{review.pk}", at)
        clock.handle(f"review:{review.pk}", at)
        rows = Notice.objects.filter(person__in=[by, boss, admin]).order_by("made_at", "pk")
        counted[name] = sorted((each.person_id == by.pk, each.code) for each in rows)

    assert counted["opened"] == [(True, "review.asked")]
    assert counted["the day before"] == [(True, "review.asked"), (True, "review.due")]
    assert counted["overdue"] == [
        (False, "review.overdue"),
        (False, "review.overdue"),
        (True, "review.asked"),
        (True, "review.due"),
        (True, "review.overdue"),
    ]
    assert [each.kind for each in review.events.all()] == ["opened", "reminded", "escalated"]


def test_an_agent_in_review_without_one_gets_it() -> None:
    review = sent()
    Review.objects.all().delete()

    keys = clock.due(database_now())
    for key in keys:
        clock.handle(key, database_now())

    assert keys == [f"ask:{review.agent_id}"]
    assert Review.objects.get(agent=review.agent).steps.get().role == StepRole.SECURITY


def test_planned_says_who_and_by_when(settings: Any) -> None:
    settings.MUSTER_CALENDAR = "DK"
    owner, signer = make_person(), make_person(GroupName.SECURITY)
    tool = make_tool(make_system(tier="confidential"))
    found = reach.reach_of_draft(entries=[(tool, {})])
    Person.objects.exclude(pk__in=[owner.pk, signer.pk]).update(is_active=False)

    (planned,) = selectors.planned(found, owner, date(2026, 12, 23))

    assert (planned.role, planned.people) == ("security", (signer,))
    assert planned.due == date(2026, 12, 28)


@pytest.mark.django_db(transaction=True)
def test_two_at_once_are_one_answer() -> None:
    review = sent("confidential")
    waiting, people, barrier = step(review, "security"), [security() for _ in range(4)], Barrier(4)

    def answer(by: Person) -> str:
        try:
            barrier.wait(10)
            services.approve_step(step_id=waiting.pk, by=by)
        except Conflict as error:
            return error.code
        finally:
            connections.close_all()
        return "approved"

    with ThreadPoolExecutor(4) as pool:
        found = sorted(pool.map(answer, people))

    assert found == ["approved", *[StepAnswered.code] * 3]
    assert Clearance.objects.filter(agent=review.agent).count() == 1
    assert review.events.filter(kind="approved").count() == 1
