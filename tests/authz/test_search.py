"""Search over HTTP: who may, on what, and what may they do (AuthZEN 1.0 section 8)."""

import base64
import json
import random
from itertools import product

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from audit import services as audit_services
from audit.errors import AuditUnavailable
from audit.leaf import faults, parse_body
from audit.models import Record
from audit.selectors import AuditScope, read_payload
from authz import snapshot, timekeeper
from authz.asks import Ask
from authz.engine.types import Effect, SubjectKind
from authz.engine.walk import judge
from authz.models import Role
from authz.resolve import resolve
from authz.search import services
from registry.models import AllowlistEntry, Resource, ResourceEntity, ResourceType
from tests import public
from tests.factories.authz import (
    bearer,
    caller_of,
    make_agent,
    make_client,
    make_desk,
    make_gateway,
    make_person,
    make_policy,
    make_system,
    make_tool,
    name_person,
    observed,
)

pytestmark = pytest.mark.django_db

SUBJECT = "/access/v1/search/subject"
RESOURCE = "/access/v1/search/resource"
ACTION = "/access/v1/search/action"
PATHS = [SUBJECT, RESOURCE, ACTION]
OPEN = {"type": "object", "properties": {"n": {"type": "integer"}}}


@pytest.fixture
def post(client):
    """`post(path, body, client_row, **headers)`: the response to a JSON request."""

    def send(path, body, row=None, *, content_type="application/json", **headers):
        if row is not None:
            headers["authorization"] = bearer(row)
        raw = body if isinstance(body, bytes) else json.dumps(body).encode()
        return client.post(path, data=raw, content_type=content_type, headers=headers)

    return send


@pytest.fixture
def found(post):
    """`found(path, body, row)`: the names among the results; all pages are walked."""

    def walk(path, body, row, **page):
        names, token = [], ""
        while True:
            asked = {**body, "page": {**page, "token": token}}
            told = post(path, asked, row).json()
            names += [each.get("id") or each["name"] for each in told["results"]]
            token = told["page"]["next_token"]
            if not token:
                return names

    return walk


def make_open_desk(**fields):
    """A desk whose tool needs no parameter."""
    return make_desk(tool_fields={"schema": OPEN, "resource_parameter": ""}, **fields)


def more_agents(desk, count, prefix="more"):
    """Further agents like the desk's."""
    made = [make_agent(desk.owner, slug=f"{prefix}-{number:04}") for number in range(count)]
    AllowlistEntry.objects.bulk_create(AllowlistEntry(agent=a, tool=desk.tool) for a in made)
    desk.role.agents.add(*made)
    return [agent.slug for agent in made]


def who(desk, kind="agent", **changed):
    """Who may call the desk's tool?"""
    return {
        "subject": {"type": kind},
        "action": {"name": desk.tool.name},
        "resource": {"type": "tool", "id": desk.tool.name},
    } | changed


def _clear(agent):
    """Without a tier that is below restricted, no row is ever told to go on."""
    agent.clearances.create(
        reach_digest="", tier="internal", basis="security", by=make_person(), at="2026-01-01T00:00Z"
    )


def which(desk, kind, **changed):
    """Which resources of a type may the desk reach with its tool?"""
    return {
        "subject": {"type": "agent", "id": desk.agent.slug},
        "action": {"name": desk.tool.name},
        "resource": {"type": kind},
    } | changed


def what(desk, **changed):
    """What may the desk do?"""
    return {
        "subject": {"type": "agent", "id": desk.agent.slug},
        "resource": {"type": desk.system.slug, "id": "CL-1"},
    } | changed


# What is found


def test_agents_that_may_call_a_tool(post):
    desk = make_open_desk()
    allowed = more_agents(desk, 2)
    for number, left_out in enumerate(more_agents(desk, 4, prefix="other")):
        agent = type(desk.agent).objects.get(slug=left_out)
        if number == 0:
            agent.allowlist.all().delete()
        elif number == 1:
            desk.role.agents.remove(agent)
        elif number == 2:
            type(agent).objects.filter(pk=agent.pk).update(state="suspended")
        else:
            leaver = make_person(employment="left", last_day="2026-01-01")
            type(agent).objects.filter(pk=agent.pk).update(owner=leaver)

    answer = post(SUBJECT, who(desk), desk.gateway_client)

    wanted = sorted([desk.agent.slug, *allowed])
    assert (answer.status_code, answer["Content-Type"]) == (200, "application/json")
    assert answer.json() == {"results": [{"type": "agent", "id": slug} for slug in wanted]}


def test_people_go_by_the_gateways_source(post):
    desk = make_open_desk(gateway_fields={"source": "okta"})
    ann, bob, leaver = (
        make_person(),
        make_person(),
        make_person(employment="left", last_day="2026-01-01"),
    )
    for person, name in ((ann, "ann"), (bob, "bob"), (leaver, "zoe")):
        name_person(person, "okta", name)
        name_person(person, "entra", f"entra-{name}")
    desk.role.people.add(ann, leaver)

    told = post(SUBJECT, who(desk, "user"), desk.gateway_client).json()

    assert told == {"results": [{"type": "user", "id": "ann"}]}


@pytest.mark.parametrize("kind", ["person", "user", "identity"])
def test_people_go_by_their_pseudonym_without_a_source(post, kind):
    desk, ann = make_open_desk(), make_person()
    desk.role.people.add(ann)

    told = post(SUBJECT, who(desk, kind), desk.gateway_client).json()

    assert told == {"results": [{"type": kind, "id": ann.pid}]}


def test_searched_subject_is_known_by_its_type_alone(post):
    """An id that is sent is ignored, whatever it is, and so is what is said of it."""
    desk = make_open_desk()
    more_agents(desk, 2)
    plain = post(SUBJECT, who(desk), desk.gateway_client).json()

    for sent in ({"id": desk.agent.slug}, {"id": "nobody"}, {"id": 7}, {"properties": {"act": 1}}):
        told = post(
            SUBJECT, who(desk, subject={"type": "agent", **sent}), desk.gateway_client
        ).json()
        assert told == plain


def test_resources_of_a_type_are_those_that_were_loaded(post):
    desk = make_open_desk()
    kind = ResourceType.objects.create(
        slug="account", attributes={"open": {"type": "bool", "source": "loaded"}}
    )
    for name, is_open in (("a", True), ("b", False), ("c", True)):
        ResourceEntity.objects.create(type=kind, entity_id=name, attributes={"open": is_open})
    make_policy(
        f'permit(principal, action == Muster::Action::"{desk.tool.name}",'
        " resource is Muster::Account) when { resource has open && resource.open };"
    )

    told = post(RESOURCE, which(desk, "account"), desk.client).json()
    ignored = which(desk, "account", resource={"type": "account", "id": "b", "properties": {}})

    assert told == {"results": [{"type": "account", "id": "a"}, {"type": "account", "id": "c"}]}
    assert post(RESOURCE, ignored, desk.client).json() == told


def test_resources_of_a_system_are_those_registered_by_name(post):
    desk = make_open_desk()
    for name, match in (("table", "exact"), ("hr/", "prefix"), ("leads", "exact")):
        Resource.objects.create(system=desk.system, name=name, match=match, tier="internal")

    told = post(RESOURCE, which(desk, desk.system.slug), desk.client).json()

    assert [each["id"] for each in told["results"]] == ["leads", "table"]


def test_a_narrowing_narrows_the_resources(post):
    """The resource stands for the parameter in which the tool takes it."""
    desk = make_desk()
    for name in ("CL-1", "CL-2", "CL-3"):
        Resource.objects.create(system=desk.system, name=name, tier="internal")
    desk.agent.allowlist.update(narrowing={"properties": {"claim": {"enum": ["CL-1", "CL-3"]}}})

    told = post(RESOURCE, which(desk, desk.system.slug), desk.client).json()

    assert [each["id"] for each in told["results"]] == ["CL-1", "CL-3"]
    assert "context" not in told


def test_a_numbered_resource_stands_for_a_number(post):
    schema = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}
    desk = make_desk(tool_fields={"schema": schema, "resource_parameter": "n"})
    for name in ("7", "07", "seven"):
        Resource.objects.create(system=desk.system, name=name, tier="internal")

    told = post(RESOURCE, which(desk, desk.system.slug), desk.client).json()

    assert [each["id"] for each in told["results"]] == ["7"]


def test_what_an_agent_may_do(post):
    desk = make_open_desk()
    names = []
    for effect in ("read", "write", "destructive"):
        tool = make_tool(desk.system, effect=effect, schema=OPEN, resource_parameter="")
        desk.role.tools.add(tool)
        AllowlistEntry.objects.create(agent=desk.agent, tool=tool)
        names.append(tool.name)
    ungranted, unlisted = make_tool(desk.system), make_tool(desk.system)
    AllowlistEntry.objects.create(agent=desk.agent, tool=ungranted)
    desk.role.tools.add(unlisted)
    make_policy('forbid(principal, action in Muster::Action::"effect=destructive", resource);')

    told = post(ACTION, what(desk), desk.client).json()

    assert told == {"results": [{"name": name} for name in sorted([desk.tool.name, *names[:2]])]}


def test_what_a_person_may_do(post):
    desk, ann = make_open_desk(), make_person()
    desk.role.people.add(ann)
    body = what(desk, subject={"type": "user", "id": ann.pid})

    told = post(ACTION, body, desk.gateway_client).json()

    assert told == {"results": [{"name": desk.tool.name}]}


def test_tools_as_a_gateway_calls_them(post):
    """For a gateway a tool is a resource that is called: this is what an agent sees of it."""
    desk = make_open_desk()
    body = which(desk, "tool", action={"name": "tools/call"})

    told = post(RESOURCE, body, desk.gateway_client).json()
    alone = post(RESOURCE, which(desk, "tool"), desk.gateway_client).json()
    named = what(desk, resource={"type": "tool", "id": desk.tool.name})

    assert told == alone == {"results": [{"type": "tool", "id": desk.tool.name}]}
    assert post(ACTION, named, desk.client).json() == {"results": [{"name": desk.tool.name}]}
    other = what(desk, resource={"type": "tool", "id": make_tool(desk.system).name})
    assert post(ACTION, other, desk.client).json() == {"results": []}


def test_users_without_consent_are_not_found(post):
    desk, ann = make_open_desk(agent_fields={"pattern": "impersonation"}), make_person()
    desk.role.people.add(ann)
    body = who(desk, "user", context={"agent": desk.agent.slug})

    assert post(SUBJECT, body, desk.gateway_client).json() == {"results": []}


def test_users_of_an_observing_agent_are_found(post):
    desk = make_open_desk(agent_fields=observed())
    _clear(desk.agent)
    body = who(desk, "user", context={"agent": desk.agent.slug})

    told = post(SUBJECT, body, desk.gateway_client).json()

    # Everyone who has not left: the row is told to go on, whoever it acts for.
    pids = sorted(type(desk.owner).objects.values_list("pid", flat=True))
    assert [each["id"] for each in told["results"]] == pids


def test_an_observing_agent_is_told_to_go_on_here_too(post):
    desk = make_open_desk(agent_fields=observed())
    _clear(desk.agent)
    desk.role.agents.clear()
    desk.agent.allowlist.all().delete()
    other = make_tool(desk.system, schema=OPEN, resource_parameter="")

    who_may = post(SUBJECT, who(desk), desk.gateway_client).json()
    may_what = post(ACTION, what(desk), desk.client).json()

    assert who_may == {"results": [{"type": "agent", "id": desk.agent.slug}]}
    assert may_what == {
        "results": [{"name": name} for name in sorted([desk.tool.name, other.name])]
    }


# What stands nowhere


@pytest.mark.parametrize(
    ("path", "changed"),
    [
        (SUBJECT, {"subject": {"type": "spaceship"}}),
        (SUBJECT, {"action": {"name": "refund.nothing"}}),
        (SUBJECT, {"action": {"name": "?"}}),
        (SUBJECT, {"resource": {"type": "moon", "id": "x"}}),
        (SUBJECT, {"resource": {"type": "account", "id": "gone"}}),
        (SUBJECT, {"subject": {"type": "user"}, "context": {"agent": "nobody"}}),
        (RESOURCE, {"resource": {"type": "moon"}}),
        (RESOURCE, {"resource": {"type": "mcp_server"}}),
        (RESOURCE, {"resource": {"type": "empty"}}),
        (RESOURCE, {"action": {"name": "refund.nothing"}}),
        (RESOURCE, {"action": {"name": "?"}}),
        (RESOURCE, {"subject": {"type": "agent", "id": "nobody"}}),
        (RESOURCE, {"subject": {"type": "user", "id": "nobody"}}),
        (RESOURCE, {"subject": {"type": "spaceship", "id": "one"}}),
        (ACTION, {"subject": {"type": "agent", "id": "nobody"}}),
        (ACTION, {"subject": {"type": "user", "id": "nobody"}}),
        (ACTION, {"subject": {"type": "spaceship", "id": "one"}}),
        (ACTION, {"resource": {"type": "moon", "id": "x"}}),
        (ACTION, {"resource": {"type": "account", "id": "gone"}}),
        (ACTION, {"resource": {"type": "tool", "id": "?"}}),
    ],
)
def test_nothing_is_found_of_what_is_unknown(post, path, changed):
    """Not even for a row that is told to go on whatever it does."""
    desk = make_open_desk(agent_fields=observed())
    _clear(desk.agent)
    kind = ResourceType.objects.create(slug="account", attributes={})
    ResourceType.objects.create(slug="empty", attributes={})
    ResourceEntity.objects.create(type=kind, entity_id="a")
    body = {SUBJECT: who(desk), RESOURCE: which(desk, "account"), ACTION: what(desk)}[path]
    assert post(path, body, desk.gateway_client).json()["results"] != []

    answer = post(path, {**body, **changed}, desk.gateway_client)

    assert (answer.status_code, answer.json()) == (200, {"results": []})


def test_a_type_of_which_nothing_is_loaded_can_have_anything(post):
    desk = make_open_desk()
    ResourceType.objects.create(slug="todo", attributes={})

    body = who(desk, resource={"type": "todo", "id": "whatever"})

    assert len(post(SUBJECT, body, desk.gateway_client).json()["results"]) == 1


# Parameters


def test_parameters_that_are_sent_are_judged(post):
    desk = make_desk()
    desk.agent.allowlist.update(narrowing={"properties": {"amount": {"maximum": 100}}})

    def names(**properties):
        body = who(desk, action={"name": desk.tool.name, "properties": properties})
        return post(SUBJECT, body, desk.gateway_client).json()["results"]

    assert len(names(claim="CL-1", amount=100)) == 1
    assert names(claim="CL-1", amount=101) == []
    assert names(claim="CL-1", amount="x") == []
    assert names(claim="CL-1", other=1) == []
    assert names(amount=101) == []


def test_required_parameters_that_are_not_sent_are_open_and_named(post):
    desk = make_desk(tool_fields={"schema": {**_refund(), "required": ["claim", "amount"]}})
    make_policy(
        f'permit(principal, action == Muster::Action::"{desk.tool.name}", resource)'
        " when { context.parameters.amount <= 50000 };"
    )
    wanted = {"open_parameters": {desk.tool.name: ["amount", "claim"]}}

    told = post(SUBJECT, who(desk), desk.gateway_client).json()
    of_a_claim = post(ACTION, what(desk), desk.client).json()
    bare = post(SUBJECT, who(desk), desk.gateway_client, muster_answer="bare").json()

    assert told == {"context": wanted, "results": [{"type": "agent", "id": desk.agent.slug}]}
    assert of_a_claim["context"] == {"open_parameters": {desk.tool.name: ["amount"]}}
    assert bare == {"results": told["results"]}


def _refund():
    return {
        "type": "object",
        "properties": {"claim": {"type": "string"}, "amount": {"type": "integer"}},
    }


def test_a_credential_in_a_question_finds_nothing_and_is_not_kept(post, mark, records_after):
    desk, before = make_desk(), mark()
    key = "AKIAIOSFODNN7EXAMPLE"
    bodies = {
        SUBJECT: who(desk, action={"name": desk.tool.name, "properties": {"note": key}}),
        RESOURCE: which(desk, desk.system.slug, context={"reasoning": key}),
        ACTION: what(desk, resource={"type": desk.system.slug, "id": key}),
    }

    told = [
        post(path, body, desk.gateway_client).json()["results"] for path, body in bodies.items()
    ]

    records = records_after(before)
    assert told == [[], [], []]
    assert len(records) == 3
    assert key.encode() not in b"".join(bytes(record["body"]) for record in records)


# Who asks


@pytest.mark.parametrize(
    ("path", "body"),
    [
        (SUBJECT, who),
        (RESOURCE, lambda desk: which(desk, "tool")),
        (ACTION, what),
        (ACTION, lambda desk: what(desk, subject={"type": "user", "id": desk.owner.pid})),
        (RESOURCE, lambda desk: which(desk, "tool", subject={"type": "agent", "id": "nobody"})),
    ],
)
def test_an_agent_asks_about_itself_alone(post, mark, records_after, path, body):
    desk, other = make_open_desk(), make_open_desk()
    before = mark()

    answer = post(path, body(desk), other.client)

    (record,) = records_after(before)
    told = answer.json()
    assert (answer.status_code, told["code"]) == (403, "search_not_allowed")
    assert "results" not in told
    assert (record["kind"], record["code"], record["actor"]) == (
        "access",
        "search_not_allowed",
        other.agent.slug,
    )


def test_an_agent_goes_by_its_client_id_too(post):
    desk = make_open_desk()
    body = what(desk, subject={"type": "agent", "id": desk.client.client_id})

    assert len(post(ACTION, body, desk.client).json()["results"]) == 1
    assert len(post(ACTION, body, desk.gateway_client).json()["results"]) == 1


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("authorization", ["", "Bearer nonsense", "Basic YTpi"])
def test_unauthenticated(post, path, authorization):
    answer = post(path, who(make_desk()), authorization=authorization, x_request_id="r")

    assert answer.status_code == 401
    assert answer["WWW-Authenticate"].startswith('Bearer realm="muster"')
    assert answer["X-Request-ID"] == "r"


@pytest.mark.parametrize("path", PATHS)
def test_an_ended_token(client, path):
    desk = make_open_desk()
    old = bearer(desk.gateway_client)
    type(desk.client).objects.filter(pk=desk.gateway_client.pk).update(version=2)

    answer = client.post(
        path,
        data=json.dumps(who(desk) | {"subject": {"type": "agent", "id": desk.agent.slug}}),
        content_type="application/json",
        headers={"authorization": old},
    )

    assert (answer.status_code, answer.json()["code"]) == (401, "token_ended")


def test_a_gateway_that_was_switched_off_finds_nothing(post):
    desk = make_open_desk()
    type(desk.gateway).objects.filter(pk=desk.gateway.pk).update(is_active=False)

    assert post(SUBJECT, who(desk), desk.gateway_client).json() == {"results": []}


# Pages


def test_pages_hold_everything_once_and_in_order(found):
    desk = make_open_desk()
    wanted = sorted([desk.agent.slug, *more_agents(desk, 24)])

    for limit in (1, 7, 25, 26, 200):
        assert found(SUBJECT, who(desk), desk.gateway_client, limit=limit) == wanted


def test_a_page_holds_no_more_than_its_limit(post):
    desk = make_open_desk()
    more_agents(desk, 203)

    for limit, held in ((None, 50), (3, 3), (200, 200), (10**6, 200)):
        page = {} if limit is None else {"limit": limit}
        told = post(SUBJECT, who(desk, page=page), desk.gateway_client).json()
        assert list(told) == ["page", "results"]
        assert (len(told["results"]), told["page"]["count"]) == (held, held)
        assert told["page"]["next_token"]


def test_a_page_is_told_of_where_there_is_more_even_unasked(post):
    desk = make_open_desk()
    more_agents(desk, 60)

    told = post(SUBJECT, who(desk), desk.gateway_client).json()

    assert (len(told["results"]), bool(told["page"]["next_token"])) == (50, True)


def test_the_last_page_says_so(post):
    desk = make_open_desk()
    more_agents(desk, 1)
    first = post(SUBJECT, who(desk, page={"limit": 1}), desk.gateway_client).json()

    last = post(
        SUBJECT, who(desk, page={"token": first["page"]["next_token"]}), desk.gateway_client
    ).json()

    assert last["page"] == {"next_token": "", "count": 1}
    assert last["results"] != first["results"]


def test_a_page_of_nothing_leads_on_to_the_same_place(post):
    desk = make_open_desk()

    told = post(SUBJECT, who(desk, page={"limit": 0}), desk.gateway_client).json()
    again = {"token": told["page"]["next_token"], "limit": 0}

    assert told["results"] == []
    assert post(SUBJECT, who(desk, page=again), desk.gateway_client).json()["results"] == []


def test_one_call_judges_so_many_and_no_more(post, found, monkeypatch):
    """A page can be empty and still not be the last."""
    monkeypatch.setattr(services, "MAX_JUDGED", 5)
    desk = make_open_desk()
    make_policy(
        "forbid(principal, action, resource) when { principal is Muster::Agent && "
        'principal.tier < 3 && principal.kind == "agent" && principal.pattern == "hybrid" };'
    )
    hybrids = more_agents(desk, 12, prefix="a")
    type(desk.agent).objects.filter(slug__in=hybrids).update(pattern="impersonation")

    first = post(SUBJECT, who(desk), desk.gateway_client).json()

    assert (first["results"], bool(first["page"]["next_token"])) == ([], True)
    assert found(SUBJECT, who(desk), desk.gateway_client) == [desk.agent.slug]


def test_pages_stay_in_place_under_changes(post):
    desk = make_open_desk()
    slugs = more_agents(desk, 6, prefix="b")
    body = who(desk, page={"limit": 2})
    first = post(SUBJECT, body, desk.gateway_client).json()
    names = [each["id"] for each in first["results"]]

    # One that was told goes, one comes before the place, one after it, one further on goes.
    type(desk.agent).objects.filter(slug__in=[slugs[0], slugs[3]]).update(state="suspended")
    more_agents(desk, 1, prefix="a")
    late = more_agents(desk, 1, prefix="c")
    token = first["page"]["next_token"]
    while token:
        told = post(SUBJECT, who(desk, page={"token": token}), desk.gateway_client).json()
        names += [each["id"] for each in told["results"]]
        token = told["page"]["next_token"]

    assert names == [*slugs[:3], *slugs[4:], *late, desk.agent.slug]


@pytest.mark.parametrize("path", [RESOURCE, ACTION])
def test_resources_and_actions_are_paged_alike(found, path):
    desk = make_open_desk()
    names = []
    for number in range(9):
        Resource.objects.create(system=desk.system, name=f"r{number}", tier="internal")
        tool = make_tool(desk.system, schema=OPEN, resource_parameter="")
        desk.role.tools.add(tool)
        AllowlistEntry.objects.create(agent=desk.agent, tool=tool)
        names.append(tool.name)
    body = {RESOURCE: which(desk, desk.system.slug), ACTION: what(desk)}[path]
    wanted = [f"r{n}" for n in range(9)] if path == RESOURCE else sorted([desk.tool.name, *names])

    assert found(path, body, desk.client, limit=2) == wanted


def test_people_are_paged_by_the_names_they_go_by(found):
    desk = make_open_desk(gateway_fields={"source": "okta"})
    names = ["Zoë", "ann", "bob", "Ann", "a b", "éa", "10", "9"]
    for name in names:
        person = make_person()
        desk.role.people.add(person)
        name_person(person, "okta", name)

    assert sorted(found(SUBJECT, who(desk, "user"), desk.gateway_client, limit=3)) == sorted(names)


@pytest.fixture
def token(post):
    """`token(desk)`: what the first page of a search leads on by."""

    def first(desk, **page):
        more_agents(desk, 3)
        told = post(SUBJECT, who(desk, page={"limit": 1, **page}), desk.gateway_client).json()
        return told["page"]["next_token"]

    return first


@pytest.mark.parametrize(
    "changed",
    [
        {"subject": {"type": "user"}},
        {"action": {"name": "refund.other"}},
        {"action": {"properties": {"n": 1}}},
        {"resource": {"type": "tool", "id": "other"}},
        {"context": {"session": "x"}},
        {"context": {}},
        {"page": {"limit": 2}},
    ],
)
def test_a_token_is_of_its_question(post, token, changed):
    desk = make_open_desk()
    page = {"token": token(desk), **changed.pop("page", {})}
    if "action" in changed:
        changed = {"action": {"name": desk.tool.name, **changed["action"]}}

    answer = post(SUBJECT, who(desk, page=page, **changed), desk.gateway_client)

    assert (answer.status_code, answer.json()["code"]) == (400, "bad_page_token")


def test_a_token_outlives_its_callers_token_and_an_ignored_id(post, token):
    desk = make_open_desk()
    page = {"token": token(desk), "limit": 1}
    body = who(desk, subject={"type": "agent", "id": "ignored"}, page=page, unknown=1)

    assert post(SUBJECT, body, desk.gateway_client).status_code == 200


def test_a_token_is_of_its_caller(post, token):
    desk = make_open_desk()
    body = who(desk, page={"token": token(desk)})

    answer = post(SUBJECT, body, make_client(gateway=make_gateway()))

    assert (answer.status_code, answer.json()["code"]) == (400, "bad_page_token")


def test_a_token_is_of_its_endpoint(post, token):
    """One body that two endpoints read."""
    desk = make_open_desk()
    body = which(desk, "tool", resource={"type": "tool", "id": desk.tool.name})
    more_agents(desk, 3)
    told = post(SUBJECT, {**body, "page": {"limit": 1}}, desk.gateway_client).json()
    page = {"token": told["page"]["next_token"]}

    answer = post(ACTION, {**body, "page": page}, desk.gateway_client)

    assert (answer.status_code, answer.json()["code"]) == (400, "bad_page_token")


def test_a_token_shows_nothing_and_cannot_be_made(post, token):
    desk = make_open_desk()
    made = token(desk)

    for forged in ("x", "é", made[:-1], made[:40] + "A" + made[41:], "A" * 4096):
        answer = post(SUBJECT, who(desk, page={"token": forged}), desk.gateway_client)
        assert (answer.status_code, answer.json()["code"]) == (400, "bad_page_token"), forged
    assert "more" not in made


# The record


def test_a_search_is_one_record_and_no_decision(post, mark, records_after):
    desk, ann = make_open_desk(gateway_fields={"source": "okta"}), make_person()
    desk.role.people.add(ann)
    name_person(ann, "okta", "ann@example.org")
    more_agents(desk, 5)
    before = mark()

    post(SUBJECT, who(desk, page={"limit": 2}), desk.gateway_client)
    body = what(
        desk,
        subject={"type": "user", "id": "ann@example.org", "properties": {"x": "private words"}},
    )
    post(ACTION, body, desk.gateway_client)

    subjects, actions = records_after(before)
    first, second = (parse_body(bytes(record["body"])) for record in (subjects, actions))
    assert [fault for record in (subjects, actions) for fault in faults(record)] == []
    assert (subjects["kind"], subjects["code"], subjects["actor"], subjects["gateway"]) == (
        "access",
        "search.answered",
        desk.gateway.slug,
        desk.gateway.slug,
    )
    assert (subjects["tool"], subjects["agent"], subjects["user"]) == (desk.tool.name, "", "")
    assert first["asked"]["did"] == "searched_subjects"
    assert {name: first["judged"][name] for name in ("judged", "found", "more", "limit")} == {
        "judged": 2,
        "found": 2,
        "more": True,
        "limit": 2,
    }
    assert (actions["user"], actions["resource"]) == (ann.pid, f"{desk.system.slug}/CL-1")
    assert second["judged"]["found"] == 1
    assert b"ann@example.org" not in bytes(actions["body"])
    assert b"private words" not in bytes(actions["body"])
    auditor = _Reader(make_person(groups=["auditor"]).pid)
    kept = read_payload(Record.objects.get(id=actions["id"]), "claimed", by=auditor)
    assert kept == {"person": "ann@example.org", "subject_properties": {"x": "private words"}}


class _Reader:
    def __init__(self, pid):
        self.pid = pid

    def audit_scope(self):
        return AuditScope(everything=True)


@pytest.mark.parametrize("system_fields", [{"personal_resource_ids": True}, {}])
def test_personal_resource_ids_are_hidden(post, mark, records_after, system_fields):
    desk = make_desk(system_fields=system_fields)
    body = who(desk, resource={"type": desk.system.slug, "id": "ann@example.org"})
    before = mark()

    post(SUBJECT, body, desk.gateway_client)
    post(ACTION, what(desk, resource=body["resource"]), desk.gateway_client)

    shown = [
        record["resource"].removeprefix(f"{desk.system.slug}/") for record in records_after(before)
    ]
    if system_fields:
        assert [each.startswith("hmac-sha256:") for each in shown] == [True, True]
    else:
        assert shown == ["ann@example.org"] * 2


def test_names_too_long_for_a_column_are_recorded_by_their_digest(post, mark, records_after):
    desk, before = make_desk(), mark()
    body = who(desk, resource={"type": "t" * 800, "id": "i" * 800})

    answer = post(SUBJECT, body, desk.gateway_client)

    (record,) = records_after(before)
    assert answer.json() == {"results": []}
    assert record["resource"].startswith("t" * 800 + "/hmac-sha256:")


def test_what_may_not_be_written_down_is_left_out_of_the_record(post, mark, records_after):
    """Two names that are a credential only together."""
    desk, before = make_desk(), mark()
    body = who(desk, resource={"type": "https:", "id": "/ann:hunter2xyz@example.org"})

    answer = post(SUBJECT, body, desk.gateway_client)

    (record,) = records_after(before)
    assert (answer.status_code, record["resource"], record["tool"]) == (200, "", "")
    assert record["gateway"] == desk.gateway.slug


def test_what_cannot_be_recorded_is_not_told(post, monkeypatch):
    desk = make_open_desk()

    def fail(_):
        raise AuditUnavailable()

    monkeypatch.setattr(audit_services, "append_rows", fail)

    answer = post(SUBJECT, who(desk), desk.gateway_client)

    assert (answer.status_code, answer["Content-Type"]) == (503, "application/problem+json")
    assert "results" not in answer.json()


# How new, and at what cost


def test_a_search_sees_what_changed_in_another_process(post):
    """What this process keeps is compared with the database before it is used."""
    desk = make_open_desk()
    more_agents(desk, 2)
    assert len(post(SUBJECT, who(desk), desk.gateway_client).json()["results"]) == 3

    desk.role.agents.remove(desk.agent)
    make_policy('forbid(principal == Muster::Agent::"more-0001", action, resource);')

    told = post(SUBJECT, who(desk), desk.gateway_client).json()
    own = post(ACTION, what(desk), desk.client).json()
    assert [each["id"] for each in told["results"]] == ["more-0000"]
    assert own == {"results": []}


@pytest.mark.parametrize("kind", ["agent", "user"])
def test_queries_do_not_grow_with_candidates(post, kind):
    desk = make_open_desk(gateway_fields={"source": "okta"})

    def ask_with(count, prefix):
        more_agents(desk, count, prefix=prefix)
        for number in range(count):
            person = make_person()
            desk.role.people.add(person)
            name_person(person, "okta", f"{prefix}{number}")
        post(SUBJECT, who(desk, kind), desk.gateway_client)  # slices are read and kept once
        with CaptureQueriesContext(connection) as queries:
            told = post(SUBJECT, who(desk, kind), desk.gateway_client).json()
        return len(queries), len(told["results"])

    few, some = ask_with(1, "x"), ask_with(40, "y")
    assert some[1] == few[1] + 40
    assert some[0] == few[0]


# Generated worlds: a search finds what `judge` allows, and nothing else


def _world(choose):
    """Some of everything; every parameter is optional, so that each question is a whole call."""
    systems, kind = [make_system(tier=choose(_TIERS)) for _ in "12"], _kind(choose)
    for system, name in product(systems, "ab"):
        Resource.objects.create(system=system, name=name, tier=choose(_TIERS))
    tools = [_tool(choose, systems, kind) for _ in "1234"]
    people = [make_person() for _ in "123"]
    for person in people:
        name_person(person, "okta", f"name{person.pk}")
    agents = [_agent(choose, choose(people), tools) for _ in "1234"]
    roles = [Role.objects.create(slug=f"role{people[0].pk}-{number}") for number in range(3)]
    for role in roles:
        for held, every in ((role.tools, tools), (role.agents, agents), (role.people, people)):
            held.set([one for one in every if choose([True, False])])
    for _ in range(choose([0, 1, 2, 3])):
        make_policy(_policy(choose, tools, roles, kind), log_only=choose([False, False, True]))
    kinds = [(kind.slug, ["a", "b", "c"])] + [(system.slug, ["a", "b"]) for system in systems]
    return agents, people, tools, kinds


def _kind(choose):
    source = choose(["loaded", "caller"])
    kind = ResourceType.objects.create(
        slug=f"thing{make_person().pk}", attributes={"n": {"type": "long", "source": source}}
    )
    for name in "abc":
        attributes = {"n": choose([0, 1])} if source == "loaded" else {}
        ResourceEntity.objects.create(type=kind, entity_id=name, attributes=attributes)
    return kind


def _tool(choose, systems, kind):
    parameter = {"type": "string", **choose([{}, {"x-muster-resource-type": kind.slug}])}
    return make_tool(
        choose(systems),
        effect=choose(["read", "write"]),
        schema={
            "type": "object",
            "properties": {"s": parameter},
            "additionalProperties": False,
        },
        resource_parameter=choose(["", "s"]),
        amount_parameter="",
    )


def _agent(choose, owner, tools):
    agent = make_agent(
        owner,
        state=choose(["active", "active", "active", "suspended"]),
        pattern=choose(["service", "service", "hybrid", "impersonation"]),
        **choose([dict, dict, dict, observed, lambda: observed("2020-01-01T00:00Z")])(),
    )
    _clear(agent)
    for tool in tools:
        if choose([True, True, False]):
            narrowing = choose([{}, {}, {"properties": {"s": {"enum": ["a", "c"]}}}])
            AllowlistEntry.objects.create(agent=agent, tool=tool, narrowing=narrowing)
    return agent


_TIERS = ["public", "internal", "confidential"]


def _policy(choose, tools, roles, kind):
    entity = f"Muster::{kind.slug.capitalize()}"
    principal = choose(
        ["principal", "principal is Muster::Agent", f'principal in Muster::Role::"{roles[0].slug}"']
    )
    action = choose(
        [
            "action",
            f'action == Muster::Action::"{choose(tools).name}"',
            'action in Muster::Action::"effect=write"',
        ]
    )
    condition = choose(
        [
            "",
            "when { context.tier >= 1 }",
            f"when {{ resource is {entity} && resource has n && resource.n > 0 }}",
            'when { context.parameters has s && context.parameters.s == "a" }',
        ]
    )
    return f"{choose(['permit', 'permit', 'forbid'])}({principal}, {action}, resource) {condition};"


def _allowed(caller, subject, tool, kind, name):
    """As the decision has it: the call with the resource where the tool takes it."""
    is_agent = not isinstance(subject, str)
    parameters = {"s": name} if tool.resource_parameter else {}
    acts = {"agent": subject.slug} if is_agent else {"person": subject, "subject_type": "user"}
    resolved = resolve(
        Ask(
            kind=SubjectKind.AGENT if is_agent else SubjectKind.PERSON,
            tool=tool.name,
            parameters=parameters,
            resource_type=kind,
            resource_id=name,
            **acts,
        ),
        caller,
    )
    return judge(resolved.request, resolved.snapshot, timekeeper.now()).effect is Effect.ALLOW


# Each run draws other worlds: two every time, and six where everything is run.
@pytest.mark.parametrize(
    "number", [0, 1, *(pytest.param(number, marks=pytest.mark.fuzz) for number in range(2, 6))]
)
def test_searches_agree_with_judge_in_generated_worlds(found, number):
    seed = random.SystemRandom().randrange(2**32)
    choose = random.Random(seed).choice
    agents, people, tools, kinds = _world(choose)
    row = make_client(gateway=make_gateway(source="okta"))
    caller, names = caller_of(row), [f"name{person.pk}" for person in people]
    snapshot.forget()
    allowed = {
        (subject if isinstance(subject, str) else subject.slug, tool.name, kind, name)
        for subject in [*agents, *names]
        for tool in tools
        for kind, things in kinds
        for name in things
        if _allowed(caller, subject, tool, kind, name)
    }
    snapshot.forget()

    by_subject, by_resource, by_action = set(), set(), set()
    subjects = [("agent", agent.slug) for agent in agents] + [("user", name) for name in names]
    for tool, (kind, things) in product([tool.name for tool in tools], kinds):
        action = {"name": tool}
        for type_, subject in subjects:
            body = {"subject": {"type": type_, "id": subject}, "action": action}
            hits = found(RESOURCE, {**body, "resource": {"type": kind}}, row, limit=2)
            by_resource |= {(subject, tool, kind, name) for name in hits}
        for type_, name in product(["agent", "user"], things):
            body = {"subject": {"type": type_}, "resource": {"type": kind, "id": name}}
            hits = found(SUBJECT, {**body, "action": action}, row, limit=2)
            by_subject |= {(subject, tool, kind, name) for subject in hits}
    for (type_, subject), (kind, things) in product(subjects, kinds):
        for name in things:
            body = {
                "subject": {"type": type_, "id": subject},
                "resource": {"type": kind, "id": name},
            }
            hits = found(ACTION, body, row, limit=2)
            by_action |= {(subject, tool, kind, name) for tool in hits}

    assert by_subject == allowed, seed
    assert by_resource == allowed, seed
    assert by_action == allowed, seed


# Hostile input

SUITE = [
    json.loads(line)
    for line in public.path("corpora/jsontestsuite_parsing.jsonl").read_text().splitlines()
]


@pytest.mark.parametrize("path", PATHS)
def test_json_suite_raw(post, mark, path):
    desk, before = make_desk(), mark()
    row = desk.gateway_client

    statuses = {
        case["name"]: post(path, base64.b64decode(case["b64"]), row).status_code for case in SUITE
    }

    assert {name: status for name, status in statuses.items() if status != 400} == {}
    assert mark() == before


@pytest.mark.parametrize("path", PATHS)
def test_naughty_strings_are_names_of_nothing(post, mark, records_after, path):
    desk, before = make_open_desk(), mark()
    texts = [text for text in public.naughty_strings() if text][::9]
    answers = []
    for text in texts:
        named = {"type": text, "id": text}
        body = {"subject": named, "action": {"name": text}, "resource": named}
        answers.append(
            post(path, {**body, "context": {"session": text[:200]}}, desk.gateway_client)
        )
        body = who(desk, subject={"type": "agent", "id": desk.agent.slug}, page={"token": text})
        assert post(path, body, desk.gateway_client).status_code == 400

    answered = [answer for answer in answers if answer.status_code == 200]
    assert {answer.status_code for answer in answers} <= {200, 400}
    assert len(answered) > len(texts) * 0.8
    assert [answer.json()["results"] for answer in answered] == [[]] * len(answered)
    records = records_after(before)
    assert len(records) == len(answered)
    assert [fault for record in records for fault in faults(record)] == []


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize(
    "page",
    [
        None,
        [],
        "x",
        {"limit": -1},
        {"limit": 1.5},
        {"limit": 1.0},
        {"limit": True},
        {"limit": "5"},
        {"limit": []},
        {"token": 5},
        {"token": None},
        {"token": "x" * 4097},
    ],
)
def test_pages_that_are_none(post, mark, path, page):
    desk, before = make_desk(), mark()
    body = who(desk, subject={"type": "agent", "id": desk.agent.slug}, page=page)

    answer = post(path, body, desk.gateway_client)

    assert (answer.status_code, answer.json()["code"]) == (400, "bad_request")
    assert mark() == before


NEEDED = {
    SUBJECT: ["subject", "subject.type", "action", "action.name", "resource", "resource.id"],
    RESOURCE: ["subject", "subject.id", "action", "action.name", "resource", "resource.type"],
    ACTION: ["subject", "subject.type", "subject.id", "resource", "resource.type", "resource.id"],
}


@pytest.mark.parametrize(
    ("path", "missing"), [(path, each) for path, every in NEEDED.items() for each in every]
)
@pytest.mark.parametrize("value", [..., None, "", [], 7, True, "x" * 801])
def test_what_is_needed_is_there(post, mark, path, missing, value):
    desk, before = make_desk(), mark()
    body = who(desk, subject={"type": "agent", "id": desk.agent.slug})
    whole, _, part = missing.partition(".")
    holder, name = (body[whole], part) if part else (body, whole)
    if value is ...:
        del holder[name]
    else:
        holder[name] = value

    answer = post(path, body, desk.gateway_client)

    assert (answer.status_code, answer.json()["code"]) == (400, "bad_request")
    assert answer.json()["detail"].startswith(missing)
    assert mark() == before


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("method", ["get", "put", "patch", "delete", "options"])
def test_other_methods(client, path, method):
    answer = getattr(client, method)(path)

    assert (answer.status_code, answer["Allow"]) == (405, "POST")


@pytest.mark.parametrize(
    "path", ["/access/v1/search", "/access/v1/search/", f"{SUBJECT}/", f"{SUBJECT}s"]
)
def test_other_addresses(post, path):
    assert post(path, {}, make_desk().client).status_code == 404


@pytest.mark.parametrize(
    ("raw", "content_type", "code"),
    [
        (b"{}", "text/plain", "content_type"),
        (b"", "application/json", "empty_body"),
        (b'{"a":1,"a":2}', "application/json", "bad_json"),
        (b'{"a":"' + b"x" * (256 * 1024) + b'"}', "application/json", "too_large"),
        (b"[]", "application/json", "bad_request"),
        (b'{"context":[]}', "application/json", "bad_request"),
    ],
)
@pytest.mark.parametrize("path", PATHS)
def test_bodies_that_are_none(post, path, raw, content_type, code):
    answer = post(path, raw, make_desk().client, content_type=content_type, x_request_id="r-1")

    assert (answer.status_code, answer.json()["code"]) == (400, code)
    assert answer["X-Request-ID"] == "r-1"
