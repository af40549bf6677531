"""Changes as pure functions: what they touch, and that they leave all else alone."""

import copy

import pytest

from authz.preview.changes import (
    Change,
    EntryPut,
    EntryRemoved,
    Members,
    PolicyPut,
    PolicyRetired,
    ResourcePut,
    ResourceRemoved,
    RoleChanged,
    SystemPut,
)
from tests.authz.desk import documents

PERMIT = 'permit(principal, action == Muster::Action::"crm.find", resource);'
CHANGES = [
    Change(),
    PolicyPut("new", 1, PERMIT),
    PolicyRetired("none"),
    RoleChanged("ROLE", Members(frozenset(["crm.find"])), Members(people=frozenset(["p"]))),
    EntryPut("desk", "crm.find", {"maxProperties": 1}),
    EntryRemoved("desk", "crm.find"),
    SystemPut("SYSTEM", "public", ("x",)),
    ResourcePut("SYSTEM", "x", "exact"),
    ResourceRemoved("SYSTEM", "x", "exact"),
]


@pytest.fixture
def docs():
    return documents()


def real(change, docs):
    """The change about a role and a system that are there."""
    named = {
        "ROLE": next(iter(docs["world"]["roles"])),
        "SYSTEM": next(iter(docs["world"]["systems"])),
    }
    fields = {
        name: named.get(value, value) if isinstance(value, str) else value
        for name in getattr(change, "__slots__", ())
        for value in [getattr(change, name)]
    }
    return type(change)(**fields)


@pytest.mark.parametrize("change", CHANGES, ids=lambda one: type(one).__name__)
def test_a_change_alters_no_document_that_it_is_given(docs, change):
    world = {"governed": [], "policies": [], **docs["world"]}
    before = copy.deepcopy((world, docs))
    change = real(change, docs)

    change.world(world)
    for agent in docs["agents"].values():
        change.agent(agent)
    for person in docs["people"].values():
        change.person(person)

    assert (world, docs) == before


def test_what_is_not_touched_is_the_same_document(docs):
    agent, person = docs["agents"]["desk"], next(iter(docs["people"].values()))

    assert PolicyPut("new", 1, PERMIT).agent(agent) is agent
    assert EntryRemoved("other", "crm.find").agent(agent) is agent
    assert EntryPut("other", "crm.find").agent(agent) is agent
    assert RoleChanged("role", Members(frozenset(["crm.find"]))).person(person) is person
    assert EntryPut("desk", "crm.find").world(docs["world"]) is docs["world"]


def test_a_permit_governs_what_it_names_unless_it_is_only_logged(docs):
    world = {
        **docs["world"],
        "governed": [],
        "policies": [
            {"id": "a@v1", "text": "x", "log_only": False},
            {"id": "new@v1", "text": "x"},
        ],
    }

    put = PolicyPut("new", 2, PERMIT).world(world)
    logged = PolicyPut("new", 2, PERMIT, log_only=True).world(world)

    assert [each["id"] for each in put["policies"]] == ["a@v1", "new@v2"]
    assert (put["governed"], logged["governed"]) == (["crm.find"], [])
    assert PolicyRetired("new").world(put)["governed"] == ["crm.find"]


def test_categories_of_a_system_reach_the_resources_that_have_none(docs):
    world = {
        "systems": {
            "crm": {
                "tier": "internal",
                "categories": ["a"],
                "resources": [
                    {"name": "own", "match": "exact", "tier": "public", "categories": ["b"]},
                    {"name": "bare", "match": "exact", "tier": "public", "categories": ["a"]},
                ],
            }
        }
    }

    changed = SystemPut("crm", "", ("c",), frozenset([("bare", "exact")])).world(world)

    system = changed["systems"]["crm"]
    assert (system["tier"], system["categories"]) == ("restricted", ["c"])
    assert [each["categories"] for each in system["resources"]] == [["b"], ["c"]]
