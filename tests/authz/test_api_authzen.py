"""The public AuthZEN sets over HTTP, with the worlds that the engine's tests use, in tables."""

import json

import pytest
from django.contrib.auth.models import Group

from authz import slices
from authz.models import GovernedTool, Policy, Relationship, Role
from governance.kernel import clock
from registry import reserved
from registry.models import Person, ResourceEntity, ResourceType, System, Tool
from tests import public
from tests.authz.desk import documents
from tests.factories.authz import bearer, make_client, make_gateway, make_person, name_person

pytestmark = pytest.mark.django_db

SOURCE = "suite"


def _load(name):
    return public.load(f"authzen/{name}")


def _plant(world):
    """Rows from which the world's slice is read as `world` says."""
    for slug, system in world["systems"].items():
        System.objects.create(slug=slug, name=slug, tier=system["tier"])
    for slug, kind in world["types"].items():
        made = ResourceType.objects.create(slug=slug, attributes=kind["attributes"])
        for one, attributes in world["entities"].get(slug, {}).items():
            ResourceEntity.objects.create(type=made, entity_id=one, attributes=attributes)
    for name, tool in world["tools"].items():
        Tool.objects.create(
            name=name,
            system=System.objects.get(slug=tool["system"]),
            effect=tool["effect"],
            schema=tool["schema"],
        )
    for slug, tools in world["roles"].items():
        Role.objects.create(slug=slug).tools.set(Tool.objects.filter(name__in=tools))
    for policy in world["policies"]:
        slug, version = policy["id"].split("@v")
        Policy.objects.create(
            slug=slug,
            version=version,
            text=policy["text"],
            state="active",
            activated_at=clock.now(),
        )
    for tool in world["governed"]:
        GovernedTool.objects.create(tool=tool, since=clock.now())


def _person(external_id, roles, groups=(), **fields):
    person = make_person(groups=groups, **fields)
    name_person(person, SOURCE, external_id)
    for role in Role.objects.filter(slug__in=roles):
        role.people.add(person)


@pytest.fixture
def ask(client):
    """`ask(path, body)`: the bare answer's body and status, asked by a gateway."""
    gateway = make_client(gateway=make_gateway(source=SOURCE))

    def post(path, body, *, content_type="application/json", **headers):
        return client.post(
            path,
            data=body if isinstance(body, str) else json.dumps(body),
            content_type=content_type,
            headers={"authorization": bearer(gateway), "muster-answer": "bare"} | headers,
        )

    return post


@pytest.fixture
def todo():
    _plant(documents("todo")["world"])
    for external_id, user in _load("todo/users.json").items():
        _person(external_id, user["roles"], name=user["name"], email=user["email"])


@pytest.fixture
def certification():
    docs = documents("certification")
    _plant(docs["world"])
    for external_id, person in docs["people"].items():
        for name in person["groups"]:
            Group.objects.get_or_create(name=name)
        attributes = person["personal"].get("attributes", {})
        _person(external_id, person["roles"], person["groups"], attributes=attributes)


@pytest.mark.parametrize("name", ["todo", "certification"])
def test_the_world_is_read_as_it_was_planted(name):
    world = documents(name)["world"]
    _plant(world)

    (read,) = slices.read(["global"])

    shown = read.document
    for part in ("roles", "governed", "types", "relationships", "policies"):
        wanted = world[part]
        if part == "roles":
            wanted = {role: sorted(tools) for role, tools in wanted.items()}
            wanted |= {slices.CREDENTIALS_ROLE: [reserved.TOOL]}
        if part == "governed":
            wanted = sorted(wanted)
        if part == "policies":
            wanted = sorted(wanted, key=lambda policy: policy["id"])
        assert shown[part] == wanted
    assert shown["tools"].keys() == world["tools"].keys() | {reserved.TOOL}
    assert {slug: entities for slug, entities in shown["entities"].items() if entities} == world[
        "entities"
    ]


def test_todo_single_evaluations(todo, ask):
    cases = _load("todo/decisions-1_0-02.json")["evaluation"]

    answers = [ask("/access/v1/evaluation", case["request"]).json() for case in cases]

    assert len(cases) == 40
    assert answers == [{"decision": case["expected"]} for case in cases]


def test_todo_batched_evaluations(todo, ask):
    cases = _load("todo/decisions-1_0-02.json")["evaluations"]

    answers = [ask("/access/v1/evaluations", case["request"]).json() for case in cases]

    assert len(cases) == 3
    assert answers == [{"evaluations": case["expected"]} for case in cases]


def _vectors():
    return [one for one in _load("certification/vectors.json") if "/access/v1/" in one["path"]]


def test_certification(certification, ask):
    for vector in _vectors():
        _check(vector, ask, f"{vector['section']} {vector.get('label', '')}")


def _check(vector, ask, name):
    headers = dict(vector.get("headers", {}))
    media_type = headers.pop("Content-Type", "application/json")
    body = vector["request"] if "request" in vector else vector["raw_body"]
    if "token" in (body.get("page", {}) if isinstance(body, dict) else {}):
        before = ask(vector["path"], {**body, "page": {"limit": 1}}).json()
        body = {**body, "page": {"token": before["page"]["next_token"]}}

    answer = ask(vector["path"], body, content_type=media_type, **headers)

    assert answer.status_code == vector["expect_status"], name
    for header, value in vector.get("expect_headers", {}).items():
        assert answer[header] == value, name
    if vector.get("expect_body"):
        assert answer.json() == vector["expect_body"], name
    for wanted in vector.get("expect_body_at_least", {}).get("results", ()):
        assert wanted in answer.json()["results"], name
    if "token" in (body.get("page", {}) if isinstance(body, dict) else {}):
        assert answer.json()["page"]["next_token"] == "", name
    if vector.get("expect_shape"):
        shape = [type(each["decision"]) for each in answer.json()["evaluations"]]
        assert shape == [bool, bool], name


def test_certification_item_error_is_a_denial(certification, ask):
    (vector,) = (one for one in _vectors() if one["section"] == "c-3-4-1")

    told = ask(vector["path"], vector["request"]).json()["evaluations"]

    assert [each["decision"] for each in told] == [True, False]


def test_the_agent_in_the_context_and_as_actor(ask, certification):
    """Both shapes of an agent acting for a person are read; without a grant both are refused."""
    for more in (
        {
            "subject": {"type": "identity", "id": "alice"},
            "context": {"agent": "nobody", "parameters": {}},
        },
        {
            "subject": {"type": "user", "id": "alice", "properties": {"act": {"sub": "nobody"}}},
            "context": {"parameters": {}},
        },
    ):
        body = {"action": {"name": "invoke"}, "resource": {"type": "tool", "id": "read"}, **more}

        told = ask("/access/v1/evaluation", body, **{"muster-answer": "full"}).json()

        assert told["context"]["code"] == "identity.unknown_agent"


def test_people_are_told_apart_by_source(ask, certification):
    body = {
        "subject": {"type": "user", "id": Person.objects.first().pid},
        "action": {"name": "read"},
        "resource": {"type": "record", "id": "record-1"},
    }

    told = ask("/access/v1/evaluation", body, **{"muster-answer": "full"}).json()

    # A pseudonymous id is no name in a gateway's own directory.
    assert told["context"]["code"] == "identity.unknown_person"


# The search scenario of the interoperability events: six users, twenty records, three actions

SEARCH_POLICIES = {
    "own": "permit(principal is Muster::Person, action, resource is Muster::Record) "
    "when { resource.owner.contains(principal) };",
    "view-department": 'permit(principal is Muster::Person, action == Muster::Action::"view", '
    "resource is Muster::Record) when { principal has department && resource has department "
    "&& principal.department == resource.department };",
    "view-manager": 'permit(principal is Muster::Person, action == Muster::Action::"view", '
    'resource is Muster::Record) when { principal has role && principal.role == "manager" };',
    "edit-manager": 'permit(principal is Muster::Person, action == Muster::Action::"edit", '
    'resource is Muster::Record) when { principal has role && principal.role == "manager" && '
    "principal has department && resource has department && "
    "principal.department == resource.department };",
}


@pytest.fixture
def search_scenario():
    effects = {"view": "read", "edit": "write", "delete": "destructive"}
    loaded = {"type": "string", "source": "loaded"}
    _plant(
        {
            "systems": {"records": {"tier": "internal"}},
            "types": {
                "user": {"attributes": {"role": loaded}},
                "record": {"attributes": {"department": loaded}},
            },
            "entities": {
                "record": {
                    str(each["id"]): {"department": each["department"]}
                    for each in _load("search/records.json")
                }
            },
            "tools": {
                name: {"system": "records", "effect": effect, "schema": {"type": "object"}}
                for name, effect in effects.items()
            },
            "roles": {"record-user": list(effects)},
            "policies": [{"id": f"{slug}@v1", "text": t} for slug, t in SEARCH_POLICIES.items()],
            "governed": list(effects),
        }
    )
    for user in _load("search/users.json"):
        attributes = {"role": user["role"]}
        _person(user["id"], ["record-user"], department=user["department"], attributes=attributes)
    for record in _load("search/records.json"):
        owner = Person.objects.get(identities__external_id=record["owner"])
        Relationship.objects.create(
            resource_type="record",
            resource_id=record["id"],
            relation="owner",
            subject_type="user",
            subject_id=owner.pid,
        )


@pytest.mark.parametrize(
    ("searched", "count"), [("subject", 60), ("resource", 18), ("action", 120)]
)
def test_search_interop(search_scenario, ask, searched, count):
    cases = _load(f"search/{searched}.json")["evaluation"]

    answers = [ask(f"/access/v1/search/{searched}", case["request"]).json() for case in cases]

    def sorted_results(told):
        return sorted(json.dumps(each, sort_keys=True) for each in told["results"])

    assert len(cases) == count
    assert list(map(sorted_results, answers)) == [
        sorted_results(case["expected"]) for case in cases
    ]
