"""The admin: changes go through services, widening waits, a refusal keeps what was typed."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client

from audit.models import Record
from authz.models import Policy, Role
from registry import changes, services
from registry.enums import AgentState, ChangeState, GroupName
from registry.models import Person, ProposedChange, System
from tests.factories.registry import make_draft, make_person, make_system, make_tool

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _without_second_factor(settings: Any) -> None:
    settings.MUSTER_APPROVER_MFA = False


@pytest.fixture
def tomasz() -> Person:
    return make_person(GroupName.SECURITY, name="Tomasz", is_staff=True)


@pytest.fixture
def aiko() -> Person:
    return make_person(GroupName.SECURITY, name="Aiko", is_staff=True)


@pytest.fixture
def page(client: Client, tomasz: Person) -> Client:
    client.force_login(tomasz)
    return client


def inlines(*prefixes: str) -> dict[str, str]:
    """The management forms of empty inlines."""
    return {
        f"{prefix}-{name}": value
        for prefix in prefixes
        for name, value in (("TOTAL_FORMS", "0"), ("INITIAL_FORMS", "0"))
    }


def system_form(system: System, **given: str) -> dict[str, str]:
    return {
        "name": system.name,
        "description": "",
        "environment": "production",
        "tier": system.tier,
        "categories": "",
        "country": "",
        "trust": "trusted",
        "provider": "",
        "owner": "",
        **inlines("resources", "agreements"),
        **given,
    }


def test_lowering_a_tier_waits_for_a_second_person(
    page: Client, client: Client, aiko: Person, tomasz: Person
) -> None:
    system = make_system(by=tomasz, tier="confidential")

    page.post(
        f"/admin/registry/system/{system.pk}/change/",
        system_form(system, tier="public"),
        follow=True,
    )
    system.refresh_from_db()
    waiting = ProposedChange.objects.get(state=ChangeState.PROPOSED)
    unchanged = system.tier
    page.post(f"/admin/registry/proposedchange/{waiting.pk}/agree/")
    waiting.refresh_from_db()
    own = waiting.state
    client.force_login(aiko)
    client.post(f"/admin/registry/proposedchange/{waiting.pk}/agree/", {"answer": "Fine."})
    system.refresh_from_db()

    assert (unchanged, own, system.tier) == ("confidential", ChangeState.PROPOSED, "public")


def test_raising_a_tier_takes_effect_and_is_recorded(page: Client, tomasz: Person) -> None:
    system = make_system(by=tomasz, tier="internal")

    page.post(f"/admin/registry/system/{system.pk}/change/", system_form(system, tier="restricted"))

    system.refresh_from_db()
    assert system.tier == "restricted"
    newest = Record.objects.filter(resource=f"system:{system.slug}").order_by("-at").first()
    assert newest is not None
    assert newest.actor == tomasz.pid


def test_resource_is_added_in_its_row(page: Client, tomasz: Person) -> None:
    system = make_system(by=tomasz)
    row = {
        "resources-TOTAL_FORMS": "1",
        "resources-0-name": "contacts",
        "resources-0-match": "exact",
        "resources-0-tier": "confidential",
        "resources-0-categories": "customer-contacts",
        "resources-0-system": str(system.pk),
    }

    page.post(f"/admin/registry/system/{system.pk}/change/", system_form(system, **row))

    assert [(r.name, r.tier) for r in system.resources.all()] == [("contacts", "confidential")]


def test_refused_tool_keeps_what_was_typed(page: Client, tomasz: Person) -> None:
    system = make_system(by=tomasz)
    form = {
        "name": "crm.read",
        "title": "Reads",
        "description": "",
        "system": str(system.pk),
        "effect": "read",
        "schema": '{"type": "object", "properties": {}}',
        "amount_parameter": "nothing_like_it",
        "cost_minor": "0",
        "currency": "EUR",
        **inlines("accesses"),
    }

    answer = page.post("/admin/registry/tool/add/", form)

    assert answer.status_code == 200
    assert "amount_parameter" in answer.context["adminform"].form.errors
    assert 'value="nothing_like_it"' in answer.content.decode()
    assert not system.tools.exists()


def test_security_approves_what_it_saw_and_nothing_else(page: Client) -> None:
    agent = make_draft(tool=make_tool(make_system(tier="confidential")))
    from registry import services

    services.submit_for_review(agent_id=agent.pk, by=agent.owner)
    shown = page.get(f"/admin/registry/agent/{agent.pk}/change/")
    digest = shown.context["reach"].digest

    page.post(f"/admin/registry/agent/{agent.pk}/approve/", {"reach_digest": "0" * 64})
    agent.refresh_from_db()
    stale = agent.state
    page.post(f"/admin/registry/agent/{agent.pk}/approve/", {"reach_digest": digest})
    agent.refresh_from_db()

    assert (stale, agent.state) == (AgentState.IN_REVIEW, AgentState.ACTIVE)


def test_a_signature_among_several_is_not_called_live(page: Client) -> None:
    agent = make_draft(tool=make_tool(make_system(tier="restricted")))
    services.submit_for_review(agent_id=agent.pk, by=agent.owner)
    digest = page.get(f"/admin/registry/agent/{agent.pk}/change/").context["reach"].digest

    place = f"/admin/registry/agent/{agent.pk}/approve/"
    said = page.post(place, {"reach_digest": digest}, follow=True).content.decode()

    agent.refresh_from_db()
    assert agent.state == AgentState.IN_REVIEW
    assert "is live when everyone has signed" in said
    assert f"{agent.slug} is live." not in said


def test_security_sends_back_with_a_reason(page: Client) -> None:
    agent = make_draft(tool=make_tool(make_system(tier="confidential")))
    from registry import services

    services.submit_for_review(agent_id=agent.pk, by=agent.owner)

    page.post(f"/admin/registry/agent/{agent.pk}/send-back/", {"reason": ""})
    agent.refresh_from_db()
    without = agent.state
    page.post(f"/admin/registry/agent/{agent.pk}/send-back/", {"reason": "Narrow it."})
    agent.refresh_from_db()

    assert without == AgentState.IN_REVIEW
    assert (agent.state, agent.state_reason) == (AgentState.DRAFT, "Narrow it.")


def test_acts_are_posts(page: Client) -> None:
    agent = make_draft()

    answer = page.get(f"/admin/registry/agent/{agent.pk}/approve/")

    assert answer.status_code == 405


def test_policy_is_proposed_and_never_edited(page: Client, tomasz: Person) -> None:
    make_tool(make_system(by=tomasz), name="mail.send")
    text = 'permit (principal, action == Muster::Action::"mail.send", resource);'

    page.post("/admin/authz/policy/add/", {"slug": "mail", "description": "", "text": text})

    policy = Policy.objects.get()
    assert (policy.state, policy.proposed_by) == ("proposed", tomasz)
    change = page.post(
        f"/admin/authz/policy/{policy.pk}/change/",
        {"text": "permit (principal, action, resource);"},
    )
    policy.refresh_from_db()
    assert (change.status_code, policy.text) == (403, text)


def test_broken_policy_is_refused_beside_its_text(page: Client) -> None:
    answer = page.post(
        "/admin/authz/policy/add/", {"slug": "x", "description": "", "text": "permit ("}
    )

    assert answer.status_code == 200
    assert not Policy.objects.exists()


def test_role_is_added_without_anyone_in_it(page: Client) -> None:
    page.post("/admin/authz/role/add/", {"slug": "readers", "description": "Reads"})

    assert Role.objects.get().slug == "readers"


@pytest.mark.parametrize("place", ["/admin/", "/admin/registry/agent/", "/admin/registry/person/"])
def test_admin_is_for_those_who_keep_it(client: Client, place: str) -> None:
    client.force_login(make_person())

    answer = client.get(place)

    assert answer.status_code == 302
    assert "/admin/login/" in answer["Location"] or "/accounts/login/" in answer["Location"]


def test_nothing_is_deleted_in_the_admin(page: Client, tomasz: Person) -> None:
    system = make_system(by=tomasz)

    answer = page.post(f"/admin/registry/system/{system.pk}/delete/", {"post": "yes"})

    assert answer.status_code == 403
    assert System.objects.filter(pk=system.pk).exists()


def test_page_of_a_change_shows_what_differs_and_who_may_answer(
    page: Client, client: Client, aiko: Person, tomasz: Person
) -> None:
    system = make_system(by=tomasz, tier="confidential")
    services.save_system(slug=system.slug, tier="public", by=tomasz)
    waiting = ProposedChange.objects.get(state=ChangeState.PROPOSED)
    place = f"/admin/registry/proposedchange/{waiting.pk}/change/"

    own = page.get(place).content.decode()
    client.force_login(aiko)
    other = client.get(place).content.decode()
    changes.agree(change_id=waiting.pk, by=aiko)
    after = client.get(place).content.decode()

    assert "You proposed this, so someone else must agree to it." in own
    assert "Take it back" in own
    assert ("<del>confidential</del>" in other, "<ins>public</ins>" in other) == (True, True)
    assert "Agreed by Aiko" in after
