"""`muster apply`: make the register say what an inventory says."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import click

from ..errors import BadRequest
from . import inventories, shown
from .exits import Ending
from .kept import OWNER_ONLY
from .remote import LONG, chosen, where


@click.command(name="apply", cls=Ending)
@click.argument("place", type=click.Path(exists=True))
@where
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option(
    "--secrets",
    required=True,
    type=click.Path(dir_okay=False),
    help="A new file for the client secrets that are made. Only you may read it.",
)
@click.option("--json", "as_json", is_flag=True, help="JSON instead of lines.")
def command(
    *, place: str, url: str, allow_http: bool, yes: bool, secrets: str, as_json: bool
) -> None:
    """Apply PLACE, a file or a folder, as far as you may: everything, or nothing."""
    files = inventories.read_files(place)
    kept = Path(secrets)
    with chosen(url, allow_http=allow_http) as remote:
        if not yes:
            with shown.progress("Planning"):
                plan = remote.post("/api/v1/inventory/plan", {"files": files}, timeout=LONG)
            inventories.say(plan, as_json=False)
            click.confirm("Apply this?", abort=True)
        # The file is there before a secret is made that could not be kept.
        handle = _opened(kept)
        try:
            with shown.progress("Applying"):
                told = remote.post("/api/v1/inventory/apply", {"files": files}, timeout=LONG)
        except BaseException:
            os.close(handle)
            kept.unlink()
            raise
    _keep(handle, kept, remote.url, told)
    inventories.say(told, as_json=as_json)


def _opened(path: Path) -> int:
    try:
        return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, OWNER_ONLY)
    except OSError as error:
        raise BadRequest(f"{path} cannot be made: {error.strerror}. Name a new file.") from error


def _keep(handle: int, path: Path, url: str, told: dict[str, Any]) -> None:
    made = told.get("secrets")
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        if made:
            json.dump({"base_url": url, "secrets": made}, file, indent=2)
    if made:
        click.echo(f"{len(made)} new secret(s) are in {path}.", err=True)
    else:
        path.unlink()
