"""`muster check`: is an agent in order? The gate of a pipeline."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

import click

from . import shown
from .exits import FOUND, Ending
from .remote import chosen, where


@click.command(name="check", cls=Ending)
@click.argument("agent")
@where
@click.option("--json", "as_json", is_flag=True, help="JSON instead of lines.")
@click.pass_context
def command(ctx: click.Context, agent: str, url: str, allow_http: bool, as_json: bool) -> None:
    """Look whether AGENT is in order; ends with 1 where it is not.

    The agent's own access token in MUSTER_TOKEN is enough.
    """
    with chosen(url, allow_http=allow_http) as remote:
        told = remote.get(f"/api/v1/agents/{quote(agent, safe='')}/check")
    if as_json:
        shown.as_json(told)
    else:
        _lines(told)
    if told.get("passed") is not True:
        ctx.exit(FOUND)


def _lines(told: dict[str, Any]) -> None:
    said = "is in order" if told.get("passed") is True else "is not in order"
    state, tier = shown.printable(told.get("state")), shown.printable(told.get("tier"))
    click.echo(f"{shown.printable(told.get('agent'))} {said}: {state}, {tier}.")
    for each in told.get("findings") or ():
        mark = "✗" if each.get("fails") else "·"
        click.echo(f"{mark} {shown.printable(each.get('sentence'))}")
