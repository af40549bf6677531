"""`muster agents`: the register as you see it."""

from __future__ import annotations

from urllib.parse import quote

import click

from . import shown
from .exits import Ending
from .remote import chosen, where

COLUMNS = {"slug": "Agent", "state": "State", "tier": "Tier", "owner": "Owner", "name": "Name"}


@click.group(name="agents")
def command() -> None:
    """Agents on the register."""


@command.command(name="list", cls=Ending)
@where
@click.option("--state", default="", help="Only these: active, suspended, draft, …")
@click.option("--json", "as_json", is_flag=True, help="JSON instead of a table.")
def listed(url: str, allow_http: bool, state: str, as_json: bool) -> None:
    """Every agent that you see."""
    with chosen(url, allow_http=allow_http) as remote, shown.progress("Reading the register"):
        rows = [row for row in remote.pages("/api/v1/agents") if state in ("", row.get("state"))]
    if as_json:
        shown.as_json(rows)
    else:
        shown.table(rows, COLUMNS, empty="There is no such agent, or you see none.")


@command.command(name="show", cls=Ending)
@click.argument("agent")
@where
@click.option("--json", "as_json", is_flag=True, help="JSON instead of lines.")
def show(agent: str, url: str, allow_http: bool, as_json: bool) -> None:
    """One row, with all that it says."""
    with chosen(url, allow_http=allow_http) as remote:
        row = remote.get(f"/api/v1/agents/{quote(agent, safe='')}")
    if as_json:
        shown.as_json(row)
    else:
        shown.facts(row, {name: name.replace("_", " ") for name in row})
