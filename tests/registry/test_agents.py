"""An agent's row beside its states: what belongs to it, loading it, handing it over."""

from datetime import date

import pytest
from django.db import transaction

from audit import services as audit
from audit.enums import Mark
from governance.kernel.errors import Conflict, GovernanceError, Invalid, NotAllowed, NotFound
from registry import changes, permissions, rules, selectors, services
from registry.enums import AgentState, GroupName, Tier
from registry.errors import ChangeOutdated, NotBootstrapping, WrongState
from registry.models import Agent, Agreement, Clearance, Gateway, ResourceEntity, Tool
from registry.reach import reach_of
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


def refused(act, error: type[GovernanceError]) -> GovernanceError:
    with pytest.raises(error) as caught, transaction.atomic():
        act()
    return caught.value


def clearance_of(agent: Agent) -> Clearance | None:
    digest = reach_of(selectors.agent_by_slug(agent.slug)).digest
    return selectors.current_clearance(agent, digest)


def test_nobody_drafts_for_who_has_left_or_for_others() -> None:
    left = make_person(employment="left", last_day="2026-01-01")
    fields = {"slug": "x", "name": "x", "purpose": "x"}

    error = refused(lambda: services.draft_agent(owner=left, by=security(), **fields), Invalid)
    refused(
        lambda: services.draft_agent(owner=make_person(), by=make_person(), **fields), NotAllowed
    )

    assert list(error.fields) == ["owner"]
    assert Agent.objects.count() == 0


def test_an_owner_raises_the_limits_of_an_internal_agent_alone() -> None:
    agent = make_agent()

    saved = services.update_agent(
        agent_id=agent.pk, by=agent.owner, spend_cap_minor=900, runs_at="eu-west"
    )

    assert (set(saved.changed), saved.proposed) == ({"spend_cap_minor", "runs_at"}, ())
    clearance = clearance_of(agent)
    assert (clearance.basis, clearance.by) == (Clearance.Basis.ATTESTATION, agent.owner)


def test_a_new_model_provider_waits_and_is_applied() -> None:
    agent = make_agent(tier="confidential")
    home = make_system(slug="model-home", tier="internal")

    saved = services.update_agent(agent_id=agent.pk, by=agent.owner, model_provider=home)

    changes.agree(change_id=saved.proposed[0].pk, by=security())
    agent.refresh_from_db()
    assert agent.model_provider == home
    assert clearance_of(agent).basis == Clearance.Basis.SECURITY


@pytest.mark.parametrize("kind", ["fields", "entry"])
def test_an_outdated_change_of_a_row_does_not_apply(kind: str) -> None:
    agent = make_agent(tier="confidential")
    tool = agent.allowlist.get().tool
    if kind == "fields":
        saved = services.update_agent(agent_id=agent.pk, by=agent.owner, rate_per_hour=500)
        services.update_agent(agent_id=agent.pk, by=agent.owner, rate_per_hour=50)
    else:
        saved = services.set_allowlist_entry(
            agent_id=agent.pk, tool=make_tool(tool.system), by=agent.owner
        )
        (change,) = saved.proposed
        other = Tool.objects.get(name=change.after["tool"])
        services.set_allowlist_entry(agent_id=agent.pk, tool=other, by=security(), alone=True)

    refused(lambda: changes.agree(change_id=saved.proposed[0].pk, by=security()), ChangeOutdated)


def test_a_tool_is_taken_away_at_once_and_only_once(mark, records_after) -> None:
    agent = make_agent(tier="confidential")
    tool = agent.allowlist.get().tool
    word, marked = clearance_of(agent), mark()

    services.remove_allowlist_entry(agent_id=agent.pk, tool=tool, by=agent.owner)
    services.remove_allowlist_entry(agent_id=agent.pk, tool=tool, by=agent.owner)

    now = clearance_of(agent)
    assert (now.basis, now.by, now.tier) == (word.basis, word.by, Tier.PUBLIC)
    assert len(records_after(marked)) == 2


@pytest.mark.parametrize("state", [S.DECOMMISSIONING, S.DECOMMISSIONED])
def test_a_closed_row_does_not_change(state: AgentState) -> None:
    agent = make_agent(state)
    acts = [
        lambda: services.update_agent(agent_id=agent.pk, by=agent.owner, purpose="x"),
        lambda: services.set_allowlist_entry(agent_id=agent.pk, tool=make_tool(), by=agent.owner),
        lambda: services.transfer_agent(agent_id=agent.pk, to=make_person(), by=agent.owner),
        lambda: services.clear_agent(
            agent_id=agent.pk, by=agent.owner, basis=Clearance.Basis.ATTESTATION
        ),
    ]

    for act in acts:
        refused(act, WrongState)


def test_dependents_are_kept_and_compared(mark, records_after) -> None:
    agent, other, person = make_draft(), make_draft(), make_person()
    marked = mark()

    for _ in range(2):
        services.set_dependents(
            agent_id=agent.pk, people=[person], agents=[other, agent], by=agent.owner
        )
    assert {str(row) for row in agent.dependents.all()} == {
        f"{person} relies on {agent.slug}",
        f"{other.slug} relies on {agent.slug}",
    }
    services.set_dependents(agent_id=agent.pk, people=[], agents=[other], by=agent.owner)

    assert [row.dependent for row in agent.dependents.all()] == [other]
    assert len(records_after(marked)) == 2


def test_a_credential_reference_says_what_it_is_for(mark, records_after) -> None:
    agent, system = make_draft(), make_system()
    marked = mark()
    reference = {"agent_id": agent.pk, "by": agent.owner, "reference": "vault://a/b"}

    services.add_credential_reference(**reference, system=system, scope="read")
    services.add_credential_reference(**reference, system=system, scope="read")
    services.remove_credential_reference(**reference)
    services.remove_credential_reference(**reference)

    assert [r["resource"] for r in records_after(marked)] == ["credential:vault://a/b"] * 2


# Loading


def test_loading_a_fresh_installation_activates_alone() -> None:
    by, agent = security(), make_draft(tool=make_tool(make_system(tier="restricted")))

    loaded = services.activate_alone(agent_id=agent.pk, by=by)

    assert (loaded.state, clearance_of(agent).basis) == (S.ACTIVE, "bootstrap")
    later = make_draft()
    audit.set_mark(Mark.FIRST_POLICY)
    refused(lambda: services.activate_alone(agent_id=later.pk, by=by), NotBootstrapping)


def test_nobody_clears_on_the_word_of_loading() -> None:
    agent = make_agent(S.IN_REVIEW)

    refused(
        lambda: services.clear_agent(
            agent_id=agent.pk, by=security(), basis=Clearance.Basis.BOOTSTRAP
        ),
        NotAllowed,
    )


def test_only_what_is_suspended_resumes() -> None:
    agent = make_agent()

    error = refused(lambda: services.resume_agent(agent_id=agent.pk, by=security()), WrongState)

    assert error.message == f"{agent.slug} is active, not suspended."


def test_who_takes_over_what_they_cleared_has_no_word_for_it() -> None:
    agent, by = make_agent(S.IN_REVIEW, tier="confidential"), security()
    services.clear_agent(agent_id=agent.pk, by=by, basis=Clearance.Basis.SECURITY)
    services.update_agent(agent_id=agent.pk, by=agent.owner, backup_owner=by)

    refused(lambda: services.activate_agent(agent_id=agent.pk, by=security()), GovernanceError)

    assert Agent.objects.get(pk=agent.pk).state == S.IN_REVIEW


# Handing over


def test_a_manager_hands_over_and_the_backup_becomes_owner() -> None:
    manager, to = make_person(), make_person()
    agent = make_agent(owner=make_person(manager=manager), backup_owner=to)

    saved = services.transfer_agent(agent_id=agent.pk, to=to, by=manager)
    changes.agree(change_id=saved.proposed[0].pk, by=to)

    agent.refresh_from_db()
    assert (agent.owner, agent.backup_owner, agent.state) == (to, None, S.ACTIVE)


def test_an_outdated_transfer_does_not_apply() -> None:
    agent, first, second = make_agent(), make_person(), make_person()
    saved = services.transfer_agent(agent_id=agent.pk, to=first, by=agent.owner)
    services.transfer_agent(agent_id=agent.pk, to=second, by=security(), alone=True)

    refused(lambda: changes.agree(change_id=saved.proposed[0].pk, by=first), ChangeOutdated)

    assert Agent.objects.get(pk=agent.pk).owner == second


@pytest.mark.parametrize("fields", [{"chat_handle": ""}, {"is_active": False}])
def test_who_cannot_answer_cannot_take_over(fields: dict) -> None:
    agent = make_agent()

    error = refused(
        lambda: services.transfer_agent(
            agent_id=agent.pk, to=make_person(**fields), by=agent.owner
        ),
        Invalid,
    )

    assert list(error.fields) == ["owner"]
    same = services.transfer_agent(agent_id=agent.pk, to=agent.owner, by=agent.owner)
    assert (same.changed, same.proposed) == ((), ())


# Beside agents


def test_unknown_rows_are_not_found() -> None:
    by = security()

    refused(lambda: services.suspend_agent(agent_id=0, by=by, reason="x"), NotFound)
    refused(lambda: changes.agree(change_id=0, by=by), NotFound)
    refused(lambda: selectors.agent_by_slug("none"), NotFound)


def test_resources_of_a_known_system_come_along() -> None:
    by = security()
    system = make_system(by, tier="confidential")

    saved = services.save_system(
        slug=system.slug,
        by=by,
        resources=[{"name": "open", "tier": "public"}, {"name": "pay", "tier": "restricted"}],
    )
    again = services.save_system(
        slug=system.slug, by=by, resources=[{"name": "pay", "tier": "restricted"}]
    )

    assert (saved.changed, len(saved.proposed)) == (("resources.pay",), 1)
    assert (again.changed, again.proposed) == ((), ())
    changes.reject(change_id=saved.proposed[0].pk, by=security(), answer="No.")
    assert [r.name for r in system.resources.all()] == ["pay"]


@pytest.mark.parametrize("kind", ["save", "remove"])
def test_an_outdated_resource_change_does_not_apply(kind: str) -> None:
    by = security()
    system = make_system(by, tier="confidential")
    key = {"system_id": system.pk, "name": "pay", "by": by}
    if kind == "save":
        (change,) = services.save_resource(**key, tier="public").proposed
        services.save_system(slug=system.slug, by=by, tier="restricted")
    else:
        row = services.save_resource(**key, tier="restricted").row
        (change,) = services.remove_resource(resource_id=row.pk, by=by)
        services.save_resource(**key, tier="restricted", categories=["pay"])

    refused(lambda: changes.agree(change_id=change.pk, by=security()), ChangeOutdated)


def test_a_resource_that_guards_nothing_more_goes_at_once() -> None:
    by = security()
    system = make_system(by, tier="confidential")
    row = services.save_resource(system_id=system.pk, name="x", by=by, tier="confidential").row

    assert services.remove_resource(resource_id=row.pk, by=by) == ()
    assert system.resources.count() == 0


def test_agreements_are_noted_once() -> None:
    by = security()
    system = make_system(by)
    signed = {"kind": "dpa", "reference": "DPA-7", "signed_on": date(2026, 1, 31)}
    for _ in range(2):
        services.add_agreement(system_id=system.pk, by=by, **signed)

    refused(
        lambda: services.add_agreement(
            system_id=system.pk, by=by, **signed, expires_on=date(2025, 1, 1)
        ),
        Invalid,
    )

    assert Agreement.objects.get().expires_on is None


def test_gateways_and_entities_are_saved_once(mark, records_after) -> None:
    by, marked = make_person(GroupName.PLATFORM_ADMIN), mark()
    for _ in range(2):
        services.save_gateway(slug="edge", by=by, source="okta")
        services.save_resource_type(slug="todo", by=by, attributes={"a": {"type": "string"}})
        services.save_entity(type_slug="todo", entity_id="1", by=by, attributes={"a": "b"})
    services.remove_entity(type_slug="todo", entity_id="1", by=by)
    services.remove_entity(type_slug="todo", entity_id="1", by=by)

    assert (Gateway.objects.get().source, ResourceEntity.objects.count()) == ("okta", 0)
    assert len(records_after(marked)) == 4
    refused(lambda: services.save_gateway(slug="e2", by=make_person()), NotAllowed)


def test_what_lets_a_live_agent_do_more() -> None:
    before = {
        "rate_per_hour": 10,
        "pattern": "service",
        "model_provider": None,
        "currency": "EUR",
    }

    assert [
        len(rules.widened_agent(before, after))
        for after in (
            {"rate_per_hour": 9},
            {"rate_per_hour": 11},
            {"rate_per_hour": None},
            {"pattern": "hybrid"},
            {"model_provider": "x", "currency": "JPY"},
            before,
        )
    ] == [0, 1, 1, 1, 2, 0]


def test_sentences_for_disabled_controls() -> None:
    agent, stranger = make_agent(), make_person()
    checks = [
        permissions.check_can_change_agent,
        permissions.check_can_submit_agent,
        permissions.check_can_suspend_agent,
        permissions.check_can_transfer_agent,
        permissions.check_can_decommission_agent,
    ]

    said = [permissions.can(check, agent, stranger) for check in checks]

    assert [str(agent.owner) in sentence for sentence in said] == [True] * 5
    assert [permissions.can(check, agent, agent.owner) for check in checks] == [""] * 5
    assert refused(lambda: permissions.check_can_decide_callers(stranger), NotAllowed).status == 403
    assert issubclass(WrongState, Conflict)


def test_owner_alone_goes_live_only_within_the_ceilings(settings):
    settings.MUSTER_CEILINGS = {**settings.MUSTER_CEILINGS, "rate_per_hour": 50}
    draft = make_draft()

    with pytest.raises(NotAllowed, match="calls an hour above 50"):
        services.attest_agent(agent_id=draft.pk, by=draft.owner)

    services.submit_for_review(agent_id=draft.pk, by=draft.owner)
    assert services.approve_agent(agent_id=draft.pk, by=security()).state == AgentState.ACTIVE


def test_limit_above_the_ceiling_waits_for_security(settings):
    agent = make_agent()
    settings.MUSTER_CEILINGS = {**settings.MUSTER_CEILINGS, "spend_cap_minor": 600}

    within = services.update_agent(agent_id=agent.pk, by=agent.owner, spend_cap_minor=600)
    above = services.update_agent(agent_id=agent.pk, by=agent.owner, spend_cap_minor=601)

    assert (within.proposed, len(above.proposed)) == ((), 1)
    agent.refresh_from_db()
    assert agent.spend_cap_minor == 600


def test_first_cap_a_month_narrows_and_a_higher_one_widens():
    agent = make_agent(tier="confidential")

    first = services.update_agent(agent_id=agent.pk, by=agent.owner, spend_cap_month_minor=900)
    higher = services.update_agent(agent_id=agent.pk, by=agent.owner, spend_cap_month_minor=901)
    none = services.update_agent(agent_id=agent.pk, by=agent.owner, spend_cap_month_minor=800)

    assert (first.proposed, len(higher.proposed), none.proposed) == ((), 1, ())
