"""What the record keeps is enough to judge again, to the same answer (promise 18)."""

import random
import time
from datetime import UTC, datetime, timedelta
from io import StringIO

import pytest
from django.core.management import CommandError, call_command
from django.db import connection

from audit import leaf
from audit.enums import Kind
from audit.models import Record
from audit.selectors import TrailFilters
from authz import engine, replay
from authz.decide import decide, refuse
from authz.engine import world
from authz.engine.types import SubjectKind
from authz.models import Role
from authz.replay import Reason, Tally
from registry.models import Agent, ResourceType, System
from tests.factories.authz import make_desk, make_person, make_policy, make_tool, name_person

pytestmark = pytest.mark.django_db

MANY = 10_000


def replayed(since=None, limit=100_000, size=replay.PAGE):
    """The tally and the differences of all that was decided from `since` on."""
    # As in another process: what was compiled for deciding is not at hand.
    world._worlds.clear()
    world._narrowings.clear()
    tally = Tally()
    reading = replay.read_decisions(
        TrailFilters(since=since), by=replay.System(), reason="a test", limit=limit
    )
    found = [each for page in replay.replay(reading, tally, size=size) for each in page]
    return tally, found


@pytest.fixture
def began():
    """The record holds what other tests decided: what this one decides comes later."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT clock_timestamp()")
        return cursor.fetchone()[0]


def make_busy_desk():
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
    return desk


def asks_of(desk):
    alone = {"kind": SubjectKind.PERSON, "agent": "", "person": "jane", "subject_type": "user"}
    return [
        desk.ask(**alone),
        desk.ask(**alone, parameters={"claim": "CL-1", "amount": 700}),
        desk.ask(**alone, parameters={"claim": "CL-1", "note": "password=Correct7Horse"}),
        desk.ask(**alone, resource_id="CL-9"),
        desk.ask(user="jane"),
        desk.ask(),
        desk.ask(agent="nobody"),
        desk.ask(user="jane", prompt_digest="sha256:other"),
    ]


def test_old_decisions_are_judged_again_to_the_same_answer(began):
    desk = make_busy_desk()
    answers = decide(asks_of(desk), desk.gateway_caller)

    # Everything has changed since.
    Role.objects.all().delete()
    Agent.objects.update(state="suspended", pattern="service")
    tally, found = replayed(began)

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
    assert found == []
    assert (tally.same, tally.seen) == (8, 8)


def test_an_engine_that_judges_otherwise_is_found_out(began, monkeypatch):
    desk = make_desk()
    (answer,) = decide([desk.ask()], desk.caller)

    monkeypatch.setattr(replay, "judge", lambda *_: replay.refusals.refuse("allowlist.not_listed"))
    tally, found = replayed(began)

    assert (tally.different, tally.same) == (1, 0)
    assert [each.record.id for each in found] == [answer.id]
    assert "walk" in found[0].parts


def test_personal_resource_ids_are_found_again_in_the_parameters(began):
    desk = make_desk(system_fields={"personal_resource_ids": True})
    asks = [desk.ask(resource_type=desk.system.slug, resource_id=name) for name in ("CL-1", "CL-2")]
    answers = decide(asks, desk.caller)

    tally, found = replayed(began)

    assert [answer.decision.code for answer in answers] == ["", "parameters.resource_mismatch"]
    assert found == []
    assert tally.same == 2


def test_a_claimed_personal_resource_that_decided_is_told_apart(began):
    desk = make_desk(
        tool_fields={"resource_parameter": ""}, system_fields={"personal_resource_ids": True}
    )
    make_policy(
        f'permit(principal, action == Muster::Action::"{desk.tool.name}", resource) when '
        '{ context.resource == "jane@example.org" };'
    )
    asks = [
        desk.ask(resource_type=desk.system.slug, resource_id=name)
        for name in ("jane@example.org", "otto@example.org")
    ]
    answers = decide(asks, desk.caller)

    tally, found = replayed(began)

    assert [answer.decision.code for answer in answers] == ["", "policy.no_permit"]
    assert found == []
    assert (tally.same, tally.unjudgeable) == (1, {Reason.RESOURCE: 1})


def test_a_secret_parameter_that_decided_is_told_apart(began):
    schema = {
        "type": "object",
        "properties": {"claim": {"type": "string"}, "pin": {"type": "string", "maxLength": 4}},
        "required": ["claim"],
    }
    desk = make_desk(
        tool_fields={"schema": schema, "secret_parameters": ["pin"], "amount_parameter": ""}
    )
    asks = [desk.ask(parameters={"claim": "CL-1", "pin": pin}) for pin in ("1234", "12345")]
    asks.append(desk.ask(parameters={"claim": "CL-1"}))
    answers = decide(asks, desk.caller)

    tally, found = replayed(began)

    assert [answer.decision.code for answer in answers] == ["", "parameters.schema", ""]
    assert found == []
    # The wrong one is refused again, for a sealed value is as long as the rule forbids.
    assert (tally.same, tally.unjudgeable) == (2, {Reason.SECRET: 1})


def test_what_cannot_be_judged_again_is_counted_with_its_reason(began, monkeypatch):
    desk = make_desk()
    decide([desk.ask()], desk.caller)
    refuse(desk.ask(tool=""), desk.caller, replay.refusals.MALFORMED)
    decide([desk.ask()], desk.caller)
    erased = Record.objects.filter(kind=Kind.DECISION).order_by("-at").first()
    with connection.cursor() as cursor:
        cursor.execute("SET ROLE muster_audit")
        cursor.execute("ALTER TABLE audit.wrap DISABLE TRIGGER no_change")
        cursor.execute("DELETE FROM audit.wrap WHERE record = %s", [erased.id])
        cursor.execute("SET ROLE muster_web")
    first, _ = replayed(began)
    monkeypatch.setattr(engine, "VERSION", engine.VERSION + 1)
    second, found = replayed(began)

    assert (first.same, first.unjudgeable) == (1, {Reason.UNJUDGED: 1, Reason.ERASED: 1})
    assert found == []
    assert second.unjudgeable == {Reason.ENGINE: 1, Reason.UNJUDGED: 1, Reason.ERASED: 1}


TAMPERED = {
    "record": "UPDATE audit.record SET agent = 'someone-else' WHERE id = %s",
    "payload": "DELETE FROM audit.payload WHERE record = %s",
    "slice": "DELETE FROM audit.slice WHERE %s::uuid IS NOT NULL",
}


@pytest.mark.parametrize("table", TAMPERED)
def test_what_does_not_fit_together_is_named_and_ends_with_1(began, table):
    desk = make_desk()
    (answer,) = decide([desk.ask()], desk.caller)
    with connection.cursor() as cursor:
        cursor.execute("SET ROLE muster_audit")
        cursor.execute(f"ALTER TABLE audit.{table} DISABLE TRIGGER no_change")
        cursor.execute(TAMPERED[table], [answer.id])
        cursor.execute("SET ROLE muster_web")
    out = StringIO()

    tally, found = replayed(began)
    with pytest.raises(CommandError):
        call_command("replay", since=began, stdout=out, stderr=StringIO())

    assert (tally.damaged, tally.judged) == (1, 0)
    assert [(each.record.id, each.damaged) for each in found] == [(answer.id, True)]
    assert "1 decision does not fit what is stored beside." in out.getvalue()


def test_one_reading_is_recorded_with_its_span_its_count_and_its_reason(began, mark, records_after):
    desk = make_desk()
    decide([desk.ask() for _ in range(5)], desk.caller)
    marked = mark()

    tally, _ = replayed(began, limit=3, size=2)

    (entry,) = records_after(marked)
    said = leaf.parse_body(bytes(entry["body"]))["asked"]
    assert tally.same == 3
    assert (entry["kind"], entry["actor"]) == (Kind.PAYLOAD_READ, "system:replay")
    assert (said["did"], said["reason"], said["entries"]) == ("payloads_read", "a test", 3)
    assert said["fields"] == list(replay.FIELDS)
    assert said["span"]["since"] == leaf.instant(began)


def test_the_number_of_queries_does_not_grow_with_the_decisions(began, django_assert_num_queries):
    desk = make_desk()
    caller = desk.caller
    decide([desk.ask()], caller)
    one = _queries(lambda: replayed(began))
    decide([desk.ask(parameters={"claim": f"CL-{n}"}) for n in range(20)], caller)

    with django_assert_num_queries(one):
        tally, _ = replayed(began)

    assert tally.same == 21


def _queries(act):
    from django.test.utils import CaptureQueriesContext

    with CaptureQueriesContext(connection) as captured:
        act()
    return len(captured)


# Generated decisions


def generated(desk, number, seed=18):
    """Questions of every kind, with changes of the register between them, in batches."""
    dice = random.Random(seed)
    others = [make_tool(desk.system) for _ in range(3)]
    desk.role.tools.add(others[0])
    desk.agent.allowlist.create(
        tool=others[1], narrowing={"properties": {"amount": {"maximum": 300}}}
    )
    tools = [desk.tool.name, *(tool.name for tool in others), "no.tool"]
    left = number
    while left:
        size = min(left, dice.randint(1, 50))
        left -= size
        yield [_generated(desk, tools, dice) for _ in range(size)]
        _shake(desk, dice)


def _generated(desk, tools, dice):
    parameters = {"claim": f"CL-{dice.randrange(30)}", "amount": dice.randrange(1200)}
    if dice.random() < 0.1:
        parameters = {"claim": dice.choice([None, 7, "Zoë\u2028", "a" * 300]), "extra": 1.5}
    given = {"tool": dice.choice(tools), "parameters": parameters}
    if dice.random() < 0.3:
        given |= {"kind": SubjectKind.PERSON, "agent": "", "person": dice.choice(["jane", "otto"])}
        given |= {"subject_type": "user", "subject_properties": {"region": "south"}}
    elif dice.random() < 0.4:
        given["user"] = dice.choice(["jane", "otto"])
    if dice.random() < 0.2:
        given |= {"resource_type": desk.system.slug, "resource_id": f"CL-{dice.randrange(30)}"}
    if dice.random() < 0.1:
        given["agent" if "kind" not in given else "person"] = "nobody"
    if dice.random() < 0.1:
        given["chain"] = ("someone-else",)
    return desk.ask(**given)


def _shake(desk, dice):
    act = dice.randrange(6)
    if act == 0:
        desk.agent.pattern = dice.choice(["service", "hybrid"])
        desk.agent.save()
    elif act == 1:
        System.objects.filter(pk=desk.system.pk).update(tier=dice.choice(["public", "restricted"]))
    elif act == 2:
        (desk.role.agents.add if dice.random() < 0.6 else desk.role.agents.remove)(desk.agent)


def decide_many(number):
    desk = make_busy_desk()
    caller, codes = desk.gateway_caller, set()
    for asks in generated(desk, number):
        codes |= {answer.decision.code for answer in decide(asks, caller)}
    return codes


def test_hundreds_of_generated_decisions_are_judged_again_to_the_same_answer(began):
    codes = decide_many(400)

    tally, found = replayed(began, size=64)

    assert found == []
    assert (tally.same, tally.seen) == (400, 400)
    assert len(codes) > 10


@pytest.mark.bulk
def test_ten_thousand_decisions_are_judged_again_to_the_same_answer(began, capsys):
    start = time.monotonic()
    decide_many(MANY)
    middle = time.monotonic()

    tally, found = replayed(began)

    seconds = time.monotonic() - middle
    with capsys.disabled():
        print(f"\n{MANY} decided in {middle - start:.1f} s, judged again in {seconds:.1f} s")
    assert found == []
    assert (tally.same, tally.seen) == (MANY, MANY)


# The command


def test_the_command_prints_counts(began):
    desk = make_desk()
    decide([desk.ask() for _ in range(3)], desk.caller)
    out = StringIO()

    call_command("replay", since=began, limit=2, stdout=out, stderr=StringIO())

    lines = out.getvalue().splitlines()
    assert lines[0].startswith("Reading 2 decisions, on the record as ")
    assert lines[1:] == [
        "Left out as older (--limit): 1.",
        "2 decisions judged again: 2 to the same answer.",
    ]


def test_the_command_names_every_difference_and_ends_with_1(began, monkeypatch):
    desk = make_desk()
    (answer,) = decide([desk.ask()], desk.caller)
    monkeypatch.setattr(replay, "judge", lambda *_: replay.refusals.refuse("role.none"))
    out = StringIO()

    with pytest.raises(CommandError) as ended:
        call_command("replay", since=began, stdout=out, stderr=StringIO())

    assert ended.value.returncode == 1
    assert str(answer.id) in out.getvalue()
    assert "1 came to another answer." in out.getvalue()


@pytest.mark.parametrize("wrong", [["--limit", "0"], ["--limit", "many"], ["--since", "soon"]])
def test_the_command_refuses_what_it_cannot_read(wrong):
    with pytest.raises(CommandError):
        call_command("replay", *wrong, stdout=StringIO())


def test_only_who_may_read_every_decision_may_replay():
    person = make_person()

    with pytest.raises(CommandError, match="Only security, the DPO and auditors"):
        call_command("replay", by=person.email, stdout=StringIO())
    with pytest.raises(CommandError, match="Nobody on the register"):
        call_command("replay", by="nobody@example.org", stdout=StringIO())


def test_a_span_without_decisions_is_no_difference():
    tally, found = replayed(datetime.now(UTC) + timedelta(days=2))

    assert (tally.seen, found) == (0, [])
