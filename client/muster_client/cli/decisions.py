"""`muster decisions tail`: what was decided, as it is decided."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import click

from ..errors import Unavailable
from . import shown
from .exits import Ending
from .remote import Remote, chosen, where

RECORDS = "/api/v1/records"
MOST = 200
# An entry may become visible a moment after one that is newer, so the last of these is read again.
OVERLAP = timedelta(seconds=15)
KEPT = 20_000
EFFECTS = ("allow", "deny", "hold")


@click.group(name="decisions")
def command() -> None:
    """What Muster decided."""


@command.command(name="tail", cls=Ending)
@where
@click.option("-n", "--lines", type=click.IntRange(1, MOST), default=20, help="How many first.")
@click.option("-f", "--follow", is_flag=True, help="Go on with what comes.")
@click.option("--every", type=click.FloatRange(min=0.5), default=2.0, help="Seconds between looks.")
@click.option("--agent", default="", help="Of this agent.")
@click.option("--tool", default="", help="About this tool.")
@click.option("--effect", type=click.Choice(EFFECTS), help="Only these.")
@click.option("--json", "as_json", is_flag=True, help="One JSON text a line.")
def tail(
    *,
    url: str,
    allow_http: bool,
    lines: int,
    follow: bool,
    every: float,
    agent: str,
    tool: str,
    effect: str | None,
    as_json: bool,
) -> None:
    """The newest decisions that you may see, the oldest of them first."""
    asked = {"kind": "decision", "agent": agent, "tool": tool, "effect": effect or ""}
    say = shown.as_line if as_json else _line
    with chosen(url, allow_http=allow_http) as remote:
        for row in newest(remote, asked, lines):
            say(row)
        if follow:
            for row in following(remote, asked, every):
                say(row)


def newest(remote: Remote, asked: dict[str, str], lines: int) -> list[dict[str, Any]]:
    """The last ones, in the order in which they came."""
    return list(reversed(_rows(remote.get(RECORDS, size=lines, **asked))))


def following(remote: Remote, asked: dict[str, str], every: float) -> Iterator[dict[str, Any]]:
    """Each that comes from now on, once, until interrupted.

    What is a moment old is looked at again, so that nothing which came late is passed over.
    """
    told: OrderedDict[str, None] = OrderedDict()
    cursor = _cursor(datetime.now(UTC))
    for row in _after(remote, asked, _earlier(cursor)):
        told[row["id"]] = None
    while True:
        time.sleep(every)
        for row in _after(remote, asked, _earlier(cursor)):
            if row["id"] not in told:
                told[row["id"]] = None
                yield row
            cursor = max(cursor, f"{row['at']}_{row['id']}")
        while len(told) > KEPT:
            told.popitem(last=False)


def _after(remote: Remote, asked: dict[str, str], cursor: str) -> Iterator[dict[str, Any]]:
    """Everything newer than a cursor, the oldest first."""
    while True:
        page = remote.get(RECORDS, size=MOST, before=cursor, **asked)
        rows = _rows(page)
        yield from reversed(rows)
        if not rows or not page.get("newer"):
            return
        cursor = str(page["newer"])


def _rows(page: dict[str, Any]) -> list[dict[str, Any]]:
    rows = page.get("records")
    if not isinstance(rows, list) or not all(
        isinstance(row, dict) and isinstance(row.get("id"), str) and isinstance(row.get("at"), str)
        for row in rows
    ):
        raise Unavailable("The answer is none that Muster gives.")
    return rows


def _cursor(at: datetime) -> str:
    return f"{at:%Y-%m-%dT%H:%M:%S.%f}Z_00000000-0000-0000-0000-000000000000"


def _earlier(cursor: str) -> str:
    at = datetime.strptime(cursor.partition("_")[0], "%Y-%m-%dT%H:%M:%S.%fZ").replace(tzinfo=UTC)
    return _cursor(at - OVERLAP)


def _line(row: dict[str, Any]) -> None:
    why = " ".join(filter(None, (str(row.get("check") or ""), str(row.get("code") or ""))))
    parts = (row["at"][:19], row.get("effect"), row.get("agent"), row.get("tool"), why)
    click.echo("  ".join(shown.printable(each or "-") for each in parts).rstrip(" -"))
