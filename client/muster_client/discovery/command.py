"""`muster discover`: what runs here that nobody registered?"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NoReturn

import click
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from ..cli.exits import FOUND, NO_WAY, USAGE, code_of
from ..client import Muster
from ..errors import MusterError
from . import git, reporting
from .findings import Found, printable
from .scanning import scan


@click.command(name="discover")
@click.argument("place")
@click.option("--json", "as_json", is_flag=True, help="JSON instead of a table.")
@click.option("--report", is_flag=True, help="Tell Muster: each lands as an unregistered caller.")
@click.option("--name", default="", help="What the place is called; the repository's or folder's.")
@click.option(
    "--salt",
    envvar="MUSTER_DISCOVERY_SALT",
    default="",
    help="Keys that are alike have one digest in all scans under it. Keep it secret.",
)
@click.option(
    "--fail", is_flag=True, help=f"End with {FOUND} where anything is found, for a pipeline."
)
@click.option("--allow-http", is_flag=True, help="Report without TLS to another machine.")
def command(  # noqa: PLR0917 - click hands them over by name
    place: str, as_json: bool, report: bool, name: str, salt: str, fail: bool, allow_http: bool
) -> None:
    """Find agents, MCP configurations, frameworks and keys in PLACE: a folder or a git repository.

    Nothing there is run, and no link is followed. Of a key its kind, its name and a salted digest
    are told, and never the value. --report needs MUSTER_URL with MUSTER_TOKEN, or with
    MUSTER_CLIENT_ID and MUSTER_CLIENT_SECRET.
    """
    with _folder(place) as (folder, called):
        found = scan(folder, source=printable(name or called, 200), salt=salt.encode())
    told = _reported(found, allow_http=allow_http) if report else None
    if as_json:
        click.echo(json.dumps(_as_object(found, told), indent=2))
    else:
        _show(found, told)
    if fail and found.findings:
        raise SystemExit(FOUND)


@contextmanager
def _folder(place: str) -> Iterator[tuple[Path, str]]:
    """Where the files are, and what the place is called."""
    if git.is_repository(place):
        try:
            with git.cloned(place) as folder:
                yield folder, git.source_of(place)
        except git.NoRepository as error:
            _fail(f"The repository could not be fetched: {error}", NO_WAY)
        return
    folder = Path(place)
    if not folder.is_dir():
        _fail(f"{printable(place)} is neither a folder nor a repository.", USAGE)
    yield folder, folder.resolve().name or "the root"


def _reported(found: Found, *, allow_http: bool) -> reporting.Told:
    try:
        with Muster.from_environment(allow_http=allow_http) as muster:
            return reporting.report(muster, found)
    except (MusterError, ValueError) as error:
        code = code_of(error) if isinstance(error, MusterError) else NO_WAY
        _fail(f"Nothing was reported: {printable(error, 500)}", code)


def _fail(said: str, code: int) -> NoReturn:
    click.echo(f"muster: {said}", err=True)
    raise SystemExit(code)


def _as_object(found: Found, told: reporting.Told | None) -> dict[str, object]:
    return {
        "source": found.source,
        "findings": [each.as_object(found.source) for each in found.findings],
        "not_read": list(found.told),
        "reported": {"new": told.new, "known": told.known} if told else None,
    }


def _show(found: Found, told: reporting.Told | None) -> None:
    console = Console()
    if found.findings:
        table = Table(title=escape(found.source), title_justify="left")
        for heading in ("What", "Name", "Where", "More"):
            table.add_column(heading, overflow="fold")
        for each in found.findings:
            more = ", ".join(_said(value) for value in each.detail.values() if value)
            table.add_row(each.kind, escape(each.name), escape(each.path), escape(more[:200]))
        console.print(table)
    many = len(found.findings)
    console.print("Nothing was found." if not many else f"{many} found.")
    for sentence in found.told:
        console.print(escape(sentence), style="yellow")
    if told:
        console.print(f"Told Muster: {told.new} new, {told.known} known to it.")


def _said(value: object) -> str:
    return " ".join(map(str, value)) if isinstance(value, list) else str(value)
