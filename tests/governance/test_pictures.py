"""Pictures: what is drawn where, and what is said of it. Parsed as XML, so they are well-formed."""

import datetime as dt
from collections import Counter
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from governance.pictures import (
    CHECKS,
    Bucket,
    Happening,
    Hour,
    Reach,
    ReachNode,
    bars,
    bars_label,
    gauge,
    hours_label,
    hours_picture,
    lanes,
    reach_bands,
    reach_picture,
    steps_from,
    steps_of,
    walk_sentence,
    walk_strip,
)

TIERS = ("restricted", "confidential", "internal", "public")
DESK = Reach(
    "refund-desk",
    reads=(ReachNode("crm", "confidential", "contacts"), ReachNode("docs", "public")),
    writes=(ReachNode("payments", "confidential"), ReachNode("mail-out", "public", "mail.send")),
)


def parsed(svg: str) -> ElementTree.Element:
    return ElementTree.fromstring(svg)


def classes(svg: str) -> Counter[str]:
    return Counter(element.get("class", "") for element in parsed(svg).iter())


def walk(*statuses: str) -> list[tuple[str, str]]:
    padded = [*statuses, *["not_reached"] * (13 - len(statuses))]
    return list(zip(CHECKS, padded, strict=True))


def middle(svg: str, name: str) -> float:
    """The height at which a system's box stands: its text and its box share it."""
    texts = [element for element in parsed(svg).iter("text") if element.text == name]
    return float(texts[0].get("y", ""))


# The walk


@pytest.mark.parametrize(
    ("steps", "sentence"),
    [
        (steps_from("allow", ""), "All 13 checks passed"),
        (
            steps_from("deny", "allowlist"),
            "3 passed, stopped at check 4 of 13, allowlist, 9 not reached",
        ),
        (steps_from("hold", "taint"), "12 passed, held at check 9 of 13, taint"),
        (
            steps_of(walk(*["passed"] * 6, "error")),
            "6 passed, failed at check 7 of 13, policy, 6 not reached",
        ),
        (
            steps_of(walk("passed", "not_applicable", *["passed"] * 5, *["not_built"] * 6)),
            "6 passed, 1 not applicable, 6 not built yet",
        ),
        (
            steps_of(walk("refused")),
            "Stopped at check 1 of 13, identity, 12 not reached",
        ),
    ],
)
def test_walk_sentence_tells_where_it_stopped(steps, sentence):
    assert walk_sentence(steps) == sentence
    assert parsed(walk_strip(steps)).get("aria-label") == sentence


def test_walk_sentence_with_a_refusal_after_a_hold_names_the_refusal():
    steps = steps_of(walk(*["passed"] * 8, "held", "refused"))

    assert walk_sentence(steps) == "8 passed, stopped at check 10 of 13, rate, 3 not reached"


def test_strip_marks_each_status_in_its_own_shape():
    svg = walk_strip(
        steps_of(walk("passed", "not_applicable", "not_built", "held", "refused", "not_reached"))
    )

    assert classes(svg) == {
        "strip": 1,
        "pass": 2,
        "unbuilt": 1,
        "hold": 1,
        "deny": 1,
        "unreached": 8,
    }


def test_steps_of_reads_mappings_objects_and_pairs_alike():
    mapping = {"check": "flow", "status": "refused", "sentence": "Data would sink"}
    other = {"name": "flow", "status": "refused", "message": "Data would sink"}

    (expected,) = steps_of([("flow", "refused", "Data would sink")])

    assert steps_of([mapping]) == (expected,)
    assert steps_of([other]) == (expected,)
    assert steps_of([type("Step", (), mapping)()]) == (expected,)


def test_step_without_a_sentence_says_the_usual_one():
    assert [step.says for step in steps_of(walk("passed", "not_built"))][:3] == [
        "Passed",
        "Not built yet",
        "Not reached",
    ]


# The reach


def test_reach_stands_at_the_highest_tier_that_is_read():
    assert DESK.level == "confidential"
    assert DESK.sinking == ("mail-out",)


def test_reach_without_reads_stands_at_the_bottom_and_sinks_nowhere():
    writer = Reach(
        "writer", writes=(ReachNode("payroll", "restricted"), ReachNode("web", "public"))
    )

    assert writer.level == "public"
    assert writer.sinking == ()


def test_reach_says_the_picture_in_words():
    assert DESK.sentence == (
        "refund-desk reads crm (confidential), docs (public)"
        " and writes payments (confidential), mail-out (public)."
        " Sinking below its reads: mail-out."
    )
    assert parsed(reach_picture(DESK))[0].text == DESK.sentence


def test_reach_says_refused_only_where_the_flow_is_checked():
    checked = Reach(DESK.agent, DESK.reads, DESK.writes, refused=True)

    assert checked.sentence.endswith(" Refused once it has read what lies higher: mail-out.")


def test_reach_picture_draws_what_sinks_dashed_and_crossed_on_the_line():
    svg = parsed(reach_picture(DESK))
    drawn = Counter(element.get("class", "") for element in svg.iter("path"))
    (cross,) = [e for e in svg.iter("circle") if e.get("class") == "cross-ground"]
    lines = [e.get("y1") for e in svg.iter("line")]

    assert drawn == {
        "flow confidential": 2,
        "flow public": 1,
        "flow sinks": 1,
        "cross": 1,
    }
    assert cross.get("cy") == lines[TIERS.index("confidential")]


def test_reach_picture_puts_higher_tiers_higher():
    nodes = tuple(ReachNode(tier, tier) for tier in reversed(TIERS))
    svg = reach_picture(Reach("all", reads=nodes), width=416)

    heights = [middle(svg, tier) for tier in TIERS]

    assert heights == sorted(heights)


def test_reach_picture_groups_a_crowd_of_one_tier_and_owner():
    crowd = tuple(ReachNode(f"s{n}", "internal", owner="Ana") for n in range(9))
    svg = parsed(reach_picture(Reach("busy", reads=crowd)))

    boxes = [e for e in svg.iter("rect") if e.get("class") == "node"]

    assert len(boxes) == 1
    assert [e.text for e in svg.iter("text")][-3:] == ["9 systems", "of Ana", "busy"]


def test_reach_bands_list_everything_from_restricted_down():
    bands = reach_bands(DESK)

    assert [(b.tier, len(b.reads), len(b.writes), b.sinks) for b in bands] == [
        ("confidential", 1, 1, False),
        ("public", 1, 1, True),
    ]


def test_reach_picture_escapes_names():
    hostile = Reach('<script>"&', reads=(ReachNode("<b>", "public", "'\">"),))
    svg = reach_picture(hostile, key='"><x')

    assert "<script>" not in svg
    assert parsed(svg).get("aria-labelledby") == '"><x-t'


names = st.text(st.characters(blacklist_categories=("Cs", "Cc")), min_size=1, max_size=30)
nodes = st.builds(ReachNode, names, st.sampled_from(TIERS), names, names)


@given(st.builds(Reach, names, st.tuples(nodes, nodes), st.lists(nodes, max_size=12).map(tuple)))
def test_reach_picture_of_anything_stays_inside_its_box(reach):
    svg = parsed(reach_picture(reach))
    height = float(svg.get("viewBox", "").split()[3])

    edges = [float(e.get("y", "")) + float(e.get("height", "")) for e in svg.iter("rect")]

    assert max(edges) <= height


# Bars and gauges


def test_bars_draw_the_unusual_hour_in_full_red():
    buckets = [Bucket(f"{hour:02d}", 40, denied=1) for hour in range(23)]
    svg = bars([*buckets, Bucket("23", 40, denied=12, held=2)])

    drawn = classes(svg)

    assert (drawn["bar-allow"], drawn["bar-deny"], drawn["bar-deny loud"]) == (24, 23, 1)
    assert drawn["bar-hold"] == 1


def test_bars_label_tells_totals_and_the_worst():
    label = bars_label([Bucket("10", 1_200, 3), Bucket("11", 40, 9, 1)])

    assert label == "1,240 allowed, 12 denied, 1 held; most were denied at 11: 9"


@pytest.mark.parametrize(
    ("most", "scale"), [(0, "1"), (1, "1"), (104, "120"), (7, "8"), (25_000, "25,000"), (99, "100")]
)
def test_bars_scale_ends_on_a_round_number(most, scale):
    texts = [e.text for e in parsed(bars([Bucket("10", most)])).iter("text")]

    assert texts[0] == scale


def test_bars_of_nothing_are_an_empty_scale():
    assert classes(bars([]))["bar-allow"] == 0


@pytest.mark.parametrize(
    ("used", "limit", "state", "width"),
    [
        (6, 20, "gauge", "30%"),
        (16, 20, "gauge near", "80%"),
        (20, 20, "gauge full", "100%"),
        (25, 20, "gauge full", "100%"),
        (0, 0, "gauge full", "100%"),
    ],
)
def test_gauge_warns_from_four_fifths_and_never_overflows(used, limit, state, width):
    svg = parsed(gauge(used, limit, label="Spend"))

    assert svg.get("class") == state
    assert svg[1].get("width") == width


def test_gauge_shows_no_more_reserved_than_is_left():
    svg = parsed(gauge(15, 20, reserved=10, label="Spend"))

    assert (svg[2].get("x"), svg[2].get("width")) == ("75%", "25%")


# Lanes

NOON = dt.datetime(2026, 11, 23, 12, tzinfo=dt.UTC)
LATER = NOON + dt.timedelta(minutes=50)


def test_lanes_stand_from_restricted_down_each_with_its_marks():
    svg = lanes(
        [
            Happening(NOON, "mail", "public", "deny"),
            Happening(NOON, "claims", "restricted", "hold"),
            Happening(LATER, "crm", "confidential", "allow"),
        ],
        NOON,
        LATER,
    )

    drawn = classes(svg)

    assert middle(svg, "claims") < middle(svg, "crm") < middle(svg, "mail")
    assert (drawn["mark-allow"], drawn["mark-deny"], drawn["mark-hold"]) == (1, 1, 1)
    assert parsed(svg).get("aria-label") == "3 actions on 3 systems: 1 allowed, 1 denied, 1 held"


def test_lanes_tick_at_round_times():
    texts = [e.text for e in parsed(lanes([], NOON, LATER)).iter("text")]

    assert texts == ["12:00", "12:10", "12:20", "12:30", "12:40", "12:50"]


@pytest.mark.parametrize("span", [1, 59, 3_600, 86_400, 86_400 * 31, 86_400 * 400])
def test_lanes_never_tick_more_than_seven_times(span):
    svg = parsed(lanes([], NOON, NOON + dt.timedelta(seconds=span)))

    assert len(list(svg.iter("text"))) <= 7


def test_lanes_of_a_crowd_count_and_bury_no_refusal():
    crowd = [Happening(NOON, "crm", "confidential", "allow")] * 500
    svg = lanes([*crowd, Happening(NOON, "crm", "confidential", "deny")], NOON, LATER)

    drawn = classes(svg)

    assert (drawn["mark-allow"], drawn["bar-deny loud"]) == (1, 1)


# Hours


def test_hours_say_what_they_show_and_mark_the_alert() -> None:
    hours = [Hour("08:00", calls=3, usual=2.0, limit=10), Hour("09:00", 60, 20, 2.0, 10, loud=True)]

    drawn = hours_picture(hours)

    assert hours_label(hours) == (
        "60 calls in one hour of the alert, from 09:00; at most 3 in an hour around it"
    )
    assert [drawn.count(part) for part in ("hour-about", "bar-deny loud", "limit-line")] == [
        1,
        1,
        2,
    ]


def test_hours_escape_their_labels() -> None:
    assert "<b>" not in hours_picture([Hour("<b>", calls=1)])


def test_no_hours_are_drawn_too() -> None:
    assert hours_label([]) == "0 calls in no hour of the alert; at most 0 in an hour around it"
    assert 'class="chart hours"' in hours_picture([])
