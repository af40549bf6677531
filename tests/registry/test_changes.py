"""Widening needs two people; of many at once exactly one decides."""

import threading

import pytest
from django.db import IntegrityError, connection, transaction

from audit import services as audit
from audit.enums import Mark
from governance.kernel.errors import GovernanceError, NotAllowed
from registry import changes, permissions, selectors, services
from registry.enums import AgentState, ChangeState, GroupName, Tier
from registry.errors import AlreadyDecided, ChangeOpen, ChangeOutdated, NotBootstrapping
from registry.models import Agent, Clearance, Person, ProposedChange, Resource, System, Tool
from registry.reach import reach_of
from tests.factories.registry import (
    SCHEMA,
    make_agent,
    make_person,
    make_system,
    make_tool,
    security,
)

pytestmark = pytest.mark.django_db


def refused(act, error: type[GovernanceError]) -> GovernanceError:
    with pytest.raises(error) as caught, transaction.atomic():
        act()
    return caught.value


def downgrade(by: Person, **fields) -> ProposedChange:
    system = make_system(by, tier="confidential")
    saved = services.save_system(slug=system.slug, by=by, **({"tier": "public"} | fields))
    (change,) = saved.proposed
    return change


@pytest.mark.parametrize(
    ("before", "after", "widens"),
    [
        ({"tier": "confidential"}, {"tier": "internal"}, True),
        ({"tier": ""}, {"tier": "confidential"}, True),
        ({"tier": "internal"}, {"tier": "restricted"}, False),
        ({"tier": "internal"}, {"tier": ""}, False),
        ({"trust": "untrusted"}, {"trust": "trusted"}, True),
        ({"trust": "trusted"}, {"trust": "untrusted"}, False),
        ({"categories": ["a", "b"]}, {"categories": ["a"]}, True),
        ({"categories": ["a"]}, {"categories": ["a", "b"]}, False),
        ({"environment": "production"}, {"environment": "staging"}, True),
        ({"environment": "staging"}, {"environment": "production"}, False),
        ({"personal_resource_ids": True}, {"personal_resource_ids": False}, True),
        ({"personal_resource_ids": False}, {"personal_resource_ids": True}, False),
        ({"description": "x"}, {"description": "y"}, False),
    ],
)
def test_which_system_changes_widen(before: dict, after: dict, widens: bool) -> None:
    by = security()
    system = make_system(by, **before)

    saved = services.save_system(slug=system.slug, by=by, **after)

    system.refresh_from_db()
    (field,) = after
    assert getattr(system, field) == (before if widens else after)[field]
    assert [change.after for change in saved.proposed] == ([after] if widens else [])
    assert saved.changed == (() if widens else (field,))


def test_agreeing_applies_and_records(mark, records_after) -> None:
    first, second = security(), security()
    change = downgrade(first, description="Said better.")
    marked = mark()

    changes.agree(change_id=change.pk, by=second)

    system = System.objects.get(slug=change.target)
    assert (system.tier, system.description) == ("public", "Said better.")
    assert [r["actor"] for r in records_after(marked, kind="registry")] == [second.pid, second.pid]
    change.refresh_from_db()
    assert (change.state, change.decided_by) == (ChangeState.AGREED, second)


def test_nobody_agrees_to_their_own() -> None:
    by = security()
    change = downgrade(by)

    error = refused(lambda: changes.agree(change_id=change.pk, by=by), NotAllowed)

    assert error.message == "You proposed this, so someone else must agree to it."
    assert changes.can_agree(change, by) == error.message
    with pytest.raises(IntegrityError), transaction.atomic():
        ProposedChange.objects.filter(pk=change.pk).update(
            state=ChangeState.AGREED, decided_by=by, decided_at=change.proposed_at
        )


@pytest.mark.parametrize(
    "group", [None, GroupName.PLATFORM_ADMIN, GroupName.DPO, GroupName.AUDITOR]
)
def test_only_security_agrees(group) -> None:
    change = downgrade(security())

    error = refused(
        lambda: changes.agree(change_id=change.pk, by=make_person(*filter(None, [group]))),
        NotAllowed,
    )

    assert error.message == "Only security may agree to a change that widens."


def test_a_change_is_decided_once() -> None:
    first, second = security(), security()
    change = downgrade(first)
    changes.reject(change_id=change.pk, by=second, answer="No.")

    for act in (changes.agree, lambda **of: changes.reject(answer="x", **of)):
        refused(lambda act=act: act(change_id=change.pk, by=second), AlreadyDecided)
    refused(lambda: changes.withdraw(change_id=change.pk, by=first), AlreadyDecided)

    assert System.objects.get(slug=change.target).tier == "confidential"


def test_proposing_again_is_proposing_once() -> None:
    by = security()
    change = downgrade(by)

    again = services.save_system(slug=change.target, by=by, tier="public")

    assert again.proposed == (change,)
    refused(lambda: services.save_system(slug=change.target, by=by, tier="internal"), ChangeOpen)


def test_only_who_proposed_withdraws() -> None:
    first, second = security(), security()
    change = downgrade(first)

    refused(lambda: changes.withdraw(change_id=change.pk, by=second), NotAllowed)
    changes.withdraw(change_id=change.pk, by=first)

    change.refresh_from_db()
    assert change.state == ChangeState.WITHDRAWN


def test_an_outdated_change_does_not_apply() -> None:
    first, second = security(), security()
    change = downgrade(first)
    services.save_system(slug=change.target, by=first, tier="restricted")

    refused(lambda: changes.agree(change_id=change.pk, by=second), ChangeOutdated)

    change.refresh_from_db()
    assert change.state == ChangeState.PROPOSED
    assert System.objects.get(slug=change.target).tier == "restricted"


def test_alone_ends_with_the_first_policy() -> None:
    by = security()
    system = make_system(by, tier="restricted")
    assert selectors.is_bootstrapping()

    saved = services.save_system(slug=system.slug, by=by, alone=True, tier="public")
    assert saved.changed == ("tier",)

    audit.set_mark(Mark.FIRST_POLICY)
    refused(
        lambda: services.save_system(slug=system.slug, by=by, alone=True, tier="internal"),
        NotBootstrapping,
    )


# Resources


def test_a_looser_resource_of_a_known_system_waits() -> None:
    first, second = security(), security()
    system = make_system(first, tier="confidential", categories=["customer"])

    saved = services.save_resource(system_id=system.pk, name="open", by=first, tier="public")

    assert Resource.objects.filter(system=system).count() == 0
    changes.agree(change_id=saved.proposed[0].pk, by=second)
    assert Resource.objects.get(system=system).tier == "public"


def test_a_stricter_resource_applies_and_its_removal_waits() -> None:
    first, second = security(), security()
    system = make_system(first, tier="internal")
    saved = services.save_resource(system_id=system.pk, name="pay", by=first, tier="restricted")
    assert (saved.created, saved.proposed) == (True, ())

    (change,) = services.remove_resource(resource_id=saved.row.pk, by=first)

    assert Resource.objects.count() == 1
    changes.agree(change_id=change.pk, by=second)
    assert Resource.objects.count() == 0


def test_a_wider_prefix_is_compared_with_what_it_covers() -> None:
    by = security()
    system = make_system(by, tier="public")
    services.save_resource(system_id=system.pk, name="hr", match="prefix", by=by, tier="restricted")

    looser = services.save_resource(
        system_id=system.pk, name="hr/open", match="prefix", by=by, tier="public"
    )
    elsewhere = services.save_resource(
        system_id=system.pk, name="shop", match="prefix", by=by, tier="public"
    )

    assert (len(looser.proposed), len(elsewhere.proposed)) == (1, 0)


# Groups


def test_joining_waits_and_leaving_does_not() -> None:
    first, second = security(), security()
    person = make_person(GroupName.AUDITOR)

    saved = services.set_groups(person_id=person.pk, groups=["dpo"], by=first)

    assert Person.objects.get(pk=person.pk).group_names == frozenset()
    error = refused(lambda: changes.agree(change_id=saved.proposed[0].pk, by=person), NotAllowed)
    assert error.message == "This is your own matter, so someone else must agree to it."
    changes.agree(change_id=saved.proposed[0].pk, by=second)
    person = Person.objects.get(pk=person.pk)
    assert (person.group_names, person.is_staff) == (frozenset({"dpo"}), True)


def test_the_second_security_person_joins_by_their_own_word() -> None:
    first, person = security(), make_person()
    assert not selectors.has_separation_of_duties()
    saved = services.set_groups(person_id=person.pk, groups=["security"], by=first)

    changes.agree(change_id=saved.proposed[0].pk, by=person)

    assert selectors.has_separation_of_duties()
    third = make_person()
    saved = services.set_groups(person_id=third.pk, groups=["security"], by=first)
    refused(lambda: changes.agree(change_id=saved.proposed[0].pk, by=third), NotAllowed)


# Tools


@pytest.mark.parametrize(
    ("fields", "widens"),
    [
        ({"effect": "write"}, False),
        ({"schema": {**SCHEMA, "additionalProperties": True}}, True),
        ({"schema": {**SCHEMA, "required": ["account", "amount"]}}, False),
        ({"secret_parameters": []}, True),
        ({"amount_parameter": ""}, True),
        ({"title": "A better title"}, False),
        ({"cost_minor": 3}, False),
    ],
)
def test_what_widens_a_tool_in_use(fields: dict, widens: bool) -> None:
    by, second = security(), security()
    tool = make_tool(secret_parameters=["pin"], amount_parameter="amount")
    unused = make_tool(secret_parameters=["pin"], amount_parameter="amount")
    make_agent(tool=tool)

    saved = services.save_tool(name=tool.name, by=by, **fields)

    assert len(saved.proposed) == int(widens)
    assert services.save_tool(name=unused.name, by=by, **fields).proposed == ()
    (field,) = fields
    if widens:
        assert getattr(Tool.objects.get(pk=tool.pk), field) == getattr(tool, field)
        changes.agree(change_id=saved.proposed[0].pk, by=second)
    now = Tool.objects.get(pk=tool.pk)
    assert getattr(now, field) == fields[field]
    assert now.version == (1 if field in {"title", "cost_minor"} else 2)


# Live rows


def test_an_internal_owner_widens_on_their_own_word() -> None:
    agent = make_agent()

    saved = services.set_allowlist_entry(agent_id=agent.pk, tool=make_tool(), by=agent.owner)

    assert (saved.changed != (), saved.proposed) == (True, ())
    digest = reach_of(selectors.agent_by_slug(agent.slug)).digest
    clearance = selectors.current_clearance(agent, digest)
    assert (clearance.basis, clearance.by) == (Clearance.Basis.ATTESTATION, agent.owner)


def test_a_live_row_that_would_become_confidential_waits_for_security() -> None:
    agent, tool = make_agent(), make_tool(make_system(tier="confidential"))

    saved = services.set_allowlist_entry(agent_id=agent.pk, tool=tool, by=agent.owner)

    assert agent.allowlist.count() == 1
    (change,) = saved.proposed
    assert change.after["tier"] == "confidential"
    by = security()
    changes.agree(change_id=change.pk, by=by)
    assert agent.allowlist.count() == 2
    clearance = agent.clearances.first()
    assert (clearance.basis, clearance.by, clearance.tier) == ("security", by, Tier.CONFIDENTIAL)


def test_raising_a_limit_of_a_confidential_row_waits_and_lowering_does_not() -> None:
    agent = make_agent(tier="confidential")
    owner = agent.owner

    raised = services.update_agent(agent_id=agent.pk, by=owner, rate_per_hour=101, purpose="New.")
    lowered = services.update_agent(agent_id=agent.pk, by=owner, rate_per_minute=5)

    now = Agent.objects.get(pk=agent.pk)
    assert (now.rate_per_hour, now.rate_per_minute, now.purpose) == (100, 5, "New.")
    assert (raised.changed, len(raised.proposed)) == (("purpose",), 1)
    assert (lowered.changed, lowered.proposed) == (("rate_per_minute",), ())
    refused(lambda: changes.agree(change_id=raised.proposed[0].pk, by=owner), NotAllowed)
    changes.agree(change_id=raised.proposed[0].pk, by=security())
    assert Agent.objects.get(pk=agent.pk).rate_per_hour == 101


def test_a_narrower_row_keeps_its_clearance() -> None:
    agent = make_agent(tier="confidential")
    entry = agent.allowlist.get()

    services.set_allowlist_entry(
        agent_id=agent.pk,
        tool=entry.tool,
        by=agent.owner,
        narrowing={"properties": {"amount": {"maximum": 10}}},
        rate_per_minute=1,
    )
    services.suspend_agent(agent_id=agent.pk, by=agent.owner, reason="Pause.")
    services.resume_agent(agent_id=agent.pk, by=security())

    assert Agent.objects.get(pk=agent.pk).state == AgentState.ACTIVE


def test_a_platform_admin_proposes_and_the_owner_attests() -> None:
    agent, admin = make_agent(), make_person(GroupName.PLATFORM_ADMIN)

    saved = services.set_allowlist_entry(agent_id=agent.pk, tool=make_tool(), by=admin)

    (change,) = saved.proposed
    assert changes.can_agree(change, agent.owner) == ""
    changes.agree(change_id=change.pk, by=agent.owner)
    assert agent.allowlist.count() == 2


def test_a_transfer_takes_effect_when_it_is_accepted() -> None:
    agent, to = make_agent(), make_person()

    saved = services.transfer_agent(agent_id=agent.pk, to=to, by=agent.owner, reason="Moving on.")

    assert Agent.objects.get(pk=agent.pk).owner == agent.owner
    refused(lambda: changes.agree(change_id=saved.proposed[0].pk, by=security()), NotAllowed)
    assert [c.pk for c in selectors.open_changes(to)] == [saved.proposed[0].pk]
    changes.agree(change_id=saved.proposed[0].pk, by=to)
    assert Agent.objects.get(pk=agent.pk).owner == to


def test_who_cleared_an_agent_cannot_own_it() -> None:
    agent, by = make_agent(AgentState.IN_REVIEW, tier="confidential"), security()
    services.approve_agent(agent_id=agent.pk, by=by)

    with pytest.raises(GovernanceError) as caught:
        services.transfer_agent(agent_id=agent.pk, to=by, by=agent.owner)

    assert caught.value.message == f"{by} cleared {agent.slug}, so they cannot own it."


def test_visible_changes() -> None:
    by, stranger = security(), make_person()
    change = downgrade(by)

    assert list(ProposedChange.objects.visible_to(by)) == [change]
    assert list(ProposedChange.objects.visible_to(stranger)) == []
    assert permissions.can(permissions.check_can_agree, stranger) != ""


# Races


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("round_", range(3))
def test_eight_agree_at_once_and_one_wins(round_: int, mark, records_after) -> None:
    change, people = downgrade(security()), [security() for _ in range(8)]
    marked, barrier, told = mark(), threading.Barrier(8), []

    def agree(person: Person) -> None:
        act = changes.agree if person.pk % 2 else reject
        barrier.wait()
        try:
            act(change_id=change.pk, by=person)
            told.append("won")
        except AlreadyDecided:
            told.append("lost")
        finally:
            connection.close()

    def reject(**of) -> None:
        changes.reject(answer="No.", **of)

    threads = [threading.Thread(target=agree, args=(person,)) for person in people]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(told) == ["lost"] * 7 + ["won"]
    decided = [r for r in records_after(marked) if r["resource"] == f"change:{change.pk}"]
    assert len(decided) == 1
