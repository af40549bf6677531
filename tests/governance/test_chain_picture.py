"""The picture of a chain: who is behind a call, and where it stopped."""

from __future__ import annotations

from collections import Counter
from xml.etree import ElementTree

from hypothesis import given
from hypothesis import strategies as st

from governance.pictures import Part, chain_picture, chain_sentence

CHAIN = (
    Part("person", "Jane Okafor", "lets it act"),
    Part("agent", "crm-copilot", "hands over"),
    Part("agent", "mail-writer", "calls"),
    Part("tool", "mail.draft"),
)
STOPPED = (
    CHAIN[0],
    Part("agent", "crm-copilot", "not this tool", stopped=True),
    Part("agent", "mail-writer"),
    CHAIN[3],
)


def classes(svg: str) -> Counter[str]:
    found = ElementTree.fromstring(svg).iter()
    return Counter(each.get("class", "") for each in found)


def test_a_chain_that_went_on_is_solid_throughout() -> None:
    drawn = classes(chain_picture(CHAIN))

    assert (drawn["me"], drawn["node"], drawn["cross"]) == (2, 2, 0)
    # A line and its head for each of the three arrows.
    assert (drawn["flow internal"], drawn["flow sinks"], drawn["flow public"]) == (6, 0, 0)


def test_it_is_crossed_where_it_stopped_and_dotted_beyond() -> None:
    drawn = classes(chain_picture(STOPPED))

    assert (drawn["flow internal"], drawn["flow sinks"], drawn["flow public"]) == (2, 2, 2)
    assert drawn["cross"] == 1


def test_its_title_says_the_same_in_words() -> None:
    title = ElementTree.fromstring(chain_picture(STOPPED, key="one"))[0]

    said = chain_sentence(STOPPED)
    assert said == (
        "Jane Okafor lets it act, crm-copilot stopped here: not this tool, mail-writer, mail.draft"
    )
    assert (title.get("id"), title.text) == ("one-t", said)


PARTS = st.builds(
    Part,
    kind=st.sampled_from(["person", "agent", "named", "tool", "other"]),
    name=st.text(st.characters(exclude_categories=("Cs", "Cc")), max_size=80),
    does=st.sampled_from(["", "calls", "hands over"]),
    stopped=st.booleans(),
)


@given(st.lists(PARTS, max_size=6))
def test_whatever_stands_in_it_lies_within_the_picture(parts: list[Part]) -> None:
    svg = chain_picture(parts)

    root = ElementTree.fromstring(svg)
    width = float((root.get("viewBox") or "").split()[2])
    rects = [each for each in root.iter() if each.tag == "rect"]
    ends = [float(each.get("x", "")) + float(each.get("width", "")) for each in rects]
    assert len(rects) == len(parts)
    assert max(ends, default=0) <= width
    assert "\u202e" not in svg
