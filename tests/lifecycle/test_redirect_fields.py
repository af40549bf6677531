"""The field of the owner's form that takes one address a line."""

import pytest
from django import forms

from lifecycle.forms import LinesField

TWO = ["https://a.example/back", "http://127.0.0.1:8765/back"]


class Lines(forms.Form):
    lines = LinesField(required=False)


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("", []),
        (" \r\n \n", []),
        ("https://a.example/back\r\n http://127.0.0.1:8765/back \n\n", TWO),
        ("one, two", ["one, two"]),
    ],
)
def test_each_line_is_one(text: str, lines: list[str]) -> None:
    form = Lines({"lines": text})

    assert form.is_valid()
    assert form.cleaned_data == {"lines": lines}


def test_what_is_there_stands_one_a_line() -> None:
    shown = str(Lines(initial={"lines": TWO})["lines"])

    assert "https://a.example/back\nhttp://127.0.0.1:8765/back</textarea>" in shown
