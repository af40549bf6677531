"""`muster logout`: end what this terminal may, here and at Muster."""

from __future__ import annotations

import click

from . import kept
from .exits import Ending
from .remote import CLIENT_ID, Remote


@click.command(name="logout", cls=Ending)
def command() -> None:
    """Forget the token and end it at Muster. It is forgotten also where Muster is away."""
    known = kept.read()
    if not known.token:
        click.echo("Nobody is signed in.")
        return
    kept.forget()
    with Remote(known.url) as remote:
        answer = remote.form("/oauth/revoke", client_id=CLIENT_ID, token=known.token)
    if answer.status != 200:
        click.echo("Forgotten here. End it on your page Command lines as well.", err=True)
        raise SystemExit(3)
    click.echo("Signed out.")
