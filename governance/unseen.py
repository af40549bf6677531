"""What the eye does not see, or takes for something else, in text that others wrote.

A text is told as pieces: as it is, or, where a character cannot be seen, moves others about, or
looks like another one, that character by code point and name.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby

PLAIN = frozenset("\n\t ")
# Letters and symbols that are drawn as nothing.
_BLANK = frozenset("\u115f\u1160\u2800\u3164\uffa0\u034f\u17b4\u17b5")
# Letters of other scripts that are drawn as a Latin letter.
_LIKE_LATIN = frozenset(
    "аеорсухіјѕһԁԛԝАВЕКМНОРСТУХІЈЅԌԚԜҮүҺӏ"  # Cyrillic
    "αοενικρτυχωγΑΒΕΖΗΙΚΜΝΟΡΤΥΧϲϳ"  # Greek
    "օսցոհԛՏՍԼցզ"  # Armenian
    "ᎪᏴᏟᎠᎬᏀᎻᎥᎫᏦᏞᎷᏢᎡᏚᎢᏙᎳᏃ"  # Cherokee
)
# Where marks stand upon letters in ordinary writing; beyond so many they cover other lines.
_MOST_MARKS = 2


@dataclass(frozen=True, slots=True)
class Piece:
    """A piece of a text; `name` says what a character is that must be told."""

    text: str
    name: str = ""


def pieces(text: str) -> Iterator[Piece]:
    """The text, piece by piece; put together they are the text again."""
    told = _told(text)
    for hidden, run in groupby(enumerate(text), key=lambda each: each[0] in told):
        characters = [character for _, character in run]
        if hidden:
            yield from map(_named, ("".join(same) for _, same in groupby(characters)))
        else:
            yield Piece("".join(characters))


def beginning(text: str, *, characters: int, told: int) -> str:
    """As much of a text as a page shows at once: so many characters, and so many told pieces."""
    shown, names = "", 0
    for piece in pieces(text[:characters]):
        names += bool(piece.name)
        if names > told:
            break
        shown += piece.text
    return shown


def _named(same: str) -> Piece:
    """A character that is told, once for all times that it follows itself."""
    name = unicodedata.name(same[0], "unnamed character").lower()
    times = f" × {len(same)}" if len(same) > 1 else ""
    return Piece(same, f"U+{ord(same[0]):04X} {name}{times}")


def is_plain(text: str) -> bool:
    """Whether it is certain at a glance that nothing of it must be told."""
    return text.isascii() and text.isprintable()


def _told(text: str) -> set[int]:
    """The places of the characters that must be told."""
    if is_plain(text):
        return set()
    found = {place for place, each in enumerate(text) if _is_unseen(each) or _is_styled(each)}
    return found | set(_marks(text)) | set(_disguised(text))


def _is_unseen(character: str) -> bool:
    if character in PLAIN:
        return False
    return character in _BLANK or unicodedata.category(character)[0] in "CZ"


def _is_styled(character: str) -> bool:
    """A form that stands for plain letters, digits or signs: wide, bold, circled, ligatures.

    Three dots in one are ordinary writing.
    """
    return (
        ord(character) > 0xFF
        and character != "…"
        and unicodedata.normalize("NFKC", character).isascii()
    )


def _marks(text: str) -> Iterator[int]:
    """Marks upon Latin letters, digits and signs, and those that pile up on any letter."""
    base, piled = "", 0
    for place, character in enumerate(text):
        if unicodedata.category(character)[0] != "M":
            base, piled = character, 0
            continue
        piled += 1
        if not base or ord(base) < 0x250 or piled > _MOST_MARKS:
            yield place


def _disguised(text: str) -> Iterator[int]:
    """Letters that are drawn as Latin ones: among Latin letters, or in a text that has no other
    letters of their alphabet, by which one would know it."""
    honest = any(_is_foreign(each) and each not in _LIKE_LATIN for each in text)
    for word in _words(text):
        foreign = [place for place in word if _is_foreign(text[place])]
        alike = all(text[place] in _LIKE_LATIN for place in word)
        if any(_is_latin(text[place]) for place in word) or (alike and not honest):
            yield from foreign


def _words(text: str) -> Iterator[list[int]]:
    for letters, run in groupby(range(len(text)), key=lambda place: text[place].isalpha()):
        if letters:
            yield list(run)


def _is_latin(character: str) -> bool:
    return unicodedata.name(character, "").startswith("LATIN")


def _is_foreign(character: str) -> bool:
    """A letter of another alphabet; one that stands in a Latin word is there to deceive."""
    return unicodedata.name(character, "").startswith(("CYRILLIC", "GREEK", "ARMENIAN", "CHEROKEE"))
