"""Every change of a fact bumps its slice, in its own transaction, whoever makes it."""

from datetime import timedelta

import pytest
from django.contrib.auth.models import Group
from django.db import connection, transaction

from authz.models import GovernedTool, Policy, Relationship, Role
from governance.kernel import clock
from registry.enums import GroupName
from registry.models import (
    Agent,
    AllowlistEntry,
    Client,
    ExternalIdentity,
    Gateway,
    Person,
    Resource,
    ResourceEntity,
    ResourceType,
    RevokedToken,
    Slice,
    System,
    Tool,
    ToolAccess,
)
from tests.factories.registry import SCHEMA

pytestmark = pytest.mark.django_db


@pytest.fixture
def world() -> dict:
    """One row of everything, made without any service."""
    owner = Person.objects.create_user("o@example.org", name="O", pid="p_owner")
    other = Person.objects.create_user("x@example.org", name="X", pid="p_other")
    system = System.objects.create(slug="crm", name="crm")
    tool = Tool.objects.create(name="crm.read", system=system, effect="read", schema=SCHEMA)
    agent = Agent.objects.create(slug="desk", name="desk", purpose="x", owner=owner)
    gateway = Gateway.objects.create(slug="edge", name="edge")
    role = Role.objects.create(slug="reader")
    kind = ResourceType.objects.create(slug="todo")
    later = clock.now() + timedelta(hours=1)
    agent_client = Client.objects.create(client_id="a", agent=agent)
    return {
        "owner": owner,
        "other": other,
        "system": system,
        "resource": Resource.objects.create(system=system, name="t"),
        "tool": tool,
        "access": ToolAccess.objects.create(tool=tool, system=system, direction="reads"),
        "agent": agent,
        "entry": AllowlistEntry.objects.create(agent=agent, tool=tool),
        "gateway": gateway,
        "agent_client": agent_client,
        "gateway_client": Client.objects.create(client_id="g", gateway=gateway),
        "revoked": RevokedToken.objects.create(client=agent_client, jti="j", expires_at=later),
        "identity": ExternalIdentity.objects.create(person=owner, source="s", external_id="1"),
        "type": kind,
        "entity": ResourceEntity.objects.create(type=kind, entity_id="1"),
        "role": role,
        "group": Group.objects.get(name=GroupName.DPO),
    }


def later(**fields):
    """Save the row with these fields changed."""

    def act(row) -> None:
        for name, value in fields.items():
            setattr(row, name, value)
        row.save()

    return act


DESK, OWNER, OTHER, EDGE, GLOBAL = (
    "agent:desk", "user:p_owner", "user:p_other", "gateway:edge", "global",
)  # fmt: skip

CHANGES = [
    # which row, what is done to it, which slices must differ afterwards
    ("agent", later(state_reason="x"), {DESK}),
    ("agent", later(prompt_digest="x"), {DESK}),
    ("agent", later(slug="desk-2"), {DESK, "agent:desk-2"}),
    ("entry", later(narrowing={"minProperties": 1}), {DESK}),
    ("entry", lambda row: row.delete(), {DESK}),
    ("agent_client", later(version=2), {DESK}),
    ("gateway_client", later(version=2), {EDGE}),
    ("revoked", lambda row: row.delete(), {DESK}),
    ("gateway", later(is_active=False), {EDGE}),
    ("gateway", later(source="okta"), {EDGE}),
    ("owner", later(employment="leaving", last_day="2027-01-01"), {OWNER, DESK}),
    ("owner", later(zone="Europe/Oslo"), {OWNER, DESK}),
    ("owner", later(department="Claims"), {OWNER}),
    ("owner", later(attributes={"region": "eu"}), {OWNER}),
    ("owner", later(name="Other"), {OWNER}),
    ("owner", later(last_login=clock.now()), set()),
    ("owner", later(password="x"), set()),
    ("identity", later(external_id="2"), {OWNER}),
    ("identity", lambda row: row.delete(), {OWNER}),
    ("tool", later(version=2), {GLOBAL}),
    ("access", later(resource="t"), {GLOBAL}),
    ("system", later(tier="public"), {GLOBAL}),
    ("resource", later(tier="public"), {GLOBAL}),
    ("resource", lambda row: row.delete(), {GLOBAL}),
    ("type", later(attributes={"a": {"type": "string"}}), {GLOBAL}),
    ("entity", later(attributes={"a": "b"}), {GLOBAL}),
    ("entity", lambda row: row.delete(), {GLOBAL}),
    ("role", later(slug="reader-2"), {GLOBAL}),
    ("group", later(name="renamed"), set()),
]


def revisions() -> dict[str, int]:
    return dict(Slice.objects.values_list("key", "revision"))


def bumped(before: dict[str, int]) -> set[str]:
    after = revisions()
    return {key for key in after if after[key] != before.get(key)}


@pytest.mark.parametrize(
    ("name", "act", "keys"), CHANGES, ids=[f"{n}-{i}" for i, (n, *_) in enumerate(CHANGES)]
)
def test_a_change_bumps_its_slices(world: dict, name: str, act, keys: set[str]) -> None:
    before = revisions()

    act(type(world[name])._default_manager.get(pk=world[name].pk))

    assert bumped(before) == keys


def test_membership_bumps_the_member(world: dict) -> None:
    role, owner, agent, tool = (world[name] for name in ("role", "owner", "agent", "tool"))
    steps = [
        (lambda: role.people.add(owner), {OWNER}),
        (lambda: role.agents.add(agent), {DESK}),
        (lambda: role.tools.add(tool), {GLOBAL}),
        (lambda: later(slug="r3")(role), {GLOBAL, OWNER, DESK}),
        (lambda: role.agents.remove(agent), {DESK}),
        (role.people.clear, {OWNER}),
        (lambda: owner.groups.add(world["group"]), {OWNER}),
        (lambda: later(name="dpo-2")(world["group"]), {OWNER}),
        (owner.groups.clear, {OWNER}),
    ]
    for act, keys in steps:
        before = revisions()
        act()
        assert bumped(before) == keys


@pytest.mark.parametrize(
    "make",
    [
        lambda: Policy.objects.create(slug="p", text="permit(principal,action,resource);"),
        lambda: GovernedTool.objects.create(tool="t", since=clock.now()),
        lambda: Relationship.objects.create(
            resource_type="a", resource_id="1", relation="o", subject_type="u", subject_id="2"
        ),
    ],
)
def test_what_policies_read_bumps_the_world(make) -> None:
    for act in (make, lambda: None):
        before = revisions()
        row = act()
        assert bumped(before) == ({GLOBAL} if row else set())
        if row:
            before = revisions()
            row.delete()
            assert bumped(before) == {GLOBAL}


def test_a_transferred_agent_follows_its_new_owner(world: dict) -> None:
    later(owner=world["other"])(world["agent"])
    before = revisions()

    later(employment="left", last_day="2026-01-01")(world["other"])
    later(zone="Europe/Oslo")(world["owner"])

    assert bumped(before) == {OTHER, DESK, OWNER}


def test_raw_sql_bumps_too(world: dict) -> None:
    before = revisions()

    with connection.cursor() as cursor:
        cursor.execute("UPDATE registry_agent SET prompt_digest = 'y'")
        cursor.execute("UPDATE registry_system SET tier = 'public'")

    assert bumped(before) == {DESK, GLOBAL}


def test_a_rollback_bumps_nothing_and_wastes_the_number(world: dict) -> None:
    before = revisions()
    with transaction.atomic():
        later(prompt_digest="x")(world["agent"])
        lost = revisions()[DESK]
        transaction.set_rollback(True)

    assert revisions() == before
    later(prompt_digest="z")(Agent.objects.get(slug="desk"))
    assert revisions()[DESK] > lost


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("round_", [1, 2])
def test_no_revision_comes_twice_over_a_flush(round_: int) -> None:
    System.objects.create(slug=f"s{round_}", name="s")

    revision = revisions()[GLOBAL]

    assert revision not in _seen
    _seen.add(revision)


_seen: set[int] = set()
