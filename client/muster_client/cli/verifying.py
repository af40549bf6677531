"""`muster verify`: check what Muster exported, without trusting Muster."""

from __future__ import annotations

import tempfile
from pathlib import Path
from uuid import UUID

import click

from .. import verify
from . import shown
from .exits import NO_WAY, Ending
from .remote import chosen, where

# The verifier ends with 2 where not everything could be checked. Here 2 is a wrong call.
ENDS = {0: 0, 1: 1, 2: NO_WAY}


@click.command(name="verify", cls=Ending)
@click.argument("files", nargs=-1, type=click.Path(exists=True, dir_okay=False))
@where
@click.option("--record", type=click.UUID, help="Fetch the proof of this entry and check it.")
@click.option("--key", multiple=True, required=True, help="A public key you trust, or its file.")
@click.option("--keys", default="", help="The keys as Muster gives them now.")
@click.option("--kept", default="", help="The checkpoint that you kept outside of Muster.")
@click.option("--checkpoint", default="", help="The checkpoint that goes with the export.")
@click.option("--part", is_flag=True, help="You asked for a part of the record.")
@click.option("--first", is_flag=True, help="There is no earlier checkpoint yet.")
@click.option("--json", "as_json", is_flag=True, help="The report as JSON.")
@click.pass_context
def command(
    ctx: click.Context,
    *,
    files: tuple[str, ...],
    url: str,
    allow_http: bool,
    record: UUID | None,
    key: tuple[str, ...],
    keys: str,
    kept: str,
    checkpoint: str,
    part: bool,
    first: bool,
    as_json: bool,
) -> None:
    """Check exports, proofs and receipts against keys and checkpoints that you kept.

    Nothing is asked of Muster but the proof of --record. Ends with 1 where the record does not
    hold, with 3 where not everything could be checked.
    """
    if not files and record is None:
        raise click.UsageError("Give a file, or --record.")
    values = {"--keys": keys, "--kept": kept, "--checkpoint": checkpoint}
    given = [word for name, value in values.items() if value for word in (name, value)]
    given += [word for each in key for word in ("--key", each)]
    flags = {"--part": part, "--first": first, "--json": as_json}
    given += [name for name, wanted in flags.items() if wanted]
    with tempfile.TemporaryDirectory(prefix="muster-") as folder:
        named = list(files)
        if record is not None:
            named.append(_fetched(record, Path(folder), url, allow_http=allow_http))
        with shown.progress("Checking"):
            ended = verify.main([*given, "--", *named])
    ctx.exit(ENDS[ended])


def _fetched(record: UUID, folder: Path, url: str, *, allow_http: bool) -> str:
    with chosen(url, allow_http=allow_http) as remote:
        text = remote.text(f"/api/v1/records/{record}/proof")
    path = folder / f"{record}.tlog-proof"
    path.write_text(text, encoding="utf-8")
    return str(path)
