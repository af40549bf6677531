"""The self-audit: each of the sixteen points broken and mended, and only its tick moves."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection, models
from django.test import Client
from django.test.utils import CaptureQueriesContext

from authz.models import Grant, Role, ToxicCombination
from authz.services import grants
from authz.services.delegations import HandOver, delegate
from compliance.enums import Tick
from compliance.selfaudit import Standing, stand
from compliance.selfaudit.recent import forget
from governance.kernel import clock
from lifecycle.models import Case, FromTemplate, Rotation, Source, Template, ToolUse, ToxicFinding
from registry.enums import Employment, GroupName
from registry.models import (
    Agent,
    AllowlistEntry,
    CredentialReference,
    Person,
    Reliance,
    System,
    Tool,
    UnregisteredCaller,
)
from tests.compliance.world import decided
from tests.factories.authz import Desk, declare, make_client, make_desk, make_person, observed

pytestmark = pytest.mark.django_db
DAY = timedelta(days=1)


@dataclass(frozen=True)
class Good:
    """A company in which every point is met."""

    pays: Desk
    reads: Desk


@pytest.fixture(autouse=True)
def without_second_factor(settings: Any) -> None:
    settings.MUSTER_APPROVER_MFA = False


@pytest.fixture
def good(seal_now: Callable[[], Any]) -> Good:
    now = clock.now()
    for _ in range(2):
        make_person(groups=[GroupName.SECURITY], chat_handle="@s")
    row = {
        "renewal_due": now.date() + 100 * DAY,
        "activated_at": now - 100 * DAY,
        "state_changed_at": now - 100 * DAY,
    }
    pays = make_desk(
        tool_fields={
            "effect": "financial",
            "name": "ledger.pay",
            "gates": {"amount": {"above": 400, "currency": "EUR"}},
        },
        agent_fields={"slug": "payer", **row},
    )
    reads = make_desk(
        tool_fields={"effect": "read", "name": "wiki.read"}, agent_fields={"slug": "reader", **row}
    )
    AllowlistEntry.objects.filter(agent=pays.agent).update(write_quota_per_hour=10)
    Agent.objects.filter(slug="payer").update(created_at=now - 101 * DAY)
    Agent.objects.filter(slug="reader").update(created_at=now - 110 * DAY)
    Person.objects.filter(pk__in=[pays.owner.pk, reads.owner.pk]).update(chat_handle="@o")
    Source.objects.create(slug="hr", kind="scim", title="HR", created_at=now, last_seen_at=now)
    FromTemplate.objects.create(
        agent=pays.agent, template=Template.objects.filter(state="active")[0], at=now, by=pays.owner
    )
    for desk in (pays, reads):
        decided(desk, "allow")
        ToolUse.objects.create(agent=desk.agent.slug, tool=desk.tool.name, last_hour=now)
    seal_now()
    return Good(pays, reads)


@contextmanager
def acting_as(role: str) -> Iterator[Any]:
    with connection.cursor() as cursor:
        cursor.execute("SET ROLE NONE")
        cursor.execute(f"SET ROLE {role}")
        yield cursor
        cursor.execute("SET ROLE NONE")
        cursor.execute("SET ROLE muster_web")


def put(rows: models.QuerySet[Any], **fields: Any) -> Callable[[], object]:
    """Change rows, and give what puts them back."""
    (row,) = rows
    before = {name: getattr(row, name) for name in fields}
    rows.update(**fields)
    return lambda: type(row).objects.filter(pk=row.pk).update(**before)


def made(row: models.Model) -> Callable[[], object]:
    return row.delete


def agent(slug: str = "reader") -> models.QuerySet[Agent]:
    return Agent.objects.filter(slug=slug)


def an_owner_without_a_handle(good: Good) -> Callable[[], object]:
    return put(Person.objects.filter(pk=good.reads.owner.pk), chat_handle="")


def a_caller_that_nobody_knows(good: Good) -> Callable[[], object]:
    now = clock.now()
    return made(
        UnregisteredCaller.objects.create(
            claimed="stranger", source="10.0.0.9", first_seen=now - DAY, last_seen=now
        )
    )


def an_owner_who_has_left(good: Good) -> Callable[[], object]:
    return put(
        Person.objects.filter(pk=good.reads.owner.pk),
        employment=Employment.LEFT,
        last_day=clock.now().date() - DAY,
    )


def a_key_of_a_row_that_never_was(good: Good) -> Callable[[], object]:
    draft = Agent.objects.create(slug="draft", name="d", purpose="d", owner=good.reads.owner)
    return made(make_client(agent=draft, secret_digest="0" * 64))


def a_persons_account(good: Good) -> Callable[[], object]:
    return made(
        CredentialReference.objects.create(
            agent=good.reads.agent, reference="vault://hers", holder="personal",
            rotated_on=clock.now().date(),
        )
    )  # fmt: skip


def a_key_that_is_too_old(good: Good) -> Callable[[], object]:
    return made(
        CredentialReference.objects.create(
            agent=good.reads.agent, reference="vault://old",
            rotated_on=clock.now().date() - 200 * DAY,
        )
    )  # fmt: skip


def a_tool_without_use(good: Good) -> Callable[[], object]:
    return made(AllowlistEntry.objects.create(agent=good.pays.agent, tool=good.reads.tool))


def a_row_that_is_observed(good: Good) -> Callable[[], object]:
    return put(agent(), **observed())


def a_record_that_was_rewritten(good: Good) -> Callable[[], object]:
    def alarm(cause: str) -> None:
        with acting_as("muster_sealer") as cursor:
            cursor.execute("SELECT audit.raise_alarm(%s, '{}')", [cause])

    alarm("forked")
    return lambda: alarm("")


def a_record_that_may_be_emptied(good: Good) -> Callable[[], object]:
    def grants(words: str) -> None:
        with acting_as("muster_audit") as cursor:
            cursor.execute(words)

    grants("GRANT TRUNCATE ON audit.record TO muster_beat")
    return lambda: grants("REVOKE TRUNCATE ON audit.record FROM muster_beat")


def a_system_without_a_tier(good: Good) -> Callable[[], object]:
    return put(System.objects.filter(pk=good.reads.system.pk), tier="")


def writes_without_a_quota(good: Good) -> Callable[[], object]:
    return put(AllowlistEntry.objects.filter(agent=good.pays.agent), write_quota_per_hour=None)


def money_without_a_gate(good: Good) -> Callable[[], object]:
    return put(Tool.objects.filter(pk=good.pays.tool.pk), gates={})


def security_that_is_one_person(good: Good) -> Callable[[], object]:
    last = Person.objects.filter(groups__name=GroupName.SECURITY).order_by("pk")[0]
    return put(Person.objects.filter(pk=last.pk), is_active=False)


def a_schema_that_takes_anything(good: Good) -> Callable[[], object]:
    return put(Tool.objects.filter(pk=good.reads.tool.pk), schema={"type": "object"})


def a_grant(good: Good, pattern: str, **person: Any) -> tuple[Grant, Role]:
    """Somebody's word to the reader, of whom its role is everything."""
    someone = make_person(**person)
    good.reads.role.people.add(someone)
    more = Role.objects.create(slug="more", description="More than the reader")
    more.tools.add(good.pays.tool)
    more.people.add(someone)
    agent().update(pattern="hybrid")
    tools: dict[str, Any] = {good.reads.tool.name: {}}
    given = grants.give_grant(agent_id=good.reads.agent.pk, tools=tools, by=someone)
    agent().update(pattern=pattern)
    return given, more


def mended(given: Grant, more: Role) -> Callable[[], object]:
    def mend() -> None:
        grants.end_grant(grant_id=given.pk, by=given.person)
        more.delete()
        agent().update(pattern="service")

    return mend


def a_grant_that_is_everything(good: Good) -> Callable[[], object]:
    given, more = a_grant(good, "hybrid")
    more.people.clear()
    return mended(given, more)


def a_grant_to_one_that_acts_as_itself(good: Good) -> Callable[[], object]:
    return mended(*a_grant(good, "service"))


def a_grant_of_who_has_left(good: Good) -> Callable[[], object]:
    given, more = a_grant(good, "hybrid")
    # Past the service, which would have ended it.
    Person.objects.filter(pk=given.person_id).update(
        employment=Employment.LEFT, last_day=clock.now().date() - DAY
    )
    back = mended(given, more)

    def mend() -> None:
        Person.objects.filter(pk=given.person_id).update(employment="employed", last_day=None)
        given.person.refresh_from_db()
        back()

    return mend


def one_that_works_for_another(good: Good) -> Callable[[], object]:
    return made(Reliance.objects.create(agent=good.reads.agent, dependent=good.pays.agent))


def a_combination_without_an_answer(good: Good) -> Callable[[], object]:
    return made(
        ToxicFinding.objects.create(
            combination="linked-payments", scope="agent", agent=good.pays.agent, agents=["payer"],
            tier="restricted", reason="Linked.", digest="0" * 64, since=clock.now(),
        )
    )  # fmt: skip


def an_empty_catalogue(good: Good) -> Callable[[], object]:
    active = list(ToxicCombination.objects.filter(is_active=True).values_list("pk", flat=True))
    ToxicCombination.objects.update(is_active=False)
    return lambda: ToxicCombination.objects.filter(pk__in=active).update(is_active=True)


def a_renewal_past_its_day(good: Good) -> Callable[[], object]:
    return put(agent(), renewal_due=clock.now().date() - 5 * DAY)


def a_leaver_who_is_not_flagged(good: Good) -> Callable[[], object]:
    last_day = clock.now().date() + 3 * DAY
    return put(
        Person.objects.filter(pk=good.reads.owner.pk),
        employment=Employment.LEAVING,
        last_day=last_day,
    )


def a_source_that_fell_silent(good: Good) -> Callable[[], object]:
    return put(Source.objects.filter(slug="hr"), last_seen_at=clock.now() - 90 * DAY)


def one_that_nobody_uses(good: Good) -> Callable[[], object]:
    idle = make_desk(
        tool_fields={"effect": "read"},
        agent_fields={
            "slug": "sleeper",
            "renewal_due": clock.now().date() + 100 * DAY,
            "activated_at": clock.now() - 200 * DAY,
            "state_changed_at": clock.now() - 200 * DAY,
        },
    )
    Person.objects.filter(pk=idle.owner.pk).update(chat_handle="@o")
    return lambda: agent("sleeper").update(state="decommissioned")


def no_template(good: Good) -> Callable[[], object]:
    active = list(Template.objects.filter(state="active").values_list("pk", flat=True))
    with acting_as("NONE") as cursor:
        cursor.execute("ALTER TABLE lifecycle_template DISABLE TRIGGER USER")
    Template.objects.filter(pk__in=active).update(state="retired", ended_at=clock.now())
    return lambda: Template.objects.filter(pk__in=active).update(state="active", ended_at=None)


def a_template_that_takes_longer(good: Good) -> Callable[[], object]:
    return put(agent("payer"), created_at=clock.now() - 190 * DAY)


BROKEN = [
    (1, an_owner_without_a_handle),
    (1, an_owner_who_has_left),
    (1, a_caller_that_nobody_knows),
    (2, a_key_of_a_row_that_never_was),
    (3, a_persons_account),
    (4, a_key_that_is_too_old),
    (4, a_tool_without_use),
    (5, a_row_that_is_observed),
    (6, a_record_that_was_rewritten),
    (6, a_record_that_may_be_emptied),
    (7, a_system_without_a_tier),
    (8, writes_without_a_quota),
    (9, money_without_a_gate),
    (9, security_that_is_one_person),
    (10, a_schema_that_takes_anything),
    (11, a_grant_that_is_everything),
    (11, a_grant_to_one_that_acts_as_itself),
    (11, a_grant_of_who_has_left),
    (12, one_that_works_for_another),
    (13, a_combination_without_an_answer),
    (13, an_empty_catalogue),
    (14, a_renewal_past_its_day),
    (14, a_leaver_who_is_not_flagged),
    (14, a_source_that_fell_silent),
    (15, one_that_nobody_uses),
    (16, no_template),
    (16, a_template_that_takes_longer),
]


def open_points(standing: Standing) -> dict[int, str]:
    return {each.point.number: each.reason for each in standing.points if each.status != Tick.MET}


@pytest.mark.parametrize(
    ("number", "broken"), BROKEN, ids=lambda each: getattr(each, "__name__", each)
)
def test_one_broken_point_drops_its_tick_alone(
    number: int, broken: Callable[[Good], Callable[[], object]], good: Good
) -> None:
    mend = broken(good)
    found = stand()
    mend()

    assert found.open_numbers == [number]
    one = found.point(number)
    assert (one.status, one.count > 0) == (Tick.NOT_MET, True)
    assert all(each.link for each in one.rows)
    assert open_points(stand()) == {}


def test_who_acts_on_a_narrower_word_breaks_nothing(good: Good) -> None:
    given, _ = a_grant(good, "hybrid")

    found = stand().point(11)

    assert (found.status, found.count) == (Tick.MET, 0)
    assert given.ended_at is None


def test_one_that_hands_over_to_whom_it_relies_on_breaks_nothing(good: Good) -> None:
    one_that_works_for_another(good)
    AllowlistEntry.objects.create(agent=good.pays.agent, tool=good.reads.tool)

    declare(good.pays.agent, good.reads.agent)
    wanted = HandOver(good.reads.agent.slug, {good.reads.tool.name: {}})
    delegate(caller=good.pays.caller, wanted=wanted)

    assert stand().point(12).status == Tick.MET


def test_what_is_over_breaks_nothing(good: Good) -> None:
    now = clock.now()
    Case.objects.create(
        agent=good.reads.agent, kind="leaver", state="answered", outcome="accepted",
        opened_at=now - 9 * DAY, counts_from=(now - 9 * DAY).date(), zone="UTC",
        due_on=(now - 5 * DAY).date(), due_at=now - 5 * DAY, closed_at=now - 2 * DAY,
    )  # fmt: skip
    Rotation.objects.create(
        agent=good.reads.agent, key="client", due_on=(now - 9 * DAY).date(), state="done",
        opened_at=now - 9 * DAY, rotated_at=now - 3 * DAY, done_at=now - 3 * DAY, next_at=now,
    )  # fmt: skip

    assert open_points(stand()) == {}


def test_an_empty_installation_is_not_praised() -> None:
    found = stand()

    told = {each.point.number: each.status for each in found.points}
    unknown = {number for number, each in told.items() if each == Tick.CANNOT_TELL}
    assert unknown == {1, 3, 4, 5, 7, 8, 10, 14, 15, 16}
    # Nobody is there who could approve for another.
    assert told[9] == Tick.NOT_MET
    assert found.point(1).reason == "No agent has been registered."


def test_many_agents_cost_no_more_statements(good: Good) -> None:
    def statements() -> int:
        with CaptureQueriesContext(connection) as asked:
            stand()
        return len(asked)

    few = statements()
    for _ in range(10):
        make_desk(agent_fields={"pattern": "hybrid"}, system_fields={"tier": ""})
    many = statements()

    assert (few, many) == (few, few)
    assert few <= 70


def test_page_api_and_gauge_say_the_same(good: Good) -> None:
    for number in range(60):
        tool = Tool.objects.create(
            name=f"t{number}.read", effect="read", schema={}, system=good.reads.system
        )
        AllowlistEntry.objects.create(agent=good.reads.agent, tool=tool)
    security = Client()
    security.force_login(make_person(groups=[GroupName.SECURITY]))
    forget()

    page = security.get("/self-audit/").content.decode()
    second = security.get("/self-audit/10/", {"page": 2}).content.decode()
    said = security.get("/api/v1/self-audit").json()
    rows = security.get("/api/v1/self-audit/10/rows", {"page_size": 7}).json()
    gauges = security.get("/metrics").content.decode()

    points = {each["number"]: each for each in said["points"]}
    broken = {number for number, each in points.items() if each["status"] == "not_met"}
    assert broken == {4, 10}
    assert (said["met"], said["not_met"], points[10]["rows"]) == (14, 2, 60)
    assert "Two of 16 points are not met" in page
    assert "51 to 60 of 60 rows" in second
    assert (rows["count"], len(rows["results"])) == (60, 7)
    assert rows["results"][0]["url"] == "/tools/t0.read/"
    told = dict(re.findall(r'muster_self_audit_point\{point="(\d+)"\} (\S+)', gauges))
    assert {int(number) for number, value in told.items() if value == "0.0"} == broken
    assert len(told) == 16
    assert "muster_self_audit_met 14.0" in gauges


@pytest.mark.parametrize(
    ("group", "code"),
    [(each, 200) for each in GroupName if each != GroupName.SOURCE_OWNER] + [("", 403)],
)
def test_it_is_open_to_those_who_read_everything(group: str, code: int) -> None:
    client = Client()
    places = ["/self-audit/", "/self-audit/16/", "/api/v1/self-audit", "/api/v1/self-audit/1/rows"]
    assert {client.get(place).status_code for place in places} <= {302, 401, 403}

    client.force_login(make_person(groups=[group] if group else []))

    assert {client.get(place).status_code for place in places} == {code}


def test_there_is_no_seventeenth_point() -> None:
    client = Client()
    client.force_login(make_person(groups=[GroupName.AUDITOR]))
    places = ["/self-audit/17/", "/self-audit/0/", "/api/v1/self-audit/17/rows"]

    assert [client.get(place).status_code for place in places] == [404, 404, 404]
