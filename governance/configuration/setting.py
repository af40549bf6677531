"""What a setting is: its name, its type and bounds, and how its text is read."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any
from urllib.parse import urlsplit

ON = frozenset({"on", "true", "yes", "y", "ok", "1"})
OFF = frozenset({"off", "false", "no", "n", "0"})


class Kind(StrEnum):
    """The types of settings, as the reference page names them."""

    TEXT = "text"
    SECRET = "secret"  # noqa: S105 - the name of a type
    WHOLE = "whole number"
    DECIMAL = "number"
    SWITCH = "on or off"
    CHOICE = "one of"
    WORDS = "list"
    JSON = "JSON list"
    FILE = "file"
    FOLDER = "folder"
    ADDRESS = "address"


class Wrong(ValueError):
    """The text of a setting is none that may stand there; the message says what would be right."""


@dataclass(frozen=True)
class Setting:
    """One environment variable.

    `least` and `most` bound a number, `choices` are all the words that a choice or a list may
    hold, `schemes` those that an address may begin with. `family` is the common beginning of names
    that differ by a tier alone. `said` describes the default where it follows from something else.
    `required` keeps a process from starting without it. `told` is for what `./muster up` sets.
    """

    name: str
    kind: Kind
    meaning: str
    default: Any = ""
    unit: str = ""
    least: float | None = None
    most: float | None = None
    choices: tuple[str, ...] = ()
    schemes: tuple[str, ...] = ()
    family: str = ""
    said: str = ""
    required: bool = False
    told: bool = False
    look: Callable[[Any], str] | None = field(default=None, compare=False)

    def read(self, environment: Mapping[str, str]) -> Any:
        """The value in `environment`, of this kind; the default where there is none.

        Raises `Wrong` with a sentence that names the setting and repeats no secret.
        """
        text = environment.get(self.name)
        if text is None or (text == "" and self.kind not in _KEPT_EMPTY):
            if self.required:
                raise Wrong(f"{self.name} is not set. {_SET_BY}")
            return self.default
        try:
            value = _READERS[self.kind](self, text.strip())
            if self.look is not None and (sentence := self.look(value)):
                raise Wrong(sentence)
        except Wrong as error:
            raise Wrong(f"{self.name} {error}") from None
        return value

    @property
    def range(self) -> str:
        """What a number may be, in words: "from 1 to 20", "1 or more"; empty for the rest."""
        if self.least is None:
            return ""
        return (
            f"{self.least:g} or more"
            if self.most is None
            else f"from {self.least:g} to {self.most:g}"
        )


_SET_BY = "`./muster up` sets it; see docs/reference/settings.md."
# A hundred years, and what fits into a column: what is more is a slip of the finger.
_MOST = {
    "": 2_147_483_647,
    "seconds": 31_557_600,
    "minutes": 52_596_000,
    "hours": 876_600,
    "days": 36_525,
    "months": 1_200,
}
# Where nothing between the commas, or no word at all, is an answer and not a silence.
_KEPT_EMPTY = frozenset({Kind.CHOICE, Kind.WORDS})


def _text(_: Setting, text: str) -> str:
    if "\0" in text:
        raise Wrong("holds NUL, which no text here does.")
    return text


def _number(setting: Setting, text: str, made: type[int] | type[float], what: str) -> float:
    unit = f" of {setting.unit}" if setting.unit else ""
    most = setting.most or _MOST.get(setting.unit, _MOST[""])
    bounds = f", {setting.range}" if setting.range else ""
    highest = "" if setting.most else f", at most {most}"
    sentence = f"must be a {what}{unit}{bounds}{highest}."
    try:
        value = made(text)
    except ValueError:
        raise Wrong(sentence) from None
    least = -float("inf") if setting.least is None else setting.least
    # What is no number at all is in no range either.
    if not least <= value <= most:
        raise Wrong(sentence)
    return value


def _whole(setting: Setting, text: str) -> float:
    return _number(setting, text, int, "whole number")


def _decimal(setting: Setting, text: str) -> float:
    return _number(setting, text, float, "number")


def _switch(_: Setting, text: str) -> bool:
    word = text.lower()
    if word not in ON | OFF:
        raise Wrong("must be on or off.")
    return word in ON


def _choice(setting: Setting, text: str) -> str:
    if text not in setting.choices:
        raise Wrong(f"must be one of {', '.join(setting.choices)}.")
    return text


def _words(setting: Setting, text: str) -> list[str]:
    words = [word.strip() for word in text.split(",") if word.strip()]
    if setting.choices and (not words or not set(words) <= set(setting.choices)):
        raise Wrong(f"must name some of {', '.join(setting.choices)}.")
    return words


def _json(_: Setting, text: str) -> Any:
    try:
        found = json.loads(text)
    except ValueError as error:
        where = f" (line {error.lineno})" if isinstance(error, json.JSONDecodeError) else ""
        raise Wrong(f"must be a JSON list, and is no JSON{where}.") from None
    if not isinstance(found, list):
        raise Wrong("must be a JSON list.")
    return found


def _address(setting: Setting, text: str) -> str:
    schemes = ", ".join(f"{scheme}://" for scheme in setting.schemes)
    try:
        found = urlsplit(text)
        # Several hosts, of which one answers, stand with commas between them.
        _ = "," in found.netloc or found.port
    except ValueError:
        raise Wrong(
            f"must be an address that begins with {schemes}, with a port below 65536."
        ) from None
    if setting.schemes and found.scheme not in setting.schemes:
        raise Wrong(f"must be an address that begins with {schemes}.")
    return text


_READERS: Mapping[Kind, Callable[[Setting, str], Any]] = {
    Kind.TEXT: _text,
    Kind.SECRET: _text,
    Kind.FILE: _text,
    Kind.FOLDER: _text,
    Kind.WHOLE: _whole,
    Kind.DECIMAL: _decimal,
    Kind.SWITCH: _switch,
    Kind.CHOICE: _choice,
    Kind.WORDS: _words,
    Kind.JSON: _json,
    Kind.ADDRESS: _address,
}
