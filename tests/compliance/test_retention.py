"""What is kept for how long: the longest rule wins, and what is over is seen before it goes."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from django.db import connection
from django.test import Client

from audit.erasure import selectors as kept
from audit.leaf import parse_body
from audit.models import Record
from compliance.enums import Concern
from compliance.models import RetentionPlan
from compliance.retention import periods, services, sweep
from compliance.retention.rules import record_rules
from compliance.subjects import services as subjects
from governance.kernel import clock
from registry.enums import AgentState, GroupName
from registry.models import Agent
from tests.compliance.test_subjects import recorded, worker
from tests.factories.registry import make_agent, make_person

__all__ = ["worker"]
OLD = datetime(2025, 3, 10, 12, tzinfo=UTC)


def aged(record: Record, at: datetime) -> UUID:
    """A copy of an entry and its wrap that was written at another time, as its owner may."""
    copy = clock.uuid7(at)
    columns = [each.column for each in Record._meta.fields if each.column not in ("id", "at")]
    names = ", ".join(f'"{each}"' for each in columns)
    with connection.cursor() as cursor:
        cursor.execute("SET ROLE muster_audit")
        cursor.execute("SELECT audit.make_partition(%s)", [at.date()])
        cursor.execute(
            f"INSERT INTO audit.record (id, at, {names}) SELECT %s, %s, {names}"
            " FROM audit.record WHERE id = %s",
            [copy, at, record.id],
        )
        cursor.execute(
            "INSERT INTO audit.wrap SELECT %s, %s, holder, key FROM audit.wrap WHERE record = %s",
            [copy, at, record.id],
        )
        cursor.execute("SET ROLE muster_web")
    return copy


def wrapped(*records: UUID) -> list[bool]:
    with connection.cursor() as cursor:
        cursor.execute("SELECT record FROM audit.wrap WHERE record = ANY(%s)", [list(records)])
        there = {each for (each,) in cursor.fetchall()}
    return [each in there for each in records]


def swept(worker: Callable[..., Any], now: datetime) -> None:
    for key in worker(sweep.due, now):
        worker(sweep.handle, key, now)


@pytest.mark.django_db
def test_what_is_over_is_shown_for_days_and_then_erased_but_for_what_is_held(
    worker: Any, mark: Any, records_after: Any
) -> None:
    young = recorded("p_ada", agent="retention-desk")
    bound = recorded("p_bob", agent="retention-held")
    old, held = aged(young, OLD), aged(bound, OLD)
    subjects.set_hold(
        agent="", subject="p_bob", ground="e", reason="A claim.", by=make_person(GroupName.DPO)
    )
    marked, now = mark(), clock.now()

    swept(worker, now)
    (plan,) = RetentionPlan.objects.filter(tier="restricted")
    swept(worker, now + timedelta(days=6))
    assert worker(services.carry_out, plan.pk, now + timedelta(days=6)) == 0
    assert wrapped(old, held, young.id) == [True, True, True]
    swept(worker, now + timedelta(days=7, minutes=1))

    plan.refresh_from_db()
    assert (plan.entries, plan.oldest, plan.erased) == (1, OLD, 1)
    assert wrapped(old, held, young.id) == [False, True, True]
    said = [parse_body(bytes(each["body"]))["asked"] for each in records_after(marked)]
    assert [each["did"] for each in said if each.get("plan") == plan.pk] == [
        "payload_erasure_planned",
        "payloads_erased",
    ]
    found = kept.old("restricted", days=183, now=now, held=True)
    assert (found.entries, found.oldest) == (1, OLD)


@pytest.mark.parametrize(
    ("touched", "months"),
    [
        ({}, 12),
        ({Concern.HIGH_RISK: 3}, 12),
        ({Concern.HEALTH: 1}, 72),
        ({Concern.HEALTH: 1, Concern.FINANCIAL: 1}, 84),
    ],
)
def test_the_longest_rule_that_applies_wins(touched: dict[Concern, int], months: int) -> None:
    found = periods.standing(lambda concern: touched.get(concern, 0))

    assert periods.longest(found).months == months


def test_every_tier_has_a_period_and_the_file_says_why() -> None:
    assert set(periods.payloads()) == {"none", "public", "internal", "confidential", "restricted"}
    assert [(each.id, each.months) for each in periods.rules()] == [
        ("own", 12),
        ("ai-act", 6),
        ("hipaa", 72),
        ("financial", 84),
    ]
    assert all(each.source for each in periods.rules())


@pytest.mark.django_db
def test_what_an_agent_did_that_has_ended_is_kept_as_long() -> None:
    make_agent(state=AgentState.DECOMMISSIONED)

    found = {each.rule.id: each.agents for each in record_rules()}

    assert found["own"] == Agent.objects.count()


@pytest.mark.django_db
def test_the_pages_answer_who_may_see_them(client: Client, settings: Any) -> None:
    settings.MUSTER_APPROVER_MFA = False
    subject = make_person()
    recorded(subject.pid)
    addresses = (
        "/retention/",
        "/subjects/",
        "/subjects/holds/",
        f"/subjects/of/?subject={subject.pid}",
    )
    seen = {}
    for name in (GroupName.DPO, GroupName.AUDITOR, GroupName.PLATFORM_ADMIN):
        client.force_login(make_person(name))
        seen[name] = [client.get(each).status_code for each in addresses]

    assert seen == {
        GroupName.DPO: [200] * 4,
        GroupName.AUDITOR: [200] * 4,
        GroupName.PLATFORM_ADMIN: [403] * 4,
    }


@pytest.mark.django_db
def test_a_request_over_rest_from_finding_to_the_second_person(
    client: Client, settings: Any
) -> None:
    settings.MUSTER_APPROVER_MFA = False
    subject, dpo = make_person(name="Ada Rest"), make_person(GroupName.DPO)
    recorded(subject.pid)
    client.force_login(dpo)
    base = "/api/v1/subjects"

    def post(path: str, **body: Any) -> Any:
        return client.post(f"{base}/{path}", body, content_type="application/json")

    (found,) = post("find", who="ada rest").json()
    held = client.get(f"{base}/held", {"subject": found["id"]}).json()
    opened = post("requests", kind="erasure", subject=found["id"], received="2026-11-20")
    pk = opened.json()["id"]
    asked = post(f"requests/{pk}/erase")
    exported = client.post(f"{base}/requests/{pk}/export")

    assert (found, opened.status_code) == ({"id": subject.pid, "title": "Ada Rest"}, 201)
    assert [(each["entries"], each["readable"], each["held"]) for each in held["sealed"]] == [
        (1, 1, 0)
    ]
    assert (asked.status_code, asked.json()["state"]) == (200, "open")
    assert b"Hidden Street" in b"".join(exported.streaming_content)
    assert client.get(f"{base}/requests/{pk}/certificate").status_code == 404
    assert [post(f"requests/{pk}/{word}").status_code for word in ("answer", "extend", "x")] == [
        *(409, 400, 404)
    ]
    assert [
        client.get(f"{base}/held", {"subject": each}).status_code for each in ("p_nobody", "\0", "")
    ] == [404, 400, 400]
