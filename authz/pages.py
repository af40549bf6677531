"""What the pages about policies show: a text with its problems, a difference, a list's rows."""

from __future__ import annotations

import difflib
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from authz.cases import Tested, run_cases, world_document
from authz.engine.cases import Result
from authz.engine.cedar_text import MAX_TEXT
from authz.engine.editing import Problem, validate_policies
from authz.engine.highlight import Word, highlight
from authz.engine.world import World, compile_world
from authz.models import Policy
from authz.services.policies import widens
from authz.vocabulary import Vocabulary, named_tools, vocabulary
from governance.kernel.errors import Invalid

MAX_SHOWN_LINES = 1_500


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a shown text; a word is marked where a problem begins at it."""

    number: int
    words: tuple[tuple[Word, bool], ...]
    problems: tuple[Problem, ...] = ()


@dataclass(frozen=True, slots=True)
class Written:
    """A policy that is being written, in the database or not."""

    slug: str
    text: str
    cases: Sequence[Any]


@dataclass(frozen=True, slots=True)
class Preview:
    """A text as it is read: its lines, what is wrong, and what its cases came to."""

    lines: tuple[Line, ...]
    more_lines: int
    problems: tuple[Problem, ...]
    results: tuple[Result, ...]
    vocabulary: Vocabulary | None = None

    @property
    def failing(self) -> int:
        return sum(not result.passed for result in self.results)

    @property
    def is_sound(self) -> bool:
        return not self.problems and not self.failing


def preview(written: Tested, *, words: bool = False) -> Preview:
    """Check a text and run its cases against the register as it is now."""
    document = world_document()
    world = compile_world(document)
    text = written.text[:MAX_TEXT]
    problems = _problems(world, written.text)
    lines = shown_lines(text, problems)
    return Preview(
        lines=tuple(lines[:MAX_SHOWN_LINES]),
        more_lines=max(len(lines) - MAX_SHOWN_LINES, 0),
        problems=tuple(problems),
        results=tuple(_results(written, document)),
        vocabulary=vocabulary(world, named_tools(text, world)) if words else None,
    )


def _problems(world: World, text: str) -> list[Problem]:
    # The engine takes no NUL; the form and the API refuse it before it is saved.
    return validate_policies(world, text.replace("\0", " "))


def _results(written: Tested, document: Mapping[str, Any]) -> list[Result]:
    try:
        return run_cases(written, document=document)
    except Invalid:  # their shape is told beside the forms
        return []


def shown_lines(text: str, problems: Iterable[Problem] = ()) -> list[Line]:
    """The lines of a text, numbered, with their problems."""
    by_line: dict[int, list[Problem]] = defaultdict(list)
    for problem in problems:
        by_line[problem.line].append(problem)
    text = text.replace("\r\n", "\n").replace("\r", "\n").removesuffix("\n")
    return [
        Line(number, _marked(words, by_line[number]), tuple(by_line[number]))
        for number, words in enumerate(highlight(text), 1)
    ]


def alone_word(policy: Policy) -> str:
    """How a version came into force without a second person."""
    return "loaded at the start" if widens(None, policy) else "one person was enough"


def _marked(words: Sequence[Word], problems: Sequence[Problem]) -> tuple[tuple[Word, bool], ...]:
    places = {problem.column - 1 for problem in problems}
    found, start = [], 0
    for word in words:
        end = start + len(word.text)
        found.append((word, bool(word.text.strip()) and any(start <= p < end for p in places)))
        start = end
    return tuple(found)


@dataclass(frozen=True, slots=True)
class Change:
    """One line of a difference. `kind` is added, removed, same or skipped."""

    kind: str
    before: int | None
    after: int | None
    text: str


@dataclass(frozen=True, slots=True)
class Difference:
    """Two texts beside each other, as one list of lines."""

    changes: tuple[Change, ...]
    cut: bool

    @property
    def added(self) -> int:
        return sum(change.kind == "added" for change in self.changes)

    @property
    def removed(self) -> int:
        return sum(change.kind == "removed" for change in self.changes)


def difference(before: str, after: str) -> Difference:
    """What a reader must look at to see what changes between two texts."""
    old, new = before.splitlines(), after.splitlines()
    cut = max(len(old), len(new)) > MAX_SHOWN_LINES
    lines = difflib.unified_diff(old[:MAX_SHOWN_LINES], new[:MAX_SHOWN_LINES], lineterm="", n=3)
    return Difference(tuple(_changes(list(lines)[2:])), cut)


def _changes(lines: Iterable[str]) -> Iterator[Change]:
    before = after = 0
    for line in lines:
        if line.startswith("@@"):
            old, new = line.split()[1:3]
            before, after = (int(part[1:].split(",")[0]) or 1 for part in (old, new))
            if after > 1:
                yield Change("skipped", None, None, f"from line {after}")
        elif line.startswith("-"):
            yield Change("removed", before, None, line[1:])
            before += 1
        elif line.startswith("+"):
            yield Change("added", None, after, line[1:])
            after += 1
        else:
            yield Change("same", before, after, line[1:])
            before, after = before + 1, after + 1


def case_difference(before: Policy | None, after: Policy) -> list[tuple[str, str]]:
    """How the cases of two versions differ: word (added, removed, changed) and name."""
    old = {case["name"]: case for case in (before.cases if before else ())}
    new = {case["name"]: case for case in after.cases}
    told = [("removed", name) for name in old if name not in new]
    told += [("added", name) for name in new if name not in old]
    told += [("changed", name) for name in new if name in old and new[name] != old[name]]
    return told
