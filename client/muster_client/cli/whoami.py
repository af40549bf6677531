"""`muster whoami`: as whom one is signed in, where, and until when."""

from __future__ import annotations

import click

from . import shown
from .exits import Ending
from .remote import chosen, where

FIELDS = {
    "name": "Name",
    "email": "E-mail",
    "id": "Id",
    "groups": "Groups",
    "scope": "May",
    "until": "Until",
    "second_factor_at": "Second factor",
}


@click.command(name="whoami", cls=Ending)
@where
@click.option("--json", "as_json", is_flag=True, help="JSON instead of lines.")
def command(url: str, allow_http: bool, as_json: bool) -> None:
    """Who you are at Muster, and how far this sign-in reaches."""
    with chosen(url, allow_http=allow_http) as remote:
        me = {"url": remote.url, **remote.get("/api/v1/me")}
    if as_json:
        shown.as_json(me)
    else:
        shown.facts(me, {"url": "Muster", **FIELDS})
