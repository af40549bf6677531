"""When a number is unusual, and what is said of it."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lifecycle.anomalies import rules, words
from lifecycle.anomalies.counting import destination, hour_of
from lifecycle.anomalies.rules import HOUR

MONDAY = datetime(2026, 11, 23, 13, tzinfo=UTC)  # 14 o'clock in Copenhagen
PLACE = "Europe/Copenhagen"


def test_like_hours_are_the_same_time_of_like_days() -> None:
    like = rules.like_hours(MONDAY, PLACE)

    assert len(like) == 59  # twenty workdays, three hours each, but for the first
    assert {each.astimezone(UTC).hour for each in like} == {12, 13, 14}
    assert {each.weekday() for each in like} == {0, 1, 2, 3, 4}
    assert min(like) >= MONDAY - rules.LOOK_BACK - HOUR
    assert max(like) <= MONDAY - rules.LEFT_OUT


def test_like_hours_of_a_weekend_are_those_of_weekends() -> None:
    sunday = MONDAY - timedelta(days=1)

    assert {each.weekday() for each in rules.like_hours(sunday, PLACE)} == {5, 6}
    assert len(rules.weekend_hours(sunday, PLACE)) == 169
    assert rules.weekend_hours(MONDAY, PLACE) == ()


def test_like_hours_follow_the_clocks_of_the_owner() -> None:
    after = datetime(2026, 10, 28, 13, tzinfo=UTC)  # the clocks went back on the 25th

    hours = {each.hour for each in rules.same_time(after, PLACE)}

    assert hours == {11, 12, 13, 14}  # 13 to 15 o'clock there, in summer and in winter


@pytest.mark.parametrize(
    ("count", "mean", "chance"),
    [(0, 3.0, 1.0), (3, 3.0, 1.0), (5, 1.0, 0.003660), (10, 3.0, 0.001102), (200, 100.0, 2.7e-18)],
)
def test_poisson_tail(count: int, mean: float, chance: float) -> None:
    assert rules.poisson_tail(count, mean) == pytest.approx(chance, rel=0.05)


@given(st.floats(0.01, 500), st.integers(1, 30))
def test_rare_count_is_the_first_that_is_rare(mean: float, groups: int) -> None:
    limit = rules.rare_count(mean * groups, groups)

    assert limit % groups == 0
    assert rules.poisson_tail(limit // groups, mean) < rules.RARE
    assert rules.poisson_tail(limit // groups - 1, mean) >= rules.RARE


@given(st.floats(0.01, 500), st.floats(1, 30), st.floats(0.1, 20))
def test_limit_rises_with_what_is_usual_and_with_scatter(
    mean: float, spread: float, more: float
) -> None:
    limit = rules.rare_count(mean, spread)

    assert limit > mean
    assert rules.rare_count(mean + more, spread) >= limit


def test_what_scatters_more_has_a_higher_limit() -> None:
    steady, clustered = [5] * 60, [0, 0, 0, 0, 25] * 12

    assert rules.usual_calls(steady).limit < rules.usual_calls(clustered).limit
    assert sum(clustered) == sum(steady)


def test_false_alarm_raises_the_limit_above_itself() -> None:
    assert rules.usual_calls([5] * 60, raised_to=300).limit == 301
    assert rules.usual_denials(20, [(20, 1)] * 50, raised_to=19).limit == 20


def test_nothing_below_the_most_of_four_weeks_is_unusual() -> None:
    assert rules.usual_calls([1] * 59 + [400]).limit == 401


def test_few_denials_are_never_unusual() -> None:
    assert rules.usual_denials(5, [(100, 0)] * 100).limit == rules.FEWEST_DENIED


@pytest.mark.parametrize(
    ("counts", "news"),
    [
        ([200, 150, 60], True),
        ([49], False),  # too few calls to know
        ([50], True),
        ([100, 1, 1], False),  # it goes somewhere else now and then
        ([1] * 400, False),  # it goes somewhere else every time
        ([3] * rules.MOST_VALUES, False),
        ([], False),
    ],
)
def test_when_a_place_is_news(counts: list[int], news: bool) -> None:
    assert rules.is_news(counts) is news


def test_false_alarms_of_a_steady_agent_are_as_rare_as_is_said() -> None:
    """Ten thousand hours of an agent whose calls come by chance, in runs of one to six."""
    dice = random.Random(11)
    hours = [
        sum(dice.randint(1, 6) for _ in range(dice.choice([0, 1, 1, 2, 3]))) for _ in range(10_060)
    ]

    alarms = sum(
        hours[at] >= rules.usual_calls(hours[at - 60 : at]).limit for at in range(60, 10_060)
    )

    assert alarms == 0


@pytest.mark.parametrize(
    ("resource", "effect", "value"),
    [
        ("chat/#support", "external_communication", "chat/#support"),
        ("web/https://Free-Leads.example:8443/a?b", "read", "free-leads.example"),
        ("crm/4711", "read", ""),
        ("crm/4711", "write", "crm/4711"),
        ("web/https://[broken", "write", ""),
    ],
)
def test_destination(resource: str, effect: str, value: str) -> None:
    assert destination(resource, effect) == value


def test_hour_of_an_instant() -> None:
    assert hour_of(MONDAY + timedelta(minutes=59, microseconds=3)) == MONDAY


@pytest.mark.parametrize(
    ("kind", "tool", "detail", "said"),
    [
        (
            "volume",
            "refund.issue",
            {"most": 14, "zone": PLACE},
            (
                "desk called refund.issue 220 times on Mon 23 Nov from 14:00 to 15:00 CET; "
                "usual at such hours is 6.1, the most in four weeks was 14."
            ),
        ),
        (
            "off_hours",
            "",
            {"never": "night", "zone": "UTC"},
            (
                "desk made 220 calls on Mon 23 Nov from 13:00 to 14:00 UTC; "
                "in four weeks it made none around that time of day."
            ),
        ),
        (
            "denials",
            "",
            {"most": 3, "asked": 1234},
            (
                "220 of 1,234 calls of desk were denied on Mon 23 Nov from 13:00 to 14:00 UTC; "
                "usual for so many is 6.1, the most in an hour of four weeks was 3."
            ),
        ),
        (
            "new_destination",
            "chat.post",
            {"value": "chat/#exfil", "asked": 412, "places": 3},
            (
                "desk reached chat/#exfil with chat.post for the first time "
                "on Mon 23 Nov from 13:00 to 14:00 UTC; 412 calls before went to 3 places."
            ),
        ),
        (
            "new_resource_type",
            "",
            {"value": "payroll", "asked": 60, "places": 1},
            (
                "desk touched payroll for the first time on Mon 23 Nov from 13:00 to 14:00 UTC; "
                "its 60 calls before touched one place."
            ),
        ),
    ],
)
def test_sentence(kind: str, tool: str, detail: dict[str, object], said: str) -> None:
    given = {"agent": "desk", "window": MONDAY, "observed": 220, "expected": 6.1}

    assert words.sentence(kind=kind, tool=tool, detail=detail, **given) == said  # type: ignore[arg-type]
