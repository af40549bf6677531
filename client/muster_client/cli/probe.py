"""`muster probe`: aim attacks at an agent's row, and say what would get through."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

import click

from . import shown
from .exits import FOUND, Ending
from .remote import LONG, chosen, where

COLUMNS = {"attack": "Attack", "end": "End", "tool": "Tool", "check": "Stopped by", "title": "What"}


@click.command(name="probe", cls=Ending)
@click.argument("agent")
@where
@click.option("--all", "every", is_flag=True, help="Every attack, not only what gets through.")
@click.option("--json", "as_json", is_flag=True, help="The run as JSON.")
@click.pass_context
def command(
    ctx: click.Context, *, agent: str, url: str, allow_http: bool, every: bool, as_json: bool
) -> None:
    """Run the product's attacks against AGENT's row. Nothing is decided and nothing is changed.

    Ends with 1 where something keeps the row from going live.
    """
    with chosen(url, allow_http=allow_http) as remote, shown.progress(f"Attacking {agent}"):
        run = remote.post(f"/api/v1/agents/{quote(agent, safe='')}/probes", timeout=LONG)
    if as_json:
        shown.as_json(run)
    else:
        _say(run, every=every)
    if run.get("passed") is not True:
        ctx.exit(FOUND)


def _say(run: dict[str, Any], *, every: bool) -> None:
    blocking = set(run.get("blocking") or ())
    rows = [row for row in run.get("results") or () if every or row.get("attack") in blocking]
    if rows:
        shown.table(rows, COLUMNS, empty="")
    ends = run.get("ends") or {}
    counted = ", ".join(f"{many} {shown.printable(end)}" for end, many in sorted(ends.items()))
    said = (
        "Nothing keeps it from going live" if run.get("passed") is True else "It must not go live"
    )
    click.echo(f"{said}: {counted}.")
