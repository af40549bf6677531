"""Characters that are not seen, or are taken for others."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from governance.unseen import beginning, pieces


def told(text: str) -> list[str]:
    return [piece.name for piece in pieces(text) if piece.name]


@given(st.text())
def test_pieces_together_are_the_text(text: str) -> None:
    assert "".join(piece.text for piece in pieces(text)) == text


@given(st.text(alphabet=st.characters(max_codepoint=126, min_codepoint=32)))
def test_plain_text_is_told_as_it_is(text: str) -> None:
    assert told(text) == []


@pytest.mark.parametrize(
    "text",
    [
        "Inès Marchal, Øresund, naïve, Straße",
        "Привет, как дела",
        "Καλημέρα κόσμε",
        "שלום",
        "नमस्ते दुनिया",
        "ภาษาไทย",
        "日本語 한국어",
        "5 m², £3, ½",
        "line\nbreak\tand tab",
        "👍",
    ],
)
def test_ordinary_writing_of_any_script_is_left_alone(text: str) -> None:
    assert told(text) == []


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("a\u200bb", ["U+200B zero width space"]),
        ("a\u202eb", ["U+202E right-to-left override"]),
        ("a\u2066b", ["U+2066 left-to-right isolate"]),
        ("a\ufeffb", ["U+FEFF zero width no-break space"]),
        ("a\u00adb", ["U+00AD soft hyphen"]),
        ("a\u00a0b", ["U+00A0 no-break space"]),
        ("a\u3164b", ["U+3164 hangul filler"]),
        ("a\u2800b", ["U+2800 braille pattern blank"]),
        ("a\U000e0041", ["U+E0041 tag latin capital letter a"]),
        ("a\x1b[31m", ["U+001B unnamed character"]),
        ("a\ue000", ["U+E000 unnamed character"]),
        ("pаypal", ["U+0430 cyrillic small letter a"]),
        ("аррӏе", None),
        ("scоpe", ["U+043E cyrillic small letter o"]),
        ("Αdmin", ["U+0391 greek capital letter alpha"]),
        ("ｐay", ["U+FF50 fullwidth latin small letter p"]),
        ("𝐩ay", ["U+1D429 mathematical bold small p"]),
        ("①", ["U+2460 circled digit one"]),
        ("e\u0301", ["U+0301 combining acute accent"]),
        ("1\u0336", ["U+0336 combining long stroke overlay"]),
    ],
)
def test_what_deceives_is_told_by_code_point_and_name(text: str, names: list[str] | None) -> None:
    found = told(text)

    assert found == names if names is not None else len(found) == 4


def test_piled_up_marks_are_told() -> None:
    assert told("न" + "\u0941" * 30) == ["U+0941 devanagari vowel sign u × 28"]


def test_a_beginning_is_so_long_and_tells_so_much() -> None:
    assert beginning("x" * 900, characters=600, told=30) == "x" * 600
    assert beginning("a\u200b" * 50, characters=600, told=30) == "a\u200b" * 30 + "a"
    assert beginning("short", characters=600, told=30) == "short"
