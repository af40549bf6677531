"""What the record keeps is enough to judge again, to the same answer (promise 18)."""

import json
from datetime import datetime

import pytest
from django.db import connection

from audit.leaf import parse_body
from audit.models import Record
from audit.selectors import AuditScope, payload_fields, read_payload
from authz.decide import decide
from authz.engine.types import Request, Slice, Snapshot, SubjectKind, Token
from authz.engine.walk import judge
from authz.models import Role
from registry.models import Agent, ResourceType
from tests.factories.authz import make_desk, make_person, make_policy, name_person

pytestmark = pytest.mark.django_db


class _Auditor:
    pid = "p_aaaaaaaaaaaaaaaaaaaa"

    def audit_scope(self):
        return AuditScope(everything=True)


def _kept(key, revision, digest, facts):
    with connection.cursor() as cursor:
        cursor.execute("SELECT content FROM audit.slice WHERE digest = %s", [bytes.fromhex(digest)])
        document = json.loads(bytes(cursor.fetchone()[0]))
    if "personal_digest" in document:
        document["personal"] = facts[key]["personal"]
    return Slice(key, revision, digest, document)


def _judged_again(record_id):
    """Only from the record, its payload and the kept slices."""
    record = Record.objects.get(id=record_id)
    said = parse_body(bytes(record.body))
    asked, judged = said["asked"], said["judged"]
    payload = {
        field: read_payload(record, field, by=_Auditor()) for field in payload_fields(record)
    }
    facts = payload.get("facts", {})
    claimed = facts.get("claimed", {})
    slices = {
        key: _kept(key, revision, digest, facts)
        for key, (revision, digest) in judged["slices"].items()
        if digest
    }
    alone = asked["as"] == "person"
    request = Request(
        kind=SubjectKind(asked["as"]),
        tool=record.tool,
        agent=record.agent,
        agent_claimed=asked["agent"],
        person=record.user if alone else "",
        person_claimed=claimed.get("person", ""),
        user="" if alone else record.user,
        user_claimed=claimed.get("user", ""),
        gateway=record.gateway,
        token=Token(asked["caller"]["version"], asked["caller"]["jti"]),
        parameters=payload.get("parameters", {}),
        resource_type=asked["resource"]["type"],
        resource_id=asked["resource"]["id"],
        subject_type=asked["subject_type"],
        subject_properties=claimed.get("subject_properties", {}),
        resource_properties=claimed.get("resource_properties", {}),
        session=record.session,
        prompt_digest=asked.get("prompt_digest", ""),
        code_reference=asked.get("code_reference", ""),
        secret_path=judged.get("credential_at", ""),
        chain=tuple(asked.get("chain", ())),
    )
    person = slices.get(f"user:{record.user}")
    snapshot = Snapshot(
        world=slices["global"],
        agent=slices.get(f"agent:{record.agent}"),
        person=person if alone else None,
        user=None if alone else person,
        gateway=slices.get(f"gateway:{record.gateway}"),
    )
    return judged, judge(request, snapshot, datetime.fromisoformat(judged["now"]))


def test_old_decisions_are_judged_again_to_the_same_answer():
    desk = make_desk(gateway_fields={"source": "okta"}, agent_fields={"pattern": "hybrid"})
    ResourceType.objects.create(
        slug="user", attributes={"region": {"type": "string", "source": "loaded"}}
    )
    person = make_person(attributes={"region": "north"})
    name_person(person, "okta", "jane")
    desk.role.people.add(person)
    make_policy(
        f'permit(principal, action == Muster::Action::"{desk.tool.name}", resource) when '
        "{ principal is Muster::Person && principal has region && principal.region == "
        '"north" && context.parameters has amount && context.parameters.amount < 600 };',
        slug="north",
    )
    alone = {"kind": SubjectKind.PERSON, "agent": "", "person": "jane", "subject_type": "user"}
    asks = [
        desk.ask(**alone),
        desk.ask(**alone, parameters={"claim": "CL-1", "amount": 700}),
        desk.ask(**alone, parameters={"claim": "CL-1", "note": "password=Correct7Horse"}),
        desk.ask(**alone, resource_id="CL-9"),
        desk.ask(user="jane"),
        desk.ask(),
        desk.ask(agent="nobody"),
        desk.ask(user="jane", prompt_digest="sha256:other"),
    ]
    answers = decide(asks, desk.gateway_caller)

    # Everything has changed since.
    Role.objects.all().delete()
    Agent.objects.update(state="suspended", pattern="service")
    again = [_judged_again(answer.id) for answer in answers]

    assert [answer.decision.code for answer in answers] == [
        "",
        "policy.no_permit",
        "parameters.secret",
        "parameters.resource_mismatch",
        "consent.none",
        "identity.pattern",
        "identity.unknown_agent",
        "consent.none",
    ]
    for answer, (judged, decision) in zip(answers, again, strict=True):
        assert decision.code == answer.decision.code
        assert decision.effect == answer.decision.effect
        assert list(decision.policies) == judged["policies"]
        assert [[step.check, step.status, step.code] for step in decision.walk] == judged["walk"]
