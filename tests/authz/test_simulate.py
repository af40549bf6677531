"""The simulator: what would be decided, for whom one may ask, and what stays of it."""

from datetime import UTC, datetime

import pytest

from audit.leaf import parse_body
from authz import services
from authz.asks import Ask
from authz.decide import decide
from authz.engine.types import SubjectKind
from authz.simulate import example_of, simulate
from governance.kernel.errors import Invalid, NotAllowed
from registry.enums import GroupName
from tests.factories.authz import make_desk, make_person, make_policy, name_person

pytestmark = pytest.mark.django_db


@pytest.fixture
def desk():
    return make_desk(gateway_fields={"source": "okta"})


@pytest.fixture
def auditor():
    return make_person(groups=[GroupName.AUDITOR])


def told(simulated):
    decision = simulated.decision
    return decision.effect, decision.code, decision.walk


ASKS = [
    {},
    {"tool": "no.tool"},
    {"parameters": {"claim": 7}},
    {"parameters": {"claim": "CL-1", "note": "password=Correct7Horse"}},
    {"user": "p_" + "0" * 20},
    {"chain": ("someone",)},
    {"resource_type": "elsewhere", "resource_id": "x"},
]


@pytest.mark.parametrize("changed", ASKS)
def test_a_simulation_says_what_would_be_decided(desk, auditor, changed):
    ask = desk.ask(**changed)

    simulated = simulate(ask, by=auditor)
    (answer,) = decide([ask], desk.caller)

    assert told(simulated) == (
        answer.decision.effect,
        answer.decision.code,
        answer.decision.walk,
    )


def test_a_person_alone_is_simulated_through_a_gateway_or_by_pid(desk, auditor):
    person = make_person()
    name_person(person, "okta", "jane")
    desk.role.people.add(person)
    alone = {"kind": SubjectKind.PERSON, "agent": ""}

    named = simulate(desk.ask(**alone, person="jane"), by=auditor, gateway=desk.gateway.slug)
    by_pid = simulate(desk.ask(**alone, person=person.pid), by=auditor)
    stranger = simulate(desk.ask(**alone, person="otto"), by=auditor, gateway=desk.gateway.slug)

    assert (named.decision.code, by_pid.decision.code) == ("", "")
    assert stranger.decision.code == "identity.unknown_person"


def test_a_change_that_was_just_made_counts(desk, auditor):
    before = simulate(desk.ask(), by=auditor)
    services.save_role(slug=desk.role.slug, tools=[], by=make_person(groups=[GroupName.SECURITY]))

    after = simulate(desk.ask(), by=auditor)

    assert (before.decision.code, after.decision.code) == ("", "role.none")


def test_the_instant_may_be_another_one(desk, auditor):
    make_policy("forbid(principal, action, resource) when { context.local.business };")

    day, night = (
        simulate(desk.ask(), by=auditor, now=datetime(2026, 11, 23, hour, tzinfo=UTC))
        for hour in (12, 23)
    )

    assert (day.decision.code, night.decision.code) == ("policy.forbidden", "")


def test_a_simulation_is_an_access_and_no_decision(desk, auditor, mark, records_after):
    marked = mark()

    simulate(desk.ask(parameters={"claim": "CL-zebra", "amount": 3}), by=auditor)
    simulate(
        Ask(kind=SubjectKind.AGENT, tool="password=Correct7Horse", agent="unicorn"), by=auditor
    )

    entries = records_after(marked)
    said = [parse_body(bytes(each["body"])) for each in entries]
    assert [(one["kind"], one["actor"], one["mode"]) for one in said] == [
        ("access", auditor.pid, "simulate")
    ] * 2
    assert [(one["agent"], one["tool"]) for one in said] == [
        (desk.agent.slug, desk.tool.name),
        ("", ""),
    ]
    assert [one["asked"] for one in said] == [{"did": "decision_simulated", "as": "agent"}] * 2


@pytest.mark.parametrize(
    "group", [GroupName.SECURITY, GroupName.DPO, GroupName.AUDITOR, GroupName.PLATFORM_ADMIN]
)
def test_these_may_simulate_anything(desk, group):
    simulated = simulate(desk.ask(agent="nobody"), by=make_person(groups=[group]))

    assert simulated.decision.code == "identity.unknown_agent"


def test_owners_simulate_their_own_agents_alone(desk):
    other = make_desk()

    mine = simulate(desk.ask(), by=desk.owner)
    by_client = simulate(desk.ask(agent=desk.client.client_id), by=desk.owner)

    assert (mine.decision.code, by_client.decision.code) == ("", "")
    for ask, more in (
        (other.ask(), {}),
        (desk.ask(agent="nobody"), {}),
        (desk.ask(), {"gateway": desk.gateway.slug}),
        (desk.ask(kind=SubjectKind.PERSON, agent="", person=desk.owner.pid), {}),
    ):
        with pytest.raises(NotAllowed):
            simulate(ask, by=desk.owner, **more)


@pytest.mark.parametrize("gateway", ["nowhere", "\0", "x" * 100_000])
def test_a_gateway_that_is_none_is_refused(desk, auditor, gateway):
    with pytest.raises(Invalid, match="There is no gateway"):
        simulate(desk.ask(), by=auditor, gateway=gateway)


def test_an_example_has_what_the_schema_names():
    schema = {
        "properties": {
            "id": {"type": "string"},
            "amount": {"type": "integer", "minimum": 5},
            "kind": {"enum": ["a", "b"]},
            "flags": {"type": ["array", "null"], "items": {"type": "boolean"}},
            "place": {"type": "object", "properties": {"city": {"const": "Cork"}}},
            "any": True,
        }
    }

    assert example_of(schema) == {
        "id": "",
        "amount": 5,
        "kind": "a",
        "flags": [False],
        "place": {"city": "Cork"},
        "any": "",
    }
    assert example_of({}) == {}
