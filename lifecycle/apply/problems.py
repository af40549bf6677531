"""What is wrong with an inventory, and exactly where."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from governance.kernel.errors import Invalid

MOST_SHOWN = 100


@dataclass(frozen=True, slots=True, order=True)
class Place:
    """Where something stands: lines and columns count from 1."""

    file: str
    line: int = 1
    column: int = 1

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}"


@dataclass(frozen=True, slots=True, order=True)
class Problem:
    """One thing that is wrong."""

    place: Place
    message: str

    def __str__(self) -> str:
        return f"{self.place}: {self.message}"


class BadInventory(Invalid):
    """The inventory cannot be applied, and nothing was changed."""

    code = "bad_inventory"

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = sorted(set(problems))
        super().__init__("\n".join(self.lines()))

    def lines(self) -> list[str]:
        """One line a problem, in the order of the files."""
        lines = [str(problem) for problem in self.problems[:MOST_SHOWN]]
        if more := len(self.problems) - len(lines):
            lines.append(f"… and {more} more.")
        return lines


def nearest(word: str, known: Sequence[str]) -> str:
    """“Did you mean …?” for the most alike of `known`, empty when none is alike."""
    alike = difflib.get_close_matches(word[:100], known, n=1, cutoff=0.6)
    return f" Did you mean “{alike[0]}”?" if alike else ""


def shown(text: str) -> str:
    """`text` as it may stand in a message: short, on one line, with no control characters."""
    short = text if len(text) <= 80 else text[:79] + "…"
    return "“" + "".join(c if c.isprintable() else ascii(c)[1:-1] for c in short) + "”"
