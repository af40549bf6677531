"""What is counted: calls, records, money. Whatever races, no limit admits more than it says."""

import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest
from django.db import connection

from authz import timekeeper
from authz.decide import decide
from authz.engine.types import Effect
from authz.errors import UnknownPrice
from authz.models import (
    Counter,
    CurrencyRate,
    Hold,
    Meter,
    ModelPrice,
    Movement,
    Page,
    Reservation,
    Stop,
)
from authz.outcomes import read_report, report_outcome
from authz.services.spending import (
    forget_old,
    free_reservation,
    time_out_reservation,
)
from authz.services.stops import suspend_stopped
from registry.enums import AgentState
from registry.models import Agent, AllowlistEntry
from tests.authz.test_holds import release_by
from tests.factories.authz import (
    caller_of,
    make_agent,
    make_client,
    make_desk,
    make_person,
    observed,
)
from tests.factories.sweeping import settle_overdue

pytestmark = pytest.mark.django_db(transaction=True)

CALLERS = 64
MOST = 50


def at_once(count, function):
    def alone(number):
        try:
            return function(number)
        finally:
            connection.close()

    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(alone, range(count)))


@pytest.fixture(autouse=True)
def _one_window():
    """No hour, and so no day or month, turns while a test counts in it."""
    left = 3600 - time.time() % 3600
    if left < 20:
        time.sleep(left)


def limit_entry(desk, **limits):
    entry = AllowlistEntry.objects.get(agent=desk.agent, tool=desk.tool)
    for name, value in limits.items():
        setattr(entry, name, value)
    entry.save()


def limit_agent(desk, **limits):
    for name, value in limits.items():
        setattr(desk.agent, name, value)
    desk.agent.save()


def spending_desk(cap=10_000, cost=100, **agent_fields):
    fields = {"spend_cap_minor": cap, "rate_per_minute": 10_000, "rate_per_hour": 10_000}
    return make_desk(tool_fields={"cost_minor": cost}, agent_fields=fields | agent_fields)


def once(desk, **changed):
    (answer,) = decide([desk.ask(**changed)], desk.caller)
    return answer


def codes(answers):
    return [answer.decision.code for answer in answers]


def counter(desk):
    return Counter.objects.get(key=f"agent:{desk.agent.slug}")


def report(desk, answer, **body):
    body = {"outcome": "success", **body}
    return report_outcome(decision_id=answer.id, caller=desk.caller, report=read_report(body))


# Exactly as many as the limit says


def race_all(desk, calls=CALLERS):
    once(desk, tool="not-on-the-register")
    told = at_once(16, lambda _: [once(desk) for _ in range(calls // 16)])
    return codes(answer for each in told for answer in each)


def test_rate_of_an_hour_admits_exactly_its_number():
    desk = make_desk(agent_fields={"rate_per_minute": 1000, "rate_per_hour": MOST})

    found = race_all(desk)

    assert (found.count(""), found.count("rate.hour")) == (MOST, CALLERS - MOST)
    assert counter(desk).hour_calls == MOST


def test_rate_of_a_system_counts_all_agents_together():
    desk = make_desk(system_fields={"rate_per_hour": 3})
    other = make_agent(desk.owner)
    AllowlistEntry.objects.create(agent=other, tool=desk.tool)
    desk.role.agents.add(other)
    client = make_client(agent=other)

    mine = codes(decide([desk.ask()] * 2, desk.caller))
    (allowed, refused) = decide([desk.ask(agent=other.slug)] * 2, caller_of(client))

    assert [*mine, allowed.decision.code] == ["", "", ""]
    assert refused.decision.code == "rate.hour"
    assert refused.decision.detail["scope"] == "system"


def test_money_admits_exactly_what_the_cap_pays_for():
    desk = spending_desk(cap=MOST * 100)

    found = race_all(desk)

    assert found.count("") == MOST
    assert set(found) <= {"", "spend.cap", "identity.not_active", "rate.busy"}
    assert counter(desk).day_spent == MOST * 100
    assert Reservation.objects.filter(ended="").count() == MOST


def test_quota_holds_what_is_above_it():
    desk = make_desk(agent_fields={"rate_per_minute": 1000})
    limit_entry(desk, write_quota_per_hour=MOST)

    found = race_all(desk)

    assert found.count("") == MOST
    assert set(found) == {"", "quota.hour"}
    assert Counter.objects.get(key__startswith="entry:").hour_records == MOST


def test_earlier_requests_of_a_batch_count_for_the_later_ones():
    desk = make_desk(agent_fields={"rate_per_hour": 2})

    assert codes(decide([desk.ask()] * 4, desk.caller)) == ["", "", "rate.hour", "rate.hour"]


# Records


@pytest.mark.parametrize(
    ("rows", "code"), [(3, ""), ([1, 2, 3], ""), (4, "quota.hour"), ([1, 2, 3, 4], "quota.hour")]
)
def test_bulk_call_counts_as_its_records(rows, code):
    schema = {"type": "object", "properties": {"claim": {"type": "string"}, "rows": {}}}
    desk = make_desk(
        tool_fields={"schema": schema, "count_parameter": "rows", "amount_parameter": ""}
    )
    limit_entry(desk, write_quota_per_hour=3)

    answer = once(desk, parameters={"claim": "CL-1", "rows": rows})

    assert answer.decision.code == code


def test_records_that_cannot_be_counted_refuse():
    schema = {"type": "object", "properties": {"claim": {"type": "string"}, "rows": {}}}
    desk = make_desk(
        tool_fields={"schema": schema, "count_parameter": "rows", "amount_parameter": ""}
    )
    limit_entry(desk, write_quota_per_hour=3)

    answer = once(desk, parameters={"claim": "CL-1", "rows": "many"})

    assert (answer.decision.effect, answer.decision.code) == (Effect.DENY, "quota.error")


def test_held_call_uses_up_no_records():
    desk = make_desk()
    limit_entry(desk, write_quota_per_hour=1)

    first, second = decide([desk.ask()] * 2, desk.caller)

    assert (first.decision.effect, second.decision.effect) == (Effect.ALLOW, Effect.HOLD)
    assert Counter.objects.get(key__startswith="entry:").hour_records == 1
    assert second.settled["quota"]["limit"] == 1


# Money


def test_call_above_the_cap_stops_the_agent(mark, records_after):
    desk = spending_desk(cap=250)
    before = mark()

    found = codes(once(desk) for _ in range(4))

    assert found == ["", "", "spend.cap", "identity.not_active"]
    agent = Agent.objects.get(pk=desk.agent.pk)
    assert (agent.state, agent.state_reason) == (AgentState.SUSPENDED, "Its spend cap is used up.")
    page = Page.objects.get()
    assert (page.kind, page.agent, page.window.split(":")[0]) == ("spend", agent.slug, "day")
    assert Stop.objects.get().handled_at is not None
    denied = [row for row in records_after(before) if row["code"] == "spend.cap"]
    assert len(denied) == 1


def test_month_has_a_cap_of_its_own():
    desk = spending_desk(cap=10_000, spend_cap_month_minor=150)

    assert codes(once(desk) for _ in range(2)) == ["", "spend.month"]


@pytest.mark.parametrize(
    ("estimate", "reserved"), [(None, 100), ((40, "EUR"), 100), ((700, "EUR"), 700)]
)
def test_larger_of_ceiling_and_estimate_is_reserved(estimate, reserved):
    desk = spending_desk()

    answer = once(desk, estimate=estimate)

    assert Reservation.objects.get(decision=answer.id).amount_minor == reserved
    assert counter(desk).day_spent == reserved
    assert answer.settled["spend"] == {"reserved": reserved, "used": [reserved, reserved]}


def test_amount_of_a_purchase_is_its_cost():
    desk = make_desk(tool_fields={"amount_is_cost": True})

    once(desk, parameters={"claim": "CL-1", "amount": 900})

    assert counter(desk).day_spent == 900


def test_other_currency_costs_what_the_table_says():
    CurrencyRate.objects.create(currency="EUR", worth=1)
    CurrencyRate.objects.create(currency="USD", worth="0.93")
    desk = spending_desk(cost=0)

    once(desk, estimate=(101, "USD"))

    assert counter(desk).day_spent == 94


def test_unknown_currency_is_refused():
    desk = spending_desk()

    answer = once(desk, estimate=(100, "XTS"))

    assert (answer.decision.effect, answer.decision.code) == (Effect.DENY, "spend.currency")
    assert answer.decision.remedies[0]["currency"] == "XTS"


def test_outcome_settles_at_what_it_says():
    desk = spending_desk()
    answer = once(desk)

    report(desk, answer, cost_minor=30, currency="EUR")

    assert counter(desk).day_spent == 30
    settled = Reservation.objects.get()
    assert (settled.ended, settled.cost_minor) == ("reported", 30)


def test_outcome_above_the_cap_stops_the_agent():
    desk = spending_desk(cap=500, cost=0)
    answer = once(desk)

    report(desk, answer, cost_minor=501, currency="EUR")

    assert Agent.objects.get(pk=desk.agent.pk).state == AgentState.SUSPENDED
    assert Page.objects.get().detail["used"] == 501


def test_overspent_agent_is_refused_before_it_is_suspended():
    desk = spending_desk(cap=500, cost=0)
    answer = once(desk)
    with connection.cursor() as cursor:
        cursor.execute("SELECT authz.settle(%s, %s, 501)", [answer.id, desk.agent.slug])

    assert once(desk).decision.code == "spend.cap"


def test_silence_settles_at_the_ceiling():
    desk = spending_desk(cap=300)
    answers = [once(desk) for _ in range(3)]
    report(desk, answers[0], cost_minor=0, currency="EUR")
    now = timekeeper.now()

    assert settle_overdue(now) == 0
    later = now + timedelta(hours=2)
    assert (settle_overdue(later), settle_overdue(later)) == (2, 0)

    assert counter(desk).day_spent == 200
    assert sorted(Reservation.objects.values_list("ended", "cost_minor")) == [
        ("reported", 0),
        ("timed_out", 100),
        ("timed_out", 100),
    ]


def test_late_outcome_corrects_a_time_out():
    desk = spending_desk()
    answer = once(desk)
    time_out_reservation(answer.id, timekeeper.now() + timedelta(hours=2))

    report(desk, answer, cost_minor=10, currency="EUR")

    assert counter(desk).day_spent == 10


def test_freed_money_is_free_once():
    desk = spending_desk()
    answer = once(desk)

    assert (free_reservation(decision=answer.id), free_reservation(decision=answer.id)) == (
        True,
        False,
    )
    assert counter(desk).day_spent == 0


def test_hold_reserves_and_frees_when_it_ends():
    desk = spending_desk()
    limit_entry(desk, write_quota_per_hour=0)

    held = once(desk)

    assert held.decision.effect is Effect.HOLD
    assert counter(desk).day_spent == 100
    assert Reservation.objects.get().is_held is True
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE authz_hold SET state = 'expired', decided_at = now() WHERE id = %s", [held.id]
        )
    assert counter(desk).day_spent == 0


@pytest.fixture
def approved():
    """The release of what was held, by someone who was asked."""
    approver = make_person(groups=["security"])
    return lambda held: release_by(Hold.objects.get(pk=held.id), approver)


def test_released_call_takes_the_money_of_its_hold_over(approved):
    desk = spending_desk(cap=100)
    limit_entry(desk, write_quota_per_hour=0)
    held = once(desk)

    release = approved(held)
    ran = once(desk, approval=str(release.pk))

    assert (held.decision.effect, ran.decision.effect) == (Effect.HOLD, Effect.ALLOW)
    assert counter(desk).day_spent == 100
    told = {one.decision: (one.ended, one.is_held) for one in Reservation.objects.all()}
    assert told == {held.id: ("freed", True), ran.id: ("", False)}
    assert Counter.objects.get(key__startswith="entry:").hour_records == 1


def test_release_that_nobody_used_gives_its_money_back(approved):
    desk = spending_desk()
    limit_entry(desk, write_quota_per_hour=0)
    held = once(desk)
    approved(held)
    now = timekeeper.now()

    assert (settle_overdue(now), settle_overdue(now + timedelta(hours=2))) == (0, 1)
    assert counter(desk).day_spent == 0


def test_release_lets_a_sum_go_on_once_and_it_counts(approved):
    desk = gated_desk(above=1000)
    first = {"claim": "CL-1", "amount": 900, "currency": "EUR"}
    second = {**first, "claim": "CL-2"}
    once(desk, parameters=first)
    held = once(desk, parameters=second)

    release = approved(held)
    ran = once(desk, parameters=second, approval=str(release.pk))

    assert (held.decision.code, ran.decision.effect) == ("gate.sum", Effect.ALLOW)
    assert Movement.objects.count() == 2
    assert pays(desk, 100, claim="CL-3") == "gate.sum"


def test_old_counts_are_forgotten_and_what_counts_is_not():
    desk = gated_desk(above=1000)
    once(desk, parameters={"claim": "CL-1", "amount": 900, "currency": "EUR"})
    now = timekeeper.now()

    assert (forget_old(now), forget_old(now + timedelta(days=90))) == (0, 1)
    assert not Movement.objects.exists()


def test_asking_again_for_a_held_call_reserves_nothing_more():
    desk = spending_desk()
    limit_entry(desk, write_quota_per_hour=0)

    decide([desk.ask()] * 3, desk.caller)

    assert counter(desk).day_spent == 100
    assert Reservation.objects.count() == 1


def test_settling_and_deciding_at_once_lose_nothing():
    desk = spending_desk(cap=100_000)
    answers = [once(desk) for _ in range(16)]

    def both(number):
        report(desk, answers[number], cost_minor=7, currency="EUR")
        return once(desk)

    assert set(codes(at_once(16, both))) == {""}
    assert counter(desk).day_spent == 16 * 7 + 16 * 100


# What it costs


def test_tokens_cost_what_their_model_takes():
    ModelPrice.objects.create(
        provider="meridian", model="M2", input_minor=300, output_minor=1500, currency="EUR"
    )
    desk = spending_desk(cost=0)

    report(
        desk,
        once(desk),
        tokens=[{"provider": "meridian", "model": "M2", "input": 1_000_000, "output": 10_000}],
    )

    assert counter(desk).day_spent == 315


def test_newest_valid_price_counts():
    long_ago = datetime(2025, 1, 1, tzinfo=UTC)
    common = {"provider": "meridian", "model": "M2", "output_minor": 0}
    ModelPrice.objects.create(**common, input_minor=100, valid_from=long_ago)
    ModelPrice.objects.create(
        **common, input_minor=200, valid_from=timekeeper.now() - timedelta(days=1)
    )
    ModelPrice.objects.create(
        **common, input_minor=999, valid_from=timekeeper.now() + timedelta(days=1)
    )
    desk = spending_desk(cost=0)

    report(desk, once(desk), tokens=[{"provider": "meridian", "model": "M2", "input": 1_000_000}])

    assert counter(desk).day_spent == 200


def test_meters_cost_by_the_unit():
    Meter.objects.create(slug="compute-minute", unit_minor="1.5")
    desk = spending_desk(cost=0)

    report(desk, once(desk), meters=[{"meter": "compute-minute", "units": 2.5}])

    assert counter(desk).day_spent == 4


@pytest.mark.parametrize(
    "spent",
    [
        {"tokens": [{"provider": "nobody", "model": "X", "input": 1}]},
        {"meters": [{"meter": "nothing", "units": 1}]},
        {"cost_minor": 5, "currency": "XTS"},
    ],
)
def test_unknown_price_is_said_and_nothing_is_settled(spent):
    desk = spending_desk()
    answer = once(desk)

    with pytest.raises(UnknownPrice):
        report(desk, answer, **spent)

    assert counter(desk).day_spent == 100
    report(desk, answer, cost_minor=5, currency="EUR")
    assert counter(desk).day_spent == 5


# Sums under a gate


def gated_desk(above=1000, hours=24, **more):
    gates = {"amount": {"above": above, "currency": "EUR", "hours": hours}}
    schema = {
        "type": "object",
        "properties": {
            "claim": {"type": "string"},
            "amount": {"type": "integer", "x-muster-unit": "minor"},
            "currency": {"type": "string"},
        },
    }
    fields = {"gates": gates, "schema": schema, "currency_parameter": "currency"}
    return make_desk(tool_fields={"effect": "financial", **fields, **more})


def pays(desk, amount, currency="EUR", *, claim="CL-1", agent=None, caller=None):
    parameters = {"claim": claim, "amount": amount, "currency": currency}
    ask = desk.ask(parameters=parameters, agent=agent or desk.agent.slug)
    (answer,) = decide([ask], caller or desk.caller)
    return answer.decision.code


def test_three_payments_do_not_pass_below_the_gate():
    desk = gated_desk(above=1000)

    assert [pays(desk, 400, claim=f"CL-{n}") for n in range(3)] == ["", "", "gate.sum"]
    assert Movement.objects.count() == 2
    # What is small enough for what is left goes on.
    assert pays(desk, 200) == ""


def test_two_agents_of_one_owner_share_the_sum():
    desk = gated_desk(above=1000)
    other = make_agent(desk.owner)
    AllowlistEntry.objects.create(agent=other, tool=desk.tool)
    desk.role.agents.add(other)
    caller = caller_of(make_client(agent=other))

    assert pays(desk, 600) == ""
    assert pays(desk, 600, agent=other.slug, caller=caller) == "gate.sum"


def test_two_currencies_share_the_sum():
    CurrencyRate.objects.create(currency="EUR", worth=1)
    CurrencyRate.objects.create(currency="USD", worth="0.9")
    desk = gated_desk(above=1000)

    assert pays(desk, 1000, "USD") == ""
    assert pays(desk, 101, "EUR") == "gate.sum"
    assert pays(desk, 100, "EUR") == ""


def test_currency_without_a_rate_is_held():
    desk = gated_desk()

    assert pays(desk, 1, "XTS") == "gate.currency"


def test_sum_in_a_currency_that_has_no_rate_is_held():
    desk = gated_desk()
    assert pays(desk, 1, "EUR") == ""

    desk.tool.gates = {"amount": {"above": 1000, "currency": "USD"}}
    desk.tool.save()

    assert pays(desk, 1, "USD") == "gate.currency"


def test_sum_slides_over_the_edge_of_a_day():
    desk = gated_desk(above=1000, hours=24)
    pays(desk, 900)

    Movement.objects.update(at=timekeeper.now() - timedelta(hours=23, minutes=59))
    assert pays(desk, 900) == "gate.sum"

    Movement.objects.update(at=timekeeper.now() - timedelta(hours=24, minutes=1))
    assert pays(desk, 900) == ""


def test_sums_hold_under_a_race():
    desk = gated_desk(above=1000)
    pays(desk, 0)

    found = at_once(16, lambda n: pays(desk, 100, claim=f"CL-{n}"))

    assert sorted(found) == [""] * 10 + ["gate.sum"] * 6


# Pages and the circuit breaker


def test_page_is_written_once_for_each_window():
    desk = make_desk()
    limit_entry(desk, rate_per_hour=1)

    decide([desk.ask()] * 5, desk.caller)

    page = Page.objects.get()
    assert (page.kind, page.tool) == ("rate", desk.tool.name)
    assert page.window == f"hour:{int(time.time() // 3600)}"
    assert page.detail["limit"] == 1


def test_agent_with_too_many_denials_is_stopped(settings):
    settings.MUSTER_BREAKER_DENIALS = dict.fromkeys(settings.MUSTER_BREAKER_DENIALS, 3)
    desk = make_desk()

    found = codes(once(desk, tool="gone") for _ in range(4))

    assert found == ["allowlist.not_listed"] * 3 + ["identity.not_active"]
    assert Page.objects.get().kind == "denials"
    assert Agent.objects.get(pk=desk.agent.pk).state_reason.startswith("Too many")


def test_denials_of_whoever_is_not_the_agent_do_not_count(settings):
    settings.MUSTER_BREAKER_DENIALS = dict.fromkeys(settings.MUSTER_BREAKER_DENIALS, 1)
    desk, stranger = make_desk(), make_desk()

    (answer,) = decide([desk.ask()], stranger.caller)

    assert answer.decision.code == "identity.mismatch"
    assert not Stop.objects.exists()


def test_stop_that_was_lost_after_the_commit_is_repaired(monkeypatch):
    desk = spending_desk(cap=50)
    monkeypatch.setattr("authz.services.stops.suspend_at_once", lambda _: None)

    assert once(desk).decision.code == "spend.cap"
    monkeypatch.undo()

    assert Agent.objects.get(pk=desk.agent.pk).state == AgentState.ACTIVE
    assert (suspend_stopped(), suspend_stopped()) == (1, 0)
    assert Agent.objects.get(pk=desk.agent.pk).state == AgentState.SUSPENDED


# Observe mode


def test_observed_row_goes_on_above_its_limits_and_is_stopped_by_none():
    desk = spending_desk(cap=50, **observed())
    limit_entry(desk, write_quota_per_hour=0, rate_per_hour=1)
    limit_agent(desk, rate_per_hour=1)

    answers = [once(desk) for _ in range(2)]

    assert [answer.allowed for answer in answers] == [True, True]
    assert not Stop.objects.exists()
    assert not Page.objects.exists()
