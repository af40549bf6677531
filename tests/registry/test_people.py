"""People: who may change them, what becomes of their agents, whom they see."""

import pytest
from django.db import IntegrityError, transaction

from governance.kernel.errors import Conflict, GovernanceError, Invalid, NotAllowed
from registry import guard, permissions, selectors, services
from registry.enums import AgentState, Employment, GroupName
from registry.models import Agent, Person
from registry.signals import employment_changed
from tests.factories.registry import (
    make_agent,
    make_draft,
    make_person,
    make_system,
    make_tool,
    security,
)

pytestmark = pytest.mark.django_db


def refused(act, error: type[GovernanceError] = NotAllowed) -> GovernanceError:
    with pytest.raises(error) as caught, transaction.atomic():
        act()
    return caught.value


def test_the_first_person_comes_by_nobody_and_no_other_does() -> None:
    first = services.create_person(email=" First@Example.org ", name="First", by=None)

    assert (first.email, first.has_usable_password()) == ("first@example.org", False)
    refused(lambda: services.create_person(email="b@example.org", name="B", by=None))


def test_an_email_names_one_person_in_any_case() -> None:
    by = security()
    services.create_person(email="a@example.org", name="A", by=by)

    error = refused(lambda: services.create_person(email="A@EXAMPLE.ORG", name="B", by=by), Invalid)

    assert list(error.fields) == ["email"]
    with pytest.raises(IntegrityError), transaction.atomic():
        Person.objects.create(email="A@example.org", name="C")


def test_names_stay_out_of_the_body(mark, records_after) -> None:
    by, marked = security(), mark()

    person = services.create_person(email="jane@example.org", name="Jane Doe", by=by)
    services.update_person(person_id=person.pk, by=by, name="Jane Roe", department="Claims")

    bodies = [bytes(r["body"]) for r in records_after(marked)]
    assert len(bodies) == 2
    assert [any(word in body for word in (b"Jane", b"jane", b"Claims")) for body in bodies] == [
        False,
        False,
    ]
    assert {r["user"] for r in records_after(marked)} == {person.pid}


def test_everyone_changes_their_own_name_and_no_more() -> None:
    person = make_person()

    services.update_person(person_id=person.pk, by=person, name="New", zone="Europe/Oslo")

    refused(lambda: services.update_person(person_id=person.pk, by=person, email="n@example.org"))
    refused(lambda: services.update_person(person_id=person.pk, by=make_person(), name="X"))
    assert Person.objects.get(pk=person.pk).name == "New"


@pytest.mark.parametrize(
    "fields",
    [
        {"zone": "Mars/Olympus"},
        {"attributes": [1]},
        {"attributes": {"a": "\0"}},
        {"name": "a\x07b"},
        {"name": "\ud800"},
        {"email": "nobody"},
        {"name": "x" * 151},
    ],
)
def test_bad_fields_are_named(fields: dict) -> None:
    person = make_person()

    error = refused(
        lambda: services.update_person(person_id=person.pk, by=security(), **fields), Invalid
    )

    assert list(error.fields) == list(fields)


def test_nobody_is_their_own_manager() -> None:
    person = make_person()

    refused(
        lambda: services.update_person(person_id=person.pk, by=security(), manager=person), Invalid
    )


@pytest.mark.parametrize(
    ("employment", "active", "refusal"),
    [("employed", True, None), ("leaving", True, None), ("left", False, "identity.owner_left")],
)
def test_what_leaving_does(employment: str, active: bool, refusal: str | None) -> None:
    agent, heard = make_agent(), []

    def listen(**news) -> None:
        heard.append((news["person"].pk, news["before"]))

    employment_changed.connect(listen)
    services.set_employment(
        person_id=agent.owner_id, employment=employment, last_day="2026-12-31", by=security()
    )
    employment_changed.disconnect(listen)

    agent = Agent.objects.select_related("owner").get(pk=agent.pk)
    assert (agent.owner.is_active, guard.refusal(agent)) == (active, refusal)
    changed = employment != "employed"
    assert heard == ([(agent.owner_id, Employment.EMPLOYED)] if changed else [])


def test_who_left_does_nothing_any_more() -> None:
    person = make_person(GroupName.SECURITY, employment="left", last_day="2026-01-01")

    refused(lambda: services.save_system(slug="x", by=person))
    refused(lambda: services.draft_agent(slug="x", name="x", purpose="x", owner=person, by=person))
    assert list(Agent.objects.visible_to(person)) == []
    assert person.audit_scope().everything is False


def test_a_leaver_without_a_last_day_is_refused() -> None:
    person = make_person()

    refused(
        lambda: services.set_employment(person_id=person.pk, employment="left", by=security()),
        Invalid,
    )


def test_an_external_id_names_one_person() -> None:
    by, first, second = security(), make_person(), make_person()
    key = {"source": "okta", "external_id": "00u1"}
    one = services.add_external_identity(person_id=first.pk, by=by, **key)

    assert services.add_external_identity(person_id=first.pk, by=by, **key) == one
    refused(lambda: services.add_external_identity(person_id=second.pk, by=by, **key), Conflict)
    assert selectors.person_by_external_id("okta", "00u1") == first
    services.remove_external_identity(person_id=first.pk, by=by, **key)
    assert selectors.person_by_external_id("okta", "00u1") is None


def test_unknown_groups_are_named() -> None:
    error = refused(
        lambda: services.set_groups(person_id=make_person().pk, groups=["root"], by=security()),
        Invalid,
    )

    assert error.fields == {"groups": ["There is no group 'root'."]}


@pytest.mark.parametrize("actor", ["platform_admin", "dpo", "auditor", "source_owner", None])
def test_who_puts_people_in_groups(actor: str | None) -> None:
    by, person = make_person(*([GroupName(actor)] if actor else [])), make_person()

    def act() -> None:
        services.set_groups(person_id=person.pk, groups=["dpo"], by=by)

    if actor == "platform_admin":
        act()
    else:
        refused(act)
    assert Person.objects.get(pk=person.pk).group_names == frozenset()


def test_a_source_owner_changes_their_own_system_only() -> None:
    owner = make_person(GroupName.SOURCE_OWNER)
    outsider = make_person()
    own, other = make_system(owner=owner), make_system(owner=outsider)

    services.save_system(slug=own.slug, by=owner, description="Mine.")
    services.save_tool(name="own.read", by=owner, system=own, effect="read")

    refused(lambda: services.save_system(slug=other.slug, by=owner, description="Not."))
    refused(lambda: services.save_system(slug=other.slug, by=outsider, description="No group."))
    refused(lambda: services.save_tool(name="o.read", by=owner, system=other, effect="read"))
    services.save_system(slug=own.slug, by=security(), owner=outsider)
    refused(
        lambda: services.save_system(
            slug=own.slug, by=Person.objects.get(pk=owner.pk), description="Was mine."
        )
    )


def test_who_sees_which_agents() -> None:
    source = make_person(GroupName.SOURCE_OWNER)
    agent = make_draft(
        tool=make_tool(make_system(owner=source)), backup_owner=(backup := make_person())
    )
    other = make_draft()
    readers = [make_person(GroupName(n)) for n in ("security", "dpo", "auditor", "platform_admin")]
    seen = {
        person: set(Agent.objects.visible_to(person))
        for person in (agent.owner, backup, source, make_person(), *readers)
    }

    assert list(seen.values()) == [{agent}, {agent}, {agent}, set(), *[{agent, other}] * 4]
    for person, agents in seen.items():
        sentence = permissions.can(permissions.check_can_view_agent, agent, person)
        assert (sentence == "") == (agent in agents)


def test_who_reads_which_records() -> None:
    agent = make_agent(AgentState.DRAFT)

    assert agent.owner.audit_scope().agents == frozenset({agent.slug})
    assert make_person().audit_scope().agents == frozenset()
    groups = (GroupName.AUDITOR, GroupName.SECURITY, GroupName.DPO)
    assert [make_person(g).audit_scope().everything for g in groups] == [True, True, True]
    admin = make_person(GroupName.PLATFORM_ADMIN)
    assert admin.audit_scope().everything is False


def test_separation_of_duties_counts_who_may_act() -> None:
    first = security()
    make_person(GroupName.SECURITY, employment="left", last_day="2026-01-01")
    make_person(GroupName.SECURITY, is_active=False)
    assert (first.may_act, selectors.has_separation_of_duties()) == (True, False)

    security()

    assert selectors.has_separation_of_duties() is True


@pytest.mark.parametrize("rows", [1, 3])
def test_lists_cost_the_same_at_any_length(rows: int, django_assert_num_queries) -> None:
    reader = security()
    assert reader.reads_everything
    for _ in range(rows):
        make_system(resources=[{"name": "t"}], by=reader)

    with django_assert_num_queries(3):
        systems = [
            (s.slug, s.tool_count, [r.effective_categories for r in s.resources.all()])
            for s in selectors.systems_for_list(reader)
        ]
    with django_assert_num_queries(3):
        people = [(p.display(), p.manager) for p in selectors.people_for_list(reader)]

    assert (len(systems), len(people)) == (rows, 1)


def test_nobody_alone_changes_the_address_of_someone_with_rights() -> None:
    holder, by, plain = security(), security(), make_person()
    new = "new@example.org"

    refused(lambda: services.update_person(person_id=holder.pk, by=by, email=new), NotAllowed)
    services.set_groups(person_id=holder.pk, groups=[], by=by)
    services.update_person(person_id=holder.pk, by=by, email=new)
    services.update_person(person_id=plain.pk, by=by, email="plain@example.org")

    assert Person.objects.get(pk=holder.pk).email == new
