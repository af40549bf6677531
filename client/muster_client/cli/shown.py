"""How an answer is shown: a table for people, JSON for programs, nothing that moves the cursor."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import click
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

Row = Mapping[str, Any]


def printable(text: object, *, lines: bool = False) -> str:
    """`text` without what a terminal would act on; line ends stay where `lines` says so.

    >>> printable("a\\x1b[2Jb")
    'a\\\\x1b[2Jb'
    """
    kept = "\n" if lines else ""
    said = text if isinstance(text, str) else json.dumps(text, ensure_ascii=False, default=str)
    return "".join(c if c.isprintable() or c in kept else ascii(c)[1:-1] for c in said)


def as_json(told: Any) -> None:
    """One JSON text, indented."""
    click.echo(json.dumps(told, indent=2))


def as_line(told: Any) -> None:
    """One JSON text on one line, written at once."""
    click.echo(json.dumps(told))
    sys.stdout.flush()


def table(rows: Sequence[Row], columns: Mapping[str, str], *, empty: str) -> None:
    """Rows under headings (field → heading), or the sentence that says that there are none."""
    if not rows:
        click.echo(empty)
        return
    drawn = Table(box=None, header_style="bold", pad_edge=False)
    for heading in columns.values():
        drawn.add_column(heading, overflow="fold")
    for row in rows:
        drawn.add_row(*(Text(_cell(row.get(name))) for name in columns))
    Console(soft_wrap=False, highlight=False).print(drawn)


def facts(told: Row, names: Mapping[str, str]) -> None:
    """One thing, a line for each field (field → its word)."""
    words = {name: printable(word) for name, word in names.items()}
    width = max(map(len, words.values()), default=0)
    for name, word in words.items():
        click.echo(f"{word.ljust(width)}  {_cell(told.get(name)) or '-'}")


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list) and all(isinstance(each, str) for each in value):
        return printable(", ".join(value))
    return printable(value)


@contextmanager
def progress(said: str) -> Iterator[None]:
    """A bar on standard error while something takes long; nothing where no terminal is."""
    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
    with Progress(
        *columns, console=console, transient=True, disable=not console.is_terminal
    ) as bar:
        bar.add_task(said, total=None)
        yield
