"""What is decided, and what then stands on the record."""

import json

import pytest
from django.db import connection, transaction

from audit.leaf import faults, parse_body
from authz import recorder, slices, snapshot
from authz.decide import decide
from authz.engine.types import SubjectKind
from authz.errors import NotRecorded
from authz.models import Role
from authz.recorder import Recorded, Stale
from registry.enums import AgentState
from tests.factories.authz import (
    caller_of,
    make_client,
    make_desk,
    make_person,
    make_policy,
    name_person,
    observed,
)

pytestmark = pytest.mark.django_db


def _said(record):
    return parse_body(bytes(record["body"]))


def test_decide_allowed(mark, records_after):
    desk, before = make_desk(), mark()

    (answer,) = decide([desk.ask()], desk.caller)

    (record,) = records_after(before, kind="decision")
    assert answer.allowed is True
    assert answer.decision.code == ""
    assert record["id"] == answer.id
    assert (record["agent"], record["actor"], record["gateway"]) == (
        desk.agent.slug,
        desk.agent.slug,
        "",
    )
    assert (record["tool"], record["resource"]) == (desk.tool.name, f"{desk.system.slug}/CL-1")
    assert (record["effect"], record["check"], record["code"]) == ("allow", "", "")
    assert (record["tier"], record["mode"]) == ("internal", "enforce")
    assert faults(record) == []


def test_decide_records_walk_and_slices(mark, records_after):
    desk, before = make_desk(), mark()

    decide([desk.ask()], desk.caller)

    judged = _said(records_after(before)[0])["judged"]
    assert [check for check, _, _ in judged["walk"]] == [
        *("identity", "delegation", "consent", "allowlist", "parameters", "role", "policy"),
        *("flow", "taint", "rate", "spend", "quota", "gate"),
    ]
    assert judged["walk"][0] == ["identity", "passed", ""]
    assert judged["walk"][-1] == ["gate", "passed", ""]
    assert judged["slices"].keys() == {"global", f"agent:{desk.agent.slug}"}
    for key, (revision, digest) in judged["slices"].items():
        held = snapshot.load([key])[key]
        assert (revision, digest) == (held.revision, held.digest)
    assert judged["tool_version"] == desk.tool.version
    assert judged["pattern"] == "service"


def test_decide_keeps_slices_by_digest(mark, records_after):
    desk, before = make_desk(), mark()

    decide([desk.ask()], desk.caller)

    judged = _said(records_after(before)[0])["judged"]
    _, digest = judged["slices"][f"agent:{desk.agent.slug}"]
    with connection.cursor() as cursor:
        cursor.execute("SELECT content FROM audit.slice WHERE digest = %s", [bytes.fromhex(digest)])
        kept = json.loads(bytes(cursor.fetchone()[0]))
    assert kept["slug"] == desk.agent.slug
    assert list(kept["allowlist"]) == [desk.tool.name]
    assert kept["roles"] == [desk.role.slug]


@pytest.mark.parametrize(
    ("changed", "code"),
    [
        ({"tool": "refund.everything"}, "allowlist.not_listed"),
        ({"parameters": {"claim": "CL-1", "amount": "all"}}, "parameters.schema"),
        ({"resource_id": "CL-2"}, "parameters.resource_mismatch"),
        ({"user": "p_00000000000000000000"}, "identity.unknown_user"),
        ({"agent": "someone-else"}, "identity.mismatch"),
        ({"chain": ("orchestrator",)}, "delegation.not_accepted"),
    ],
)
def test_decide_refused(changed, code, mark, records_after):
    desk, before = make_desk(), mark()

    (answer,) = decide([desk.ask(**changed)], desk.caller)

    (record,) = records_after(before, kind="decision")
    assert (answer.allowed, answer.decision.code) == (False, code)
    assert (record["effect"], record["check"], record["code"]) == (
        "deny",
        code.partition(".")[0],
        code,
    )


def test_decide_without_role():
    desk = make_desk()
    desk.role.agents.clear()

    (answer,) = decide([desk.ask()], desk.caller)

    assert answer.decision.code == "role.none"


@pytest.mark.parametrize("state", [state for state in AgentState if state != AgentState.ACTIVE])
def test_decide_inactive_agent(state):
    desk = make_desk()
    decide([desk.ask()], desk.caller)

    type(desk.agent).objects.filter(pk=desk.agent.pk).update(state=state)
    (answer,) = decide([desk.ask()], desk.caller)

    assert answer.decision.code == "identity.not_active"


def test_decide_by_policy():
    desk = make_desk()
    action = f'Muster::Action::"{desk.tool.name}"'
    make_policy(
        f"permit(principal, action == {action}, resource)"
        " when { context.parameters has amount && context.parameters.amount <= 1000 };",
        slug="cap",
    )

    low, high = decide(
        [desk.ask(), desk.ask(parameters={"claim": "CL-1", "amount": 1001})], desk.caller
    )

    assert (low.allowed, low.decision.policies) == (True, ("cap@v1",))
    assert (high.allowed, high.decision.code) == (False, "policy.no_permit")


def test_decide_outdated_token():
    desk = make_desk()
    caller = desk.caller
    desk.client.version += 1
    desk.client.save()

    (answer,) = decide([desk.ask()], caller)

    assert answer.decision.code == "identity.token_outdated"


def test_decide_revoked_token():
    desk = make_desk()
    caller = desk.caller
    decide([desk.ask()], caller)
    desk.client.revoked_tokens.create(jti=caller.token.jti, expires_at="2099-01-01T00:00Z")

    (answer,) = decide([desk.ask()], caller)

    assert answer.decision.code == "identity.token_revoked"


def test_decide_for_gateway(mark, records_after):
    desk, before = make_desk(), mark()

    (answer,) = decide([desk.ask()], desk.gateway_caller)

    (record,) = records_after(before, kind="decision")
    assert answer.allowed is True
    assert (record["agent"], record["gateway"], record["actor"]) == (
        desk.agent.slug,
        desk.gateway.slug,
        desk.gateway.slug,
    )


def test_decide_gateway_names_client_id():
    desk = make_desk()

    (answer,) = decide([desk.ask(agent=desk.client.client_id)], desk.gateway_caller)

    assert (answer.allowed, answer.resolved.request.agent) == (True, desk.agent.slug)


def test_decide_gateway_switched_off():
    desk = make_desk(gateway_fields={"is_active": False})

    (answer,) = decide([desk.ask()], desk.gateway_caller)

    assert answer.decision.code == "identity.gateway_inactive"


def test_decide_unknown_agent_then_registered(mark, records_after):
    desk, before = make_desk(), mark()
    caller = desk.gateway_caller

    (unknown,) = decide([desk.ask(agent="newcomer")], caller)
    type(desk.agent).objects.filter(pk=desk.agent.pk).update(slug="newcomer")
    (known,) = decide([desk.ask(agent="newcomer")], caller)

    first, second = records_after(before, kind="decision")
    assert unknown.decision.code == "identity.unknown_agent"
    assert known.allowed is True
    assert (first["agent"], second["agent"]) == ("", "newcomer")
    assert _said(first)["asked"]["agent"] == "newcomer"


def test_decide_person_alone(mark, records_after):
    desk = make_desk(gateway_fields={"source": "okta"})
    person = make_person()
    name_person(person, "okta", "jane@halvern.example")
    desk.role.people.add(person)
    before = mark()

    (answer,) = decide(
        [
            desk.ask(
                kind=SubjectKind.PERSON,
                agent="",
                person="jane@halvern.example",
                subject_type="user",
            )
        ],
        desk.gateway_caller,
    )

    (record,) = records_after(before, kind="decision")
    assert answer.allowed is True
    assert (record["user"], record["agent"]) == (person.pid, "")
    assert b"jane@halvern.example" not in bytes(record["body"])


def test_decide_person_after_identity_moved():
    desk = make_desk(gateway_fields={"source": "okta"})
    person, other = make_person(), make_person()
    identity = name_person(person, "okta", "jane")
    desk.role.people.add(person)
    ask = desk.ask(kind=SubjectKind.PERSON, agent="", person="jane", subject_type="user")
    caller = desk.gateway_caller
    (before,) = decide([ask], caller)

    identity.person = other
    identity.save()
    (after,) = decide([ask], caller)

    assert before.allowed is True
    assert (after.decision.code, after.resolved.request.person) == ("role.none", other.pid)


def test_decide_keeps_personal_facts_apart(mark, records_after):
    desk = make_desk(agent_fields={"pattern": "impersonation"})
    person = make_person(email="secretly@halvern.example", attributes={"region": "north"})
    before = mark()

    decide([desk.ask(user=person.pid)], desk.gateway_caller)

    (record,) = records_after(before, kind="decision")
    said = _said(record)
    _, digest = said["judged"]["slices"][f"user:{person.pid}"]
    with connection.cursor() as cursor:
        cursor.execute("SELECT content FROM audit.slice WHERE digest = %s", [bytes.fromhex(digest)])
        kept = json.loads(bytes(cursor.fetchone()[0]))
    assert "personal" not in kept
    assert len(kept["personal_digest"]) == 64
    assert said["asked"]["digests"].keys() == {"parameters", "facts"}
    assert (record["code"], record["user"]) == ("consent.none", person.pid)


def test_decide_hides_personal_resource_ids(mark, records_after):
    desk = make_desk(system_fields={"personal_resource_ids": True})
    before = mark()

    decide([desk.ask(parameters={"claim": "DE89370400440532013000"})], desk.caller)

    (record,) = records_after(before, kind="decision")
    assert record["resource"].startswith(f"{desk.system.slug}/hmac-sha256:")
    assert b"DE89370400440532013000" not in bytes(record["body"])


def test_decide_observed(mark, records_after):
    desk = make_desk(agent_fields=observed())
    type(desk.agent).objects.filter(pk=desk.agent.pk).update(state="active")
    desk.agent.clearances.create(
        reach_digest="", tier="internal", basis="security", by=make_person(), at="2026-01-01T00:00Z"
    )
    before = mark()

    (answer,) = decide([desk.ask(parameters={})], desk.caller)

    (record,) = records_after(before, kind="decision")
    assert answer.allowed is True
    assert answer.decision.observe.code == "parameters.schema"
    assert (record["mode"], record["effect"], record["code"]) == (
        "observe",
        "deny",
        "parameters.schema",
    )


def test_decide_stale_facts_are_read_again():
    desk = make_desk()
    caller = desk.caller
    decide([desk.ask()], caller)
    tries = []

    def change_then_record(batch):
        if not tries:
            desk.role.agents.clear()
        tries.append(len(batch))
        return recorder.record(batch)

    (answer,) = decide([desk.ask()], caller, record=change_then_record)

    assert (answer.decision.code, tries) == ("role.none", [1, 1])


def test_decide_busy_after_three_tries(mark, records_after):
    desk = make_desk()
    before = mark()

    def keep_changing(batch):
        desk.role.tools.add(desk.tool) if desk.role.tools.count() == 0 else desk.role.tools.clear()
        return recorder.record(batch)

    (answer,) = decide([desk.ask()], desk.caller, record=keep_changing)

    (record,) = records_after(before, kind="decision")
    assert (answer.allowed, answer.decision.code) == (False, "rate.busy")
    assert (record["effect"], record["check"], record["code"]) == ("deny", "rate", "rate.busy")


def test_decide_only_the_stale_one_is_judged_again():
    desk, other = make_desk(), make_desk()
    caller = desk.gateway_caller
    decide([desk.ask(), other.ask()], caller)
    tries = []

    def change_then_record(batch):
        if not tries:
            other.agent.name = "Other"
            other.agent.save()
        tries.append(len(batch))
        return recorder.record(batch)

    first, second = decide([desk.ask(), other.ask()], caller, record=change_then_record)

    assert (first.allowed, second.allowed, tries) == (True, True, [2, 1])


@pytest.mark.django_db(transaction=True)
def test_decide_warm_needs_no_reading(django_assert_num_queries):
    desk = make_desk()
    caller = desk.caller
    decide([desk.ask()], caller)

    with django_assert_num_queries(4):  # begin, time-out, batch, commit
        decide([desk.ask()] * 5, caller)


def test_decide_refuses_another_transaction():
    desk = make_desk()

    with pytest.raises(RuntimeError), transaction.atomic():
        decide([desk.ask()], desk.caller)


def test_batch_refuses_an_allow_without_facts(mark, records_after):
    desk = make_desk()
    caught = []

    def without_facts(batch):
        caught.extend(batch)
        return recorder.record([recorder.Judged(one.row, {}, one.now) for one in batch])

    before = mark()
    with pytest.raises(NotRecorded):
        decide([desk.ask()], desk.caller, record=without_facts)

    assert len(caught) == 1
    assert records_after(before) == []


@pytest.mark.parametrize("revision", [None, -1])
def test_batch_takes_a_strange_revision_for_stale(revision):
    desk = make_desk()
    seen = []

    def strange(batch):
        changed = [
            recorder.Judged(one.row, {**one.slices, "global": revision}, one.now) for one in batch
        ]
        seen.extend(recorder.record(changed))
        return [Recorded(desk_id, None, "deny", "", "") for desk_id in [None]]

    decide([desk.ask()], desk.caller, record=strange)

    assert seen == [Stale(("global",))]


def test_batch_takes_another_time_for_stale():
    desk = make_desk()
    seen = []

    def late(batch):
        changed = [
            recorder.Judged(one.row, one.slices, one.now.replace(year=2020)) for one in batch
        ]
        seen.extend(recorder.record(changed))
        return recorder.record(batch)

    decide([desk.ask()], desk.caller, record=late)

    assert seen == [Stale(("now",))]


def test_slices_have_a_fixed_number_of_queries(django_assert_num_queries):
    desk, other = make_desk(), make_desk()
    keys = [
        "global",
        *(f"agent:{one.agent.slug}" for one in (desk, other)),
        *(f"user:{one.owner.pid}" for one in (desk, other)),
        f"gateway:{desk.gateway.slug}",
    ]

    with django_assert_num_queries(4):
        found = slices.read(keys)

    assert [one.key for one in found if one.document is None] == []


def test_slices_of_what_is_not_there():
    found = slices.read(["agent:nobody", "user:p_00000000000000000000", "gateway:none"])

    assert [(one.revision, one.document) for one in found] == [(0, None)] * 3


def test_snapshot_drops_the_longest_unused_but_not_the_world(monkeypatch):
    monkeypatch.setattr(snapshot, "MAX_HELD", 3)

    snapshot.load(["global", "agent:a", "agent:b", "agent:c"])

    snapshot.load(["agent:d"])
    assert len(snapshot._cache._held) == 3
    assert {"global", "agent:d"} <= snapshot._cache._held.keys()


def test_decide_role_renamed_is_seen():
    desk = make_desk()
    caller = desk.caller
    decide([desk.ask()], caller)

    Role.objects.filter(pk=desk.role.pk).delete()
    (answer,) = decide([desk.ask()], caller)

    assert answer.decision.code == "role.none"


def test_caller_of_client_names_its_owner():
    desk = make_desk()

    caller = caller_of(make_client(gateway=type(desk.gateway).objects.create(slug="g", name="g")))

    assert (caller.kind, caller.key) == ("gateway", "gateway:g")
