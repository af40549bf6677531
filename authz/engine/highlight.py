"""A policy's text in lines of coloured words, for showing it; reads any text and never fails."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from authz.engine.cedar_text import tokens_and_comments

_EFFECTS = frozenset({"permit", "forbid"})
_WORDS = frozenset(
    (
        *("principal", "action", "resource", "context", "when", "unless", "true", "false"),
        *("if", "then", "else", "in", "is", "has", "like"),
    )
)
_NAME = re.compile(r"\w+\Z")


@dataclass(frozen=True, slots=True)
class Word:
    """A stretch of one line. `kind` is effect, word, text, number, note, type, sign or ""."""

    kind: str
    text: str


def highlight(text: str) -> list[list[Word]]:
    """The lines of `text`, each as its words; joined again they are the text."""
    lines: list[list[Word]] = [[]]
    for kind, piece in _pieces(text):
        first, *rest = piece.split("\n")
        _add(lines[-1], kind, first)
        for part in rest:
            lines.append([])
            _add(lines[-1], kind, part)
    return lines


def _add(line: list[Word], kind: str, text: str) -> None:
    if text:
        line.append(Word(kind, text))


def _pieces(text: str) -> Iterator[tuple[str, str]]:
    end = 0
    for match in tokens_and_comments(text):
        if match.start() > end:
            yield "", text[end : match.start()]
        yield _kind(match.group(), text, match.end()), match.group()
        end = match.end()
    yield "", text[end:]


def _kind(word: str, text: str, end: int) -> str:
    if word.startswith("//"):
        return "note"
    if word.startswith('"'):
        return "text"
    if not _NAME.match(word):
        return "sign"
    return _kind_of_name(word, text.startswith("::", end))


def _kind_of_name(word: str, names_type: bool) -> str:
    if names_type:
        return "type"
    if word.isdigit():
        return "number"
    return "effect" if word in _EFFECTS else "word" if word in _WORDS else ""
