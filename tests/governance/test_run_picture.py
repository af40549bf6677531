"""The picture of a run: height is tier, and what would sink is crossed on the label's line."""

import datetime as dt
from collections import Counter
from xml.etree import ElementTree

from hypothesis import given
from hypothesis import strategies as st

from governance.pictures import Place, Run, Turn, run_picture

TIERS = ("restricted", "confidential", "internal", "public")
NOON = dt.datetime(2026, 11, 23, 12, tzinfo=dt.UTC)


def at(seconds: float) -> dt.datetime:
    return NOON + dt.timedelta(seconds=seconds)


DUMP = Run(
    places=(
        Place(at(0), "internal", "allow", caption="ticket.read"),
        Place(at(5), "confidential", "allow", caption="crm.contact.read"),
        Place(at(9), "confidential", "allow", wrote=True, caption="portal.message.post"),
        Place(at(12), "internal", "deny", wrote=True, below="confidential", caption="chat.post"),
        Place(at(15), "confidential", "hold", wrote=True, caption="refund.issue"),
    ),
    turns=(Turn(at(0), "internal"), Turn(at(5), "confidential")),
    tainted_at=at(0),
)


def parsed(svg: str) -> ElementTree.Element:
    return ElementTree.fromstring(svg)


def classes(svg: str) -> Counter[str]:
    return Counter(element.get("class", "") for element in parsed(svg).iter())


def found(svg: str, class_: str) -> list[ElementTree.Element]:
    return [element for element in parsed(svg).iter() if element.get("class") == class_]


def floor(svg: str, tier: str) -> str:
    """The lower edge of a tier's band."""
    return found(svg, "level")[TIERS.index(tier)].get("y1", "")


def test_run_draws_each_call_in_the_mark_of_its_effect():
    drawn = classes(run_picture(DUMP))

    assert (drawn["mark-allow"], drawn["mark-deny"], drawn["mark-hold"]) == (3, 1, 1)


def test_run_places_the_label_along_the_lower_edge_of_its_tier():
    svg = run_picture(DUMP)
    paths = {tier: found(svg, f"flow {tier}")[0].get("d", "") for tier in TIERS[1:3]}
    (step,) = found(svg, "step")

    heights = {tier: path.partition(" ")[2].partition("H")[0] for tier, path in paths.items()}

    assert heights == {tier: floor(svg, tier) for tier in paths}
    assert step.get("d", "").endswith(f"V{floor(svg, 'confidential')}")


def test_run_crosses_what_would_sink_on_the_line_of_its_label():
    svg = run_picture(DUMP)
    (cross,) = found(svg, "cross-ground")
    (mark,) = found(svg, "mark-deny")
    end = mark.get("d", "").partition("l")[0].split()[1]

    assert cross.get("cy") == floor(svg, "confidential")
    assert classes(svg)["flow sinks"] == 1
    assert float(end) > float(floor(svg, "confidential"))


def test_run_that_writes_level_or_up_crosses_nothing():
    level = Run(DUMP.places[:3], DUMP.turns, DUMP.tainted_at)

    drawn = classes(run_picture(level))

    assert (drawn["flow sinks"], drawn["cross"]) == (0, 0)


def test_run_marks_where_untrusted_input_was_read():
    svg = run_picture(DUMP)
    clean = Run(DUMP.places, DUMP.turns)

    words = [e.text for e in parsed(svg).iter("text") if "untrusted" in (e.text or "")]

    assert words == ["untrusted input read"]
    assert (classes(svg)["taint"], classes(run_picture(clean))["taint"]) == (2, 0)


def test_run_says_the_picture_in_words():
    assert DUMP.sentence == (
        "2 to read and 3 to write: 3 allowed, 1 denied, 1 held;"
        " the label rose to confidential; untrusted input was read"
    )
    assert parsed(run_picture(DUMP))[0].text == DUMP.sentence


def test_place_says_what_became_of_it():
    assert [place.did for place in DUMP.places] == [
        "read",
        "read",
        "wrote",
        "denied: would write",
        "held: would write",
    ]


def test_run_of_up_to_four_hundred_is_drawn_one_by_one():
    svg = run_picture(Run(DUMP.places[:1] * 400, DUMP.turns))

    assert classes(svg)["mark-allow"] == 400


def test_run_of_a_crowd_counts_by_the_minute_and_buries_no_refusal():
    hour = tuple(Place(at(second * 6), "internal", "allow") for second in range(600))
    crowd = Run((*hour, DUMP.places[3]), DUMP.turns)

    drawn = classes(run_picture(crowd))

    assert 58 <= drawn["mark-allow"] <= 62
    assert (drawn["bar-deny loud"], drawn["mark-deny"]) == (1, 0)
    assert crowd.counts == [("internal", "denied: would write", 1), ("internal", "read", 600)]


def test_short_run_of_a_crowd_is_cut_finely():
    minute = Run(tuple(Place(at(n / 10), "internal", "allow") for n in range(600)), DUMP.turns)

    assert classes(run_picture(minute))["mark-allow"] > 100


def test_run_of_nothing_is_four_empty_bands():
    drawn = classes(run_picture(Run()))

    assert (drawn["band"], drawn["band odd"], drawn["flow public"]) == (2, 2, 0)


def test_run_picture_escapes_the_key():
    assert parsed(run_picture(DUMP, key='"><x')).get("aria-labelledby") == '"><x-t'


seconds = st.floats(0, 100_000)
places = st.builds(
    Place,
    seconds.map(at),
    st.sampled_from(TIERS),
    st.sampled_from(("allow", "deny", "hold")),
    wrote=st.booleans(),
)
turns = st.lists(st.builds(Turn, seconds.map(at), st.sampled_from(TIERS)), max_size=5)


@given(st.lists(places, max_size=20), turns)
def test_run_picture_of_anything_stays_inside_its_box(some, labels):
    svg = parsed(run_picture(Run(tuple(some), tuple(sorted(labels, key=lambda turn: turn.at)))))
    width, height = map(float, svg.get("viewBox", "").split()[2:])

    boxes = [
        (float(e.get(start, "")), float(e.get(start, "")) + float(e.get(size, "")), most)
        for e in svg.iter("rect")
        for start, size, most in (("x", "width", width), ("y", "height", height))
    ]

    assert all(low >= 0 and high <= most for low, high, most in boxes)
