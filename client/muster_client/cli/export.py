"""`muster export`: the register as an inventory."""

from __future__ import annotations

from pathlib import Path

import click

from ..errors import BadRequest
from . import shown
from .exits import Ending
from .remote import chosen, where


@click.command(name="export", cls=Ending)
@where
@click.option("--kind", multiple=True, help="Only this kind; may be repeated.")
@click.option("--output", type=click.Path(dir_okay=False), help="Write there, not to the screen.")
def command(url: str, allow_http: bool, kind: tuple[str, ...], output: str | None) -> None:
    """Write the register as the YAML that apply reads. No secret is ever part of it."""
    with chosen(url, allow_http=allow_http) as remote, shown.progress("Exporting"):
        text = remote.text("/api/v1/inventory", kind=list(kind))
    if output is None:
        click.echo(text, nl=False)
        return
    try:
        Path(output).write_text(text, encoding="utf-8")
    except OSError as error:
        raise BadRequest(f"{output} cannot be written: {error.strerror}.") from error
