"""A text in words loses nothing, whatever it is."""

from hypothesis import given
from hypothesis import strategies as st

from authz.engine.highlight import Word, highlight


def test_words_have_their_kinds():
    text = '// Caps it.\npermit(principal in Muster::Role::"a // b", action, resource)\nwhen { 5 };'

    first, second, third = highlight(text)

    assert first == [Word("note", "// Caps it.")]
    kinds = {word.text: word.kind for word in [*second, *third]}
    assert {name: kinds[name] for name in ("permit", "in", "Muster", '"a // b"', "5", "when")} == {
        "permit": "effect",
        "in": "word",
        "Muster": "type",
        '"a // b"': "text",
        "5": "number",
        "when": "word",
    }
    assert kinds["("] == "sign"


def test_text_over_several_lines_is_text_on_each():
    assert highlight('"a\nb"') == [[Word("text", '"a')], [Word("text", 'b"')]]


@given(st.text(st.characters(codec="utf-8"), max_size=200))
def test_lines_joined_are_the_text(text):
    lines = highlight(text)

    assert "\n".join("".join(word.text for word in line) for line in lines) == text


@given(st.text(st.sampled_from('"\\/\n (permit:;é\u202e'), max_size=200))
def test_broken_texts_are_read_too(text):
    assert "\n".join("".join(word.text for word in line) for line in highlight(text)) == text
