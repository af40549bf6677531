"""Templates: who changes them, what they plan, and how far their approval carries."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import IntegrityError, transaction

from governance.kernel import clock
from governance.kernel.errors import Conflict, GovernanceError, Invalid, NotAllowed, NotFound
from lifecycle.models import FromTemplate, Template
from lifecycle.templates import rules, selectors, services
from lifecycle.templates.content import SCHEMA, fault_in, read_content
from lifecycle.templates.first import FIRST, plant_templates
from lifecycle.templates.receivers import depth_of
from registry import changes, permissions
from registry import services as register
from registry.enums import GroupName
from registry.models import Agent, ProposedChange
from registry.rules import months_after
from registry.services.agents import today_of
from tests.factories.registry import make_agent, make_person, make_system, make_tool, security
from tests.factories.templates import Fitted, make_fitted, make_version

pytestmark = pytest.mark.django_db
SUMMARIZER, NOTIFIER, ETL, COPILOT = (
    "read-only-summarizer",
    "notifier",
    "same-tier-etl",
    "draft-only-copilot",
)
CHOICES: dict[str, dict[str, Any]] = {
    SUMMARIZER: {"reads": ["figures.read"], "writes": ["chat.post"]},
    NOTIFIER: {"reads": ["figures.read"], "posts": ["chat.post"], "posts_to": "#releases"},
    ETL: {"reads": ["figures.read"], "writes": ["lake.write"]},
    COPILOT: {"reads": ["figures.read"], "drafts": ["lake.write"]},
}


@pytest.fixture
def fitted() -> Fitted:
    return make_fitted()


def register_one(fitted: Fitted, template: str = SUMMARIZER, **more: Any) -> Agent:
    given = {"slug": "newcomer", "choices": CHOICES[template]} | more
    return services.register_from_template(by=fitted.owner, template=template, **given)


def refused(act: Any, error: type[GovernanceError]) -> GovernanceError:
    with pytest.raises(error) as caught, transaction.atomic():
        act()
    return caught.value


def entry_of(agent: Agent, tool: str) -> Any:
    return agent.allowlist.get(tool__name=tool)


# What there is


def test_muster_comes_with_four_templates_that_hold() -> None:
    versions = list(selectors.in_force())

    assert [version.slug for version in versions] == [SUMMARIZER, COPILOT, NOTIFIER, ETL]
    assert [fault_in(version.content) for version in versions] == [""] * 4
    assert {version.approved_tier for version in versions} == {"internal"}


def test_planting_again_brings_nothing_back() -> None:
    services.retire_template(slug=NOTIFIER, by=security())
    make_version(SUMMARIZER, summary="Another one.")
    before = list(Template.objects.values_list("slug", "version", "state").order_by("pk"))

    plant_templates()

    assert list(Template.objects.values_list("slug", "version", "state").order_by("pk")) == before


# Rows that come from one


@pytest.mark.parametrize("template", CHOICES)
def test_every_template_of_an_internal_register_is_live_in_two_steps(
    fitted: Fitted, template: str
) -> None:
    agent = register_one(fitted, template)

    services.attest(agent_id=agent.pk, by=fitted.owner)

    agent.refresh_from_db()
    content = read_content(Template.objects.get(slug=template).content)
    assert (agent.state, agent.pattern, agent.kind) == ("active", content.pattern, content.kind)
    assert agent.renewal_due == months_after(today_of(fitted.owner), content.renewal_months)
    assert [role.slug for role in agent.roles.all()] == ["desk"]
    assert FromTemplate.objects.get(agent=agent).template.uid == f"{template}@v1"


def test_a_template_says_how_deep_its_agents_hand_on(fitted: Fitted) -> None:
    earlier = register_one(fitted)
    content = Template.objects.get(slug=SUMMARIZER, state="active").content
    make_version(content=content | {"delegation_depth": 1})
    later = register_one(fitted, slug="later")

    assert [depth_of(agent) for agent in (earlier, later, make_agent())] == [3, 1, 3]


def test_summary_can_reach_its_owner_only(fitted: Fitted) -> None:
    agent = register_one(fitted)

    entry = entry_of(agent, "chat.post")
    assert entry.narrowing == {
        "properties": {"channel": {"const": fitted.owner.email}},
        "required": ["channel"],
    }
    assert entry.write_quota_per_hour == 20
    assert entry_of(agent, "figures.read").narrowing == {}


def test_notifier_posts_to_its_channel_only(fitted: Fitted) -> None:
    agent = register_one(fitted, NOTIFIER)

    held = entry_of(agent, "chat.post").narrowing["properties"]
    assert held == {"channel": {"const": "#releases"}}


def test_gates_are_those_that_the_tool_declares_enough_for(fitted: Fitted) -> None:
    counted = make_tool(
        fitted.writes.system, name="lake.load", effect="write", count_parameter="amount"
    )
    fitted.role.tools.add(counted)
    choices = CHOICES[ETL] | {"writes": ["lake.write", "lake.load"]}

    agent = register_one(fitted, ETL, choices=choices)

    assert entry_of(agent, "lake.load").gates == {"records": {"above": 1_000}}
    assert entry_of(agent, "lake.write").gates == {}


def test_role_that_grants_the_least_besides_is_taken(fitted: Fitted) -> None:
    narrow = type(fitted.role).objects.create(slug="zz-narrow")
    narrow.tools.add(fitted.reads, fitted.posts)

    agent = register_one(fitted)

    assert [role.slug for role in agent.roles.all()] == ["zz-narrow"]


@pytest.mark.parametrize(
    ("template", "changed", "fields"),
    [
        (SUMMARIZER, {"reads": []}, {"reads": ["Choose one."]}),
        (SUMMARIZER, {"writes": ["chat.post", "mail.send"]}, {"writes": ["Choose at most 1."]}),
        (
            SUMMARIZER,
            {"reads": ["lake.write"]},
            {
                "reads": [
                    "Choose one.",
                    "Not every tool that was chosen fits here any more. Choose again.",
                ]
            },
        ),
        (
            NOTIFIER,
            {"reads": ["figures.read", "wiki.read"]},
            {"reads": ["Stay within one system: these are of figures, wiki."]},
        ),
        (NOTIFIER, {"posts_to": ""}, {"posts_to": ["Say where it writes, such as #releases."]}),
        (
            NOTIFIER,
            {"posts_to": "x" * 61},
            {
                "posts_to": [
                    f"No call of chat.post could write to {'x' * 61}. Enter one that it takes."
                ]
            },
        ),
    ],
)
def test_choice_that_does_not_fit_is_told_beside_it(
    fitted: Fitted, template: str, changed: dict[str, Any], fields: dict[str, list[str]]
) -> None:
    mail = make_tool(fitted.posts.system, name="mail.send", effect="external_communication")
    type(mail).objects.filter(pk=mail.pk).update(recipient_parameter="account")

    error = refused(
        lambda: register_one(fitted, template, choices=CHOICES[template] | changed), Invalid
    )

    assert error.fields == fields
    assert not Agent.objects.exists()


def test_data_of_two_tiers_is_no_copy_within_one(fitted: Fitted) -> None:
    above = make_tool(
        make_system(slug="vaulted", tier="confidential"), name="vaulted.write", effect="write"
    )
    choices = CHOICES[ETL] | {"writes": [above.name]}

    error = refused(lambda: register_one(fitted, ETL, choices=choices), Invalid)

    said = "It stays within one tier, and vaulted is confidential and figures is internal. "
    assert error.fields == {"writes": [said + "Choose those of one tier."]}


def test_owner_may_ask_for_less_and_not_for_more(fitted: Fitted) -> None:
    error = refused(lambda: register_one(fitted, facts={"rate_per_minute": 31}), Invalid)
    agent = register_one(fitted, facts={"rate_per_minute": 3, "purpose": "Tells me on Mondays."})

    assert error.fields == {"rate_per_minute": ["The template gives 30. Ask for that or less."]}
    assert (agent.rate_per_minute, agent.purpose) == (3, "Tells me on Mondays.")


def test_nobody_starts_from_what_is_not_in_force(fitted: Fitted) -> None:
    services.retire_template(slug=SUMMARIZER, by=security())

    error = refused(lambda: register_one(fitted), NotFound)

    assert error.message == "No template of this name is in force. Choose one from the list."


# How far its approval carries


def confidential(approved: str) -> tuple[Fitted, Agent]:
    fitted = make_fitted("confidential")
    if approved != "internal":
        make_version(SUMMARIZER, approved_tier=approved)
    return fitted, register_one(fitted)


def test_above_its_tier_the_usual_review_applies() -> None:
    fitted, agent = confidential("internal")

    error = refused(lambda: services.attest(agent_id=agent.pk, by=fitted.owner), NotAllowed)

    assert error.message.startswith("newcomer is confidential: security must clear it")


def test_up_to_its_tier_the_owner_attests_and_the_clearance_says_so() -> None:
    fitted, agent = confidential("confidential")

    live = services.attest(agent_id=agent.pk, by=fitted.owner)

    word = agent.clearances.get()
    assert (live.state, word.basis, word.tier) == ("active", "template", "confidential")


def test_nobody_else_attests_by_the_template() -> None:
    _, agent = confidential("confidential")

    error = refused(lambda: services.attest(agent_id=agent.pk, by=security()), NotAllowed)

    assert error.message.startswith("Only its owner")


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (
            lambda f, a: register.set_allowlist_entry(agent_id=a.pk, tool=f.elsewhere, by=f.owner),
            "It may call a further tool.",
        ),
        (
            lambda f, a: register.set_allowlist_entry(agent_id=a.pk, tool=f.posts, by=f.owner),
            "Its parameters may take values that they could not take before.",
        ),
        (
            lambda f, a: register.update_agent(agent_id=a.pk, by=f.owner, rate_per_hour=601),
            "rate per hour rises.",
        ),
        (
            lambda f, a: register.update_agent(agent_id=a.pk, by=f.owner, pattern="hybrid"),
            "It would act under another identity pattern.",
        ),
        (
            lambda f, a: register.update_agent(agent_id=a.pk, by=f.owner, kind="copilot"),
            "It is another kind of thing.",
        ),
    ],
)
def test_row_changed_away_from_its_template_is_something_else(change: Any, sentence: str) -> None:
    fitted, agent = confidential("confidential")
    change(fitted, agent)

    origin = selectors.origin_of(agent)
    error = refused(lambda: services.attest(agent_id=agent.pk, by=fitted.owner), NotAllowed)

    assert origin is not None
    assert sentence in selectors.departures_of(origin)
    assert "security must clear it" in error.message


def test_row_that_may_do_less_still_is_of_its_template() -> None:
    fitted, agent = confidential("confidential")
    register.update_agent(agent_id=agent.pk, by=fitted.owner, rate_per_minute=1)
    register.remove_allowlist_entry(agent_id=agent.pk, tool=fitted.reads, by=fitted.owner)

    assert services.attest(agent_id=agent.pk, by=fitted.owner).state == "active"


def test_row_of_a_version_that_ended_is_something_else() -> None:
    fitted, agent = confidential("confidential")
    make_version(SUMMARIZER, approved_tier="confidential", summary="Another one.")

    origin = selectors.origin_of(agent)

    assert origin is not None
    assert selectors.departures_of(origin) == ["read-only-summarizer@v2 is not in force any more."]
    error = refused(lambda: services.attest(agent_id=agent.pk, by=fitted.owner), NotAllowed)
    assert "security must clear it" in error.message


def test_toxic_row_is_covered_by_no_template() -> None:
    fitted = make_fitted("confidential")
    type(fitted.reads.system).objects.filter(slug="figures").update(categories=["hr-directory"])
    type(fitted.reads.system).objects.filter(slug="wiki").update(categories=["compensation"])
    make_version(SUMMARIZER, approved_tier="restricted")
    choices = CHOICES[SUMMARIZER] | {"reads": ["figures.read", "wiki.read"]}
    agent = register_one(fitted, choices=choices)

    error = refused(lambda: services.attest(agent_id=agent.pk, by=fitted.owner), NotAllowed)

    assert "security must clear it" in error.message
    assert rules.not_covered("restricted", register.fresh_reach(agent)).startswith(
        "What it reaches"
    )


# Changing a row


def test_changed_choices_follow_the_version_in_force(fitted: Fitted) -> None:
    agent = register_one(fitted, facts={"purpose": "Tells me."})
    make_version(SUMMARIZER, summary="Another one.")
    choices = CHOICES[SUMMARIZER] | {"reads": ["wiki.read"]}

    waiting = services.change_from_template(
        agent_id=agent.pk, by=fitted.owner, choices=choices, facts={"purpose": "Tells me more."}
    )

    agent.refresh_from_db()
    origin = selectors.origin_of(agent)
    assert waiting == 0
    assert {entry.tool.name for entry in agent.allowlist.all()} == {"wiki.read", "chat.post"}
    assert agent.purpose == "Tells me more."
    assert origin is not None
    assert (origin.template.version, selectors.departures_of(origin)) == (2, [])


def test_row_of_no_template_is_not_changed_as_one(fitted: Fitted) -> None:
    agent = register_one(fitted)
    services.leave_template(agent_id=agent.pk, by=fitted.owner)

    error = refused(
        lambda: services.change_from_template(agent_id=agent.pk, by=fitted.owner, choices={}),
        Conflict,
    )

    assert error.message == "newcomer did not come from a template. Change its fields."


# Two people


def test_version_waits_for_a_second_person_who_is_not_its_author() -> None:
    author = security()
    proposed = services.propose_template(
        slug=SUMMARIZER,
        by=author,
        name="Read-only summarizer",
        summary="Wider.",
        content=FIRST[0]["content"],
        approved_tier="confidential",
    )
    change = ProposedChange.objects.get(kind=services.ACTIVATION_KIND)

    assert proposed.state == "proposed"
    assert "someone else" in permissions.can(changes.check_can_agree, change, author)
    assert "Only security" in permissions.can(
        changes.check_can_agree, change, make_person(GroupName.PLATFORM_ADMIN)
    )
    changes.agree(change_id=change.pk, by=security())
    assert list(
        Template.objects.filter(slug=SUMMARIZER).values_list("version", "state").order_by("version")
    ) == [(1, "superseded"), (2, "active")]


def test_restricted_needs_security_and_the_dpo() -> None:
    dpo = make_person(GroupName.DPO)
    given = {"name": "n", "summary": "s", "content": FIRST[0]["content"]}
    services.propose_template(slug="deep", by=dpo, approved_tier="restricted", **given)
    change = ProposedChange.objects.get(target="deep")

    second = permissions.can(changes.check_can_agree, change, make_person(GroupName.DPO))
    first = permissions.can(changes.check_can_agree, change, security())

    assert second.startswith("A template for restricted data needs security and the DPO")
    assert first == ""


def test_rejected_version_never_comes_into_force() -> None:
    given = {"name": "n", "summary": "s", "content": FIRST[0]["content"]}
    services.propose_template(slug="deep", by=security(), approved_tier="internal", **given)
    change = ProposedChange.objects.get(target="deep")

    changes.reject(change_id=change.pk, by=security(), answer="No.")

    assert Template.objects.get(slug="deep").state == "retired"


def test_same_version_again_is_that_version() -> None:
    first = FIRST[0]
    again = services.propose_template(by=security(), approved_tier="internal", **first)

    assert (again.version, again.state) == (1, "active")
    assert not ProposedChange.objects.filter(kind=services.ACTIVATION_KIND).exists()


def test_owner_writes_no_template() -> None:
    given = {"name": "n", "summary": "s", "content": FIRST[0]["content"]}
    error = refused(
        lambda: services.propose_template(
            slug="mine", by=make_person(), approved_tier="internal", **given
        ),
        NotAllowed,
    )

    assert error.message == "Only security, the DPO and platform admins may propose templates."


@pytest.mark.parametrize(
    ("spoil", "sentence"),
    [
        ({"pattern": "none"}, "The content does not hold at /pattern: "),
        ({"slots": []}, "The content does not hold at /slots: "),
        ({"slots": FIRST[0]["content"]["slots"][:1] * 2}, "Two slots have the same name."),
        ({"more": 1}, "The content does not hold: "),
    ],
)
def test_content_that_does_not_hold_is_told(spoil: dict[str, Any], sentence: str) -> None:
    assert fault_in(FIRST[0]["content"] | spoil).startswith(sentence)
    assert SCHEMA["additionalProperties"] is False


# What the database holds by itself


def by_the_database(act: Any) -> str:
    with pytest.raises(IntegrityError) as caught, transaction.atomic():
        act()
    return str(caught.value).splitlines()[0]


def written(**more: Any) -> Template:
    given = {**FIRST[0], "slug": "mine", "state": "active", "activated_at": clock.now()}
    return Template.objects.create(**(given | more))


def test_version_written_past_the_services_is_refused() -> None:
    ann, ben = security(), security()

    said = by_the_database(written)
    named = by_the_database(lambda: written(proposed_by=ann, agreed_by=ben))
    planted = by_the_database(lambda: written(planted=True))

    assert said == "mine@v1 clears agents in advance: a second person must agree to it first."
    assert named == said
    assert planted == "mine@v1 is not what Muster comes with. Propose it."


@pytest.mark.parametrize(
    "changed",
    [
        {"approved_tier": "restricted"},
        {"content": {}},
        {"planted": False},
    ],
)
def test_version_in_force_never_changes(changed: dict[str, Any]) -> None:
    said = by_the_database(lambda: Template.objects.filter(slug=NOTIFIER).update(**changed))

    assert said == "notifier@v1 does not change. Propose another version."


def test_version_that_ended_stays_ended_and_none_is_deleted() -> None:
    services.retire_template(slug=NOTIFIER, by=security())
    version = Template.objects.filter(slug=NOTIFIER)

    back = by_the_database(lambda: version.update(state="active", ended_at=None))
    gone = by_the_database(version.delete)

    assert back == "notifier@v1 is retired and cannot become active."
    assert gone == "A template is retired, never deleted, so notifier@v1 stays."


def test_agreement_to_another_text_is_none() -> None:
    given = {"name": "n", "summary": "s", "content": FIRST[0]["content"]}
    version = services.propose_template(
        slug="mine", by=security(), approved_tier="internal", **given
    )
    agreed = ProposedChange.objects.get(target="mine")
    second = security()
    ProposedChange.objects.filter(pk=agreed.pk).update(
        state="agreed",
        decided_by=second,
        decided_at=clock.now(),
        after={**agreed.after, "approved_tier": "public"},
    )

    said = by_the_database(
        lambda: Template.objects.filter(pk=version.pk).update(
            state="active", activated_at=clock.now(), agreed_by=second
        )
    )

    assert said == "mine@v1 clears agents in advance: a second person must agree to it first."
