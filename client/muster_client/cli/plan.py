"""`muster plan`: what an inventory would change."""

from __future__ import annotations

import click

from . import inventories, shown
from .exits import FOUND, Ending
from .remote import LONG, chosen, where


@click.command(name="plan", cls=Ending)
@click.argument("place", type=click.Path(exists=True))
@where
@click.option("--json", "as_json", is_flag=True, help="JSON instead of lines.")
@click.pass_context
def command(ctx: click.Context, place: str, url: str, allow_http: bool, as_json: bool) -> None:
    """Say what applying PLACE, a file or a folder, would change. Nothing is changed.

    Ends with 1 where there is something to do.
    """
    files = inventories.read_files(place)
    with chosen(url, allow_http=allow_http) as remote, shown.progress("Planning"):
        told = remote.post("/api/v1/inventory/plan", {"files": files}, timeout=LONG)
    inventories.say(told, as_json=as_json)
    if told.get("nothing_to_do") is not True:
        ctx.exit(FOUND)
