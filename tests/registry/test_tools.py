"""Tools, systems, types: what a declaration must hold."""

import pytest
from django.db import IntegrityError, transaction

from governance.kernel.errors import GovernanceError, Invalid
from registry import services
from registry.models import Agent, Person, ResourceEntity, System, Tool
from tests import public
from tests.factories.registry import (
    SCHEMA,
    make_draft,
    make_person,
    make_system,
    make_tool,
    security,
)

pytestmark = pytest.mark.django_db


def refused(act, error: type[GovernanceError] = Invalid) -> GovernanceError:
    with pytest.raises(error) as caught, transaction.atomic():
        act()
    return caught.value


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "string"},
        {},
        {"type": "object", "properties": {"a": {"type": "nonsense"}}},
        {"type": "object", "properties": {"a": {"pattern": "(?=x)"}}},
        {"type": "object", "properties": {"a": {"pattern": "(a)\\1"}}},
        {"type": "object", "properties": {"a": {"pattern": "((a{1,1000}){1,1000}){1,1000}"}}},
        {"type": "object", "properties": {"a": {"format": "money"}}},
        {"type": "object", "properties": {"a": {"$ref": "http://127.0.0.1/x"}}},
        {"type": "object", "properties": {"a": {"$ref": "#/$defs/missing"}}},
        {"$schema": "http://json-schema.org/draft-07/schema#", "type": "object"},
        {"type": "object", "description": "x" * 70_000},
        {"type": "object", "maxProperties": 2**60},
        {"type": "object", "properties": {"a": {"const": "\0"}}},
    ],
)
def test_a_schema_that_does_not_hold_is_refused(schema: dict) -> None:
    system, by = make_system(), security()

    error = refused(
        lambda: services.save_tool(name="t", by=by, system=system, effect="read", schema=schema)
    )

    assert list(error.fields) == ["schema"]
    assert Tool.objects.count() == 0


@pytest.mark.parametrize("field", ["amount", "currency", "count", "recipient", "resource"])
def test_a_declared_parameter_stands_in_the_schema(field: str) -> None:
    name = f"{field}_parameter"

    error = refused(lambda: make_tool(**{name: "missing"}))

    assert error.fields == {name: ["The schema has no parameter 'missing'."]}
    assert getattr(make_tool(**{name: "account"}), name) == "account"


def test_secret_parameters_stand_in_the_schema_and_name_no_resource() -> None:
    missing = refused(lambda: make_tool(secret_parameters=["token"]))
    resource = refused(
        lambda: make_tool(secret_parameters=["account"], resource_parameter="account")
    )

    assert (list(missing.fields), list(resource.fields)) == (
        ["secret_parameters"],
        ["resource_parameter"],
    )


def test_the_version_rises_with_the_definition_only(mark, records_after) -> None:
    by, tool = security(), make_tool()
    marked = mark()

    same = services.save_tool(name=tool.name, by=by, schema=SCHEMA, effect="read")
    services.save_tool(name=tool.name, by=by, title="Title", cost_minor=5)
    assert (same.changed, Tool.objects.get().version) == ((), 1)

    services.save_tool(name=tool.name, by=by, effect="destructive")
    access = {"system": tool.system, "resource": "t", "direction": "writes"}
    services.save_tool(name=tool.name, by=by, accesses=[access])
    services.save_tool(name=tool.name, by=by, accesses=[access, access])

    assert Tool.objects.get().version == 3
    assert [r["resource"] for r in records_after(marked)] == [f"tool:{tool.name}"] * 3


def test_a_tool_needs_a_system() -> None:
    error = refused(lambda: services.save_tool(name="t", by=security(), effect="read"))

    assert list(error.fields) == ["system"]


@pytest.mark.parametrize("name", ["a b", "ä", "a..b", "", "a\n", "A" * 121, "а.read"])
def test_tool_names_are_plain(name: str) -> None:
    refused(lambda: make_tool(name=name))


def test_names_are_unique_by_case() -> None:
    make_tool(name="Crm.Read")
    make_draft(slug="desk")

    refused(lambda: make_tool(name="crm.read"))
    refused(lambda: make_draft(slug="desk"))
    with pytest.raises(IntegrityError), transaction.atomic():
        Agent.objects.create(slug="DESK", name="x", purpose="x", owner=make_person())


def test_a_narrowing_that_leaves_nothing_is_refused() -> None:
    tool = make_tool()
    agent = make_draft(tool=tool)

    for narrowing in ({"type": "string"}, {"type": "nonsense"}, {"pattern": "(?!a)"}):
        error = refused(
            lambda narrowing=narrowing: services.set_allowlist_entry(
                agent_id=agent.pk, tool=tool, by=agent.owner, narrowing=narrowing
            )
        )
        assert list(error.fields) == ["narrowing"]


def test_entities_take_what_their_type_declares() -> None:
    by = security()
    attributes = {
        "owner": {"type": "string", "source": "loaded"},
        "size": {"type": "long"},
        "open": {"type": "bool"},
        "tags": {"type": "set"},
        "said": {"type": "string", "source": "caller"},
    }
    services.save_resource_type(slug="todo", attributes=attributes, by=by)
    good = {"owner": "a", "size": 3, "open": True, "tags": ["x"]}
    services.save_entity(type_slug="todo", entity_id="1", attributes=good, by=by)

    for bad in ({"size": True}, {"size": "3"}, {"tags": "x"}, {"said": "x"}, {"more": 1}):
        refused(
            lambda bad=bad: services.save_entity(
                type_slug="todo", entity_id="1", attributes=bad, by=by
            )
        )
    assert ResourceEntity.objects.get().attributes == good
    for bad in ({"a": "string"}, {"a": {"type": "float"}}, {"a b": {"type": "bool"}}):
        refused(lambda bad=bad: services.save_resource_type(slug="x", attributes=bad, by=by))


@pytest.mark.parametrize(
    "fields",
    [
        {"tier": "secret"},
        {"country": "ie"},
        {"categories": ["Customer Data"]},
        {"trust": "maybe"},
        {"slug": "Not A Slug"},
    ],
)
def test_systems_take_words_from_the_lists(fields: dict) -> None:
    refused(lambda: make_system(**fields))
    assert System.objects.count() == 0


@pytest.mark.parametrize("most", [20, pytest.param(60, marks=pytest.mark.fuzz)])
def test_naughty_strings_are_kept_or_refused_and_never_crash(most: int) -> None:
    owner, by = make_person(), security()
    system = make_system(by)
    agent = make_draft(owner=owner)
    acts = [
        lambda text: services.update_person(person_id=owner.pk, by=by, name=text),
        lambda text: services.save_system(slug=system.slug, by=by, description=text),
        lambda text: services.update_agent(agent_id=agent.pk, by=owner, purpose=text),
        lambda text: services.draft_agent(slug=text, name="x", purpose="x", owner=owner, by=by),
        lambda text: services.add_credential_reference(agent_id=agent.pk, by=owner, reference=text),
    ]
    outcomes = set()
    strings = public.naughty_strings()
    for text in strings[:: max(1, len(strings) // most)]:
        for act in acts:
            try:
                with transaction.atomic():
                    act(text)
                outcomes.add("kept")
            except GovernanceError as error:
                outcomes.add(error.status)

    assert outcomes <= {"kept", 400, 409}
    assert Person.objects.get(pk=owner.pk).pid == owner.pid
