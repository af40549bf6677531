"""Roles, policies and relationships: narrowing alone, widening by two (promise 18)."""

import pytest

from audit.enums import Mark
from audit.selectors import holds_mark
from authz import services
from authz.enums import PolicyState
from authz.errors import BadPolicy, PolicyDecided
from authz.models import GovernedTool, Policy, Relationship, Role, ToxicCombination
from authz.services import PolicyDraft
from authz.toxic import catalogue, plant_catalogue
from governance.kernel.errors import NotAllowed, NotFound
from registry import changes
from registry.enums import AgentState
from registry.errors import AlreadyDecided, ChangeOpen, NotBootstrapping
from registry.models import ProposedChange
from tests.factories.authz import make_agent, make_person, make_tool

pytestmark = pytest.mark.django_db

FORBID = "forbid(principal, action, resource);"


def _permit(desk, condition=""):
    tool = desk.tool.name
    return f'permit(principal, action == Muster::Action::"{tool}", resource) {condition};'


# Policies


def test_permit_waits_for_a_second_person(desk, ann, ben):
    policy = services.propose_policy(slug="cap", text=_permit(desk), by=ann)
    assert (policy.state, holds_mark(Mark.FIRST_POLICY)) == (PolicyState.PROPOSED, False)

    agreed = services.agree_policy(policy_id=policy.pk, by=ben)

    assert (agreed.state, agreed.uid, agreed.agreed_by) == (PolicyState.ACTIVE, "cap@v1", ben)
    assert [row.tool for row in GovernedTool.objects.all()] == [desk.tool.name]
    assert holds_mark(Mark.FIRST_POLICY) is True


def test_nobody_agrees_to_their_own_policy(desk, ann):
    policy = services.propose_policy(slug="cap", text=_permit(desk), by=ann)

    with pytest.raises(NotAllowed):
        services.agree_policy(policy_id=policy.pk, by=ann)

    policy.refresh_from_db()
    assert policy.state == PolicyState.PROPOSED


@pytest.mark.parametrize("groups", [[], ["auditor"], ["dpo"], ["source_owner"]])
def test_who_may_not_propose_policies(desk, groups):
    with pytest.raises(NotAllowed):
        services.propose_policy(slug="cap", text=FORBID, by=make_person(groups=groups))

    assert Policy.objects.count() == 0


def test_platform_admins_propose_and_do_not_agree(desk, ann):
    admin, other = make_person(groups=["platform_admin"]), make_person(groups=["platform_admin"])
    policy = services.propose_policy(slug="cap", text=_permit(desk), by=admin)

    with pytest.raises(NotAllowed):
        services.agree_policy(policy_id=policy.pk, by=other)

    assert services.agree_policy(policy_id=policy.pk, by=ann).state == PolicyState.ACTIVE


def test_forbid_is_in_force_at_once(desk, ann):
    policy = services.propose_policy(slug="freeze", text=FORBID, by=ann)

    assert (policy.state, policy.agreed_by) == (PolicyState.ACTIVE, None)
    assert GovernedTool.objects.count() == 0


def test_log_only_is_in_force_at_once_and_governs_nothing(desk, ann):
    policy = services.propose_policy(slug="cap", text=_permit(desk), log_only=True, by=ann)

    assert policy.state == PolicyState.ACTIVE
    assert GovernedTool.objects.count() == 0


@pytest.mark.parametrize(
    ("text", "log_only"),
    [
        ("forbid(principal, action, resource) when { context.local.hour < 8 };", False),
        (FORBID, True),
        ("permit(principal, action, resource);", False),
    ],
)
def test_changing_a_forbid_waits(desk, ann, text, log_only):
    services.propose_policy(slug="freeze", text=FORBID, by=ann)

    changed = services.propose_policy(slug="freeze", text=text, log_only=log_only, by=ann)

    active = Policy.objects.get(slug="freeze", state=PolicyState.ACTIVE)
    assert (changed.state, active.text) == (PolicyState.PROPOSED, FORBID)


def test_agreed_version_takes_the_place_of_the_one_before(desk, ann, ben):
    services.propose_policy(slug="freeze", text=FORBID, by=ann)
    text = "forbid(principal, action, resource) when { context.local.hour < 8 };"
    second = services.propose_policy(slug="freeze", text=text, by=ann)

    services.agree_policy(policy_id=second.pk, by=ben)

    states = list(Policy.objects.order_by("version").values_list("version", "state"))
    assert states == [(1, PolicyState.SUPERSEDED), (2, PolicyState.ACTIVE)]


def test_retiring_a_permit_is_at_once_and_the_tool_stays_governed(desk, ann, ben):
    policy = services.propose_policy(slug="cap", text=_permit(desk), by=ann)
    services.agree_policy(policy_id=policy.pk, by=ben)

    retired = services.retire_policy(slug="cap", by=ann)

    assert retired.state == PolicyState.RETIRED
    assert [row.tool for row in GovernedTool.objects.all()] == [desk.tool.name]


def test_retiring_a_forbid_waits(desk, ann, ben):
    services.propose_policy(slug="freeze", text=FORBID, by=ann)

    waiting = services.retire_policy(slug="freeze", by=ann)
    change = ProposedChange.objects.get(kind="policy.retire")
    changes.agree(change_id=change.pk, by=ben)

    assert waiting.state == PolicyState.ACTIVE
    assert Policy.objects.get().state == PolicyState.RETIRED


def test_retiring_nothing(ann):
    with pytest.raises(NotFound):
        services.retire_policy(slug="none", by=ann)


def test_rejected_policy_waits_no_longer(desk, ann, ben):
    policy = services.propose_policy(slug="cap", text=_permit(desk), by=ann)

    rejected = services.reject_policy(policy_id=policy.pk, by=ben, answer="Too wide.")

    assert rejected.state == PolicyState.RETIRED
    with pytest.raises(PolicyDecided):
        services.agree_policy(policy_id=policy.pk, by=ben)


def test_withdrawn_policy_makes_room(desk, ann):
    services.propose_policy(slug="cap", text=_permit(desk), by=ann)
    with pytest.raises(ChangeOpen):
        services.propose_policy(slug="cap", text=_permit(desk, "when { true }"), by=ann)

    changes.withdraw(change_id=ProposedChange.objects.get().pk, by=ann)
    second = services.propose_policy(slug="cap", text=_permit(desk, "when { true }"), by=ann)

    assert second.uid == "cap@v2"


def test_same_text_is_the_same_version(desk, ann, ben):
    first = services.propose_policy(slug="cap", text=_permit(desk), by=ann)
    again = services.propose_policy(slug="cap", text=_permit(desk), by=ann)
    services.agree_policy(policy_id=first.pk, by=ben)
    later = services.propose_policy(slug="cap", text=_permit(desk), by=ben)

    assert first.pk == again.pk == later.pk
    assert Policy.objects.count() == 1


@pytest.mark.parametrize(
    "text",
    [
        "permit(",
        "",
        'permit(principal, action == Muster::Action::"no.such.tool", resource);',
        'permit(principal in Muster::Role::"no-such-role", action, resource);',
        "permit(principal == ?principal, action, resource);",
        "permit(principal, action, resource) when { context.nothing };",
    ],
)
def test_bad_policies_are_refused(ann, text):
    with pytest.raises(BadPolicy) as caught:
        services.propose_policy(slug="cap", text=text, by=ann)

    assert caught.value.fields["text"][0].startswith("Line ")
    assert Policy.objects.count() == 0


def test_bootstrap_activates_a_set_alone_once(desk, ann):
    drafts = [PolicyDraft("cap", _permit(desk)), PolicyDraft("freeze", FORBID)]

    made = services.bootstrap_policies(policies=drafts, by=ann)

    assert [(policy.uid, policy.state) for policy in made] == [
        ("cap@v1", PolicyState.ACTIVE),
        ("freeze@v1", PolicyState.ACTIVE),
    ]
    with pytest.raises(NotBootstrapping):
        services.bootstrap_policies(policies=[PolicyDraft("more", _permit(desk))], by=ann)


def test_policies_are_recorded(desk, ann, ben, mark, records_after):
    before = mark()
    policy = services.propose_policy(slug="cap", text=_permit(desk), by=ann)
    services.agree_policy(policy_id=policy.pk, by=ben)

    records = records_after(before, kind="policy")
    assert [(record["actor"], record["resource"].partition(":")[0]) for record in records] == [
        (ann.pid, "policy"),
        (ann.pid, "change"),
        (ben.pid, "change"),
        (ben.pid, "policy"),
    ]


def test_policy_that_cannot_be_recorded_is_not_made(desk, ann):
    secret = "ghp_" + "a1B2c3D4e5F6g7H8i9J0" * 2

    with pytest.raises(Exception, match="credential"):
        services.propose_policy(slug="cap", text=f"{FORBID} // {secret}", by=ann)

    assert Policy.objects.count() == 0


# Roles


def test_new_role_with_tools_and_no_holder_is_made_at_once(desk, ann):
    saved = services.save_role(slug="reader", tools=[desk.tool], by=ann)

    assert (saved.created, saved.proposed) == (True, ())
    assert list(saved.row.tools.all()) == [desk.tool]


def test_giving_a_role_to_people_waits(desk, ann, ben):
    person = make_person()

    saved = services.save_role(slug="reader", tools=[desk.tool], people=[person], by=ann)
    assert list(saved.row.people.all()) == []
    changes.agree(change_id=saved.proposed[0].pk, by=ben)

    assert list(saved.row.people.all()) == [person]


def test_more_tools_for_a_role_that_is_held_wait(desk, ann, ben):
    more = make_tool(desk.system)

    saved = services.save_role(slug=desk.role.slug, tools=[desk.tool, more], by=ann)
    assert list(desk.role.tools.all()) == [desk.tool]
    changes.agree(change_id=saved.proposed[0].pk, by=ben)

    assert set(desk.role.tools.all()) == {desk.tool, more}


def test_taking_away_is_at_once(desk, ann, mark, records_after):
    before = mark()

    saved = services.save_role(slug=desk.role.slug, tools=[], agents=[], by=ann)

    assert (saved.changed, saved.proposed) == (("agents", "tools"), ())
    assert (desk.role.tools.count(), desk.role.agents.count()) == (0, 0)
    assert len(records_after(before, kind="policy")) == 1


def test_saving_a_role_without_a_difference_records_nothing(desk, ann, mark):
    before = mark()

    saved = services.save_role(slug=desk.role.slug, tools=[desk.tool], by=ann)

    assert (saved.changed, saved.created, saved.proposed) == ((), False, ())
    assert mark() == before


def test_who_gains_does_not_agree(desk, ann, ben):
    saved = services.save_role(slug=desk.role.slug, people=[ben], by=ann)

    with pytest.raises(NotAllowed):
        changes.agree(change_id=saved.proposed[0].pk, by=ben)


def test_two_who_agree_at_once_change_once(desk, ann, ben):
    saved = services.save_role(slug=desk.role.slug, people=[make_person()], by=ann)
    changes.agree(change_id=saved.proposed[0].pk, by=ben)

    with pytest.raises(AlreadyDecided):
        changes.agree(change_id=saved.proposed[0].pk, by=make_person(groups=["security"]))


def test_role_alone_only_while_bootstrapping(desk, ann):
    person = make_person()

    services.save_role(slug="reader", tools=[desk.tool], people=[person], by=ann, alone=True)
    services.bootstrap_policies(policies=[PolicyDraft("freeze", FORBID)], by=ann)

    assert list(person.roles.values_list("slug", flat=True)) == ["reader"]
    with pytest.raises(NotBootstrapping):
        services.save_role(slug="reader", people=[], by=ann, alone=True)


def test_owner_gives_roles_to_a_draft(desk):
    draft = make_agent(desk.owner, state=AgentState.DRAFT)

    saved = services.set_agent_roles(agent_id=draft.pk, roles=[desk.role], by=desk.owner)

    assert (saved.changed, saved.proposed) == (("roles",), ())
    assert list(draft.roles.all()) == [desk.role]


def test_more_roles_for_a_live_agent_wait_for_security(desk, ann):
    role = Role.objects.create(slug="more")

    saved = services.set_agent_roles(agent_id=desk.agent.pk, roles=[desk.role, role], by=desk.owner)
    assert list(desk.agent.roles.all()) == [desk.role]
    changes.agree(change_id=saved.proposed[0].pk, by=ann)

    assert set(desk.agent.roles.all()) == {desk.role, role}


def test_roles_are_taken_from_a_live_agent_at_once(desk):
    saved = services.set_agent_roles(agent_id=desk.agent.pk, roles=[], by=desk.owner)

    assert saved.changed == ("roles",)
    assert list(desk.agent.roles.all()) == []


def test_others_do_not_change_an_agents_roles(desk):
    with pytest.raises(NotAllowed):
        services.set_agent_roles(agent_id=desk.agent.pk, roles=[], by=make_person())


# Relationships and the catalogue


def test_relationship_said_twice_is_said_once(ann, mark, records_after):
    before = mark()
    said = {
        "resource_type": "contact",
        "resource_id": "jane@halvern.example",
        "relation": "owner",
        "subject_type": "user",
        "subject_id": ann.pid,
    }

    first = services.save_relationship(**said, by=ann).row
    again = services.save_relationship(**said, by=ann).row

    (record,) = records_after(before)
    assert first.pk == again.pk
    assert b"jane@halvern.example" not in bytes(record["body"])


def test_relationship_is_removed_once(ann, mark, records_after):
    said = {
        "resource_type": "contact",
        "resource_id": "7",
        "relation": "owner",
        "subject_type": "user",
        "subject_id": ann.pid,
    }
    services.save_relationship(**said, by=ann)
    before = mark()

    services.remove_relationship(**said, by=ann)
    services.remove_relationship(**said, by=ann)

    assert Relationship.objects.count() == 0
    assert len(records_after(before)) == 1


def test_relationships_are_not_for_everyone(desk):
    with pytest.raises(NotAllowed):
        services.save_relationship(
            resource_type="contact",
            resource_id="7",
            relation="owner",
            subject_type="user",
            subject_id=desk.owner.pid,
            by=desk.owner,
        )


def test_catalogue_is_planted_once_and_keeps_what_people_did():
    plant_catalogue()
    ToxicCombination.objects.filter(slug="supply-chain").update(is_active=False)

    plant_catalogue()

    assert ToxicCombination.objects.count() == 6
    assert sorted(combination.slug for combination in catalogue()) == [
        "behaviour-profile",
        "lethal-trifecta",
        "linked-payments",
        "relationship-map",
        "salary-per-person",
    ]
