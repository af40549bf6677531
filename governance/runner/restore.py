"""`./muster restore FOLDER --keys FOLDER --because WHY`: an installation out of its backup.

Into a new data folder and a database that is not there yet. What lies outside of the copy says
how far the record went: the sealer's last checkpoint and those that anchors took. Where the copy
ends before them, entries that were signed are gone. That is shown, stands on the record with the
reason, and every agent is stopped: a suspension that came after the copy is gone as well.
"""

from __future__ import annotations

import argparse
import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg

from audit.sealing import folder as sealer_folder
from audit.sealing import notes
from audit.sealing.folder import Folder
from audit.sealing.notes import BadNote, Checkpoint
from audit.sealing.stored import Incomplete, Stored
from governance.runner import (
    accounts,
    backup,
    children,
    command,
    copying,
    database,
    places,
    postgres,
    roles,
)
from governance.runner.database import Database
from governance.runner.environment import Installation, manage, uses_embedded_queue
from governance.runner.places import PROJECT, CannotStart, Places
from governance.runner.up import migrate

LAST = "SELECT size, root FROM audit.checkpoint ORDER BY size DESC LIMIT 1"


@dataclass(frozen=True)
class Wanted:
    """What the command line asked for."""

    folder: Path
    keys: Path
    data: str | None
    because: str
    anchored: tuple[Path, ...]


@dataclass(frozen=True)
class Found:
    """How far the restored record goes, and how far what lies outside says it went."""

    size: int
    signed: int
    # A checkpoint that the restored tree does not come to: it is another history.
    forked: int | None

    @property
    def lost(self) -> int:
        """So many entries were signed and are not in the copy."""
        return max(0, self.signed - self.size)


def run(arguments: list[str]) -> int:
    """Restore and declare it; 0. 1 where the copy is of another history than was signed."""
    wanted = _wanted(arguments)
    children.stop_on_signals()
    told = _checked(wanted)
    os.umask(0o022)
    ours = places.choose(wanted.data)
    places.prepare(ours)
    _refuse_taken(ours)
    found = database.asked()
    if found:
        _refuse_there(found)
    _lay_out(wanted, ours)
    if found:
        return _restore(wanted, told, ours, found)
    postgres.make_superuser_password(ours)
    cluster = postgres.Cluster(ours)
    with postgres.running(cluster):
        return _restore(wanted, told, ours, database.embedded(cluster))


def _wanted(arguments: list[str]) -> Wanted:
    parser = argparse.ArgumentParser(prog="./muster restore")
    parser.add_argument("folder", type=Path, help="the backup")
    parser.add_argument("--keys", type=Path, required=True, help="the folder of its keys")
    parser.add_argument("--data", help="the new data folder; MUSTER_DATA, else .muster/ here")
    parser.add_argument("--because", required=True, help="why, for the record")
    parser.add_argument(
        "--anchored", type=Path, action="append", default=[], help="a checkpoint kept outside"
    )
    found = parser.parse_args(arguments)
    if not found.because.strip():
        parser.error("--because: say why")
    return Wanted(
        found.folder, found.keys, found.data, found.because.strip(), tuple(found.anchored)
    )


def _checked(wanted: Wanted) -> dict[str, Any]:
    told = backup.opened(wanted.folder)
    backup.opened(wanted.keys)
    if told.get("format") != backup.FORMAT:
        raise CannotStart(f"{wanted.folder} was written by a newer Muster; restore it with that.")
    if not backup.belongs(told, wanted.keys):
        raise CannotStart(f"{wanted.keys} holds the keys of another installation.")
    return told


def _refuse_taken(ours: Places) -> None:
    if ours.logins.exists() or postgres.Cluster(ours).files.exists():
        raise CannotStart(f"{ours.data} holds an installation. Restore into a new folder.")


# Files


def _lay_out(wanted: Wanted, ours: Places) -> None:
    # The new server gets a superuser of its own.
    for name in ("keys", "sealer", "logins.json"):
        _bring(wanted.keys / name, ours.data / name)
    _bring(wanted.folder / "files", ours.data / "files")
    # The sealer reads these by an account of its own.
    _bring(wanted.folder / "anchored", ours.anchored, copying.OPEN)
    _bring_anchored(wanted, ours)


def _bring(source: Path, target: Path, mode: int = copying.PRIVATE) -> None:
    """As ours, whatever modes the copy has by now: who kept it may have lost them."""
    if source.is_dir():
        copying.tree(source, target, mode=mode)
    elif source.exists():
        copying.one(source, target, mode)


def _bring_anchored(wanted: Wanted, ours: Places) -> None:
    """Checkpoints from outside count where one of the sealer's keys signed them."""
    folder = _folder(ours)
    for path in wanted.anchored:
        try:
            text = path.read_text()
            found = notes.open_checkpoint(text, folder.verifiers())
        except (OSError, UnicodeDecodeError, BadNote) as error:
            raise CannotStart(f"{path} is no checkpoint of this log: {error}") from error
        (ours.anchored / f"restored-{found.size}.note").write_text(text)


def _folder(ours: Places) -> Folder:
    return Folder(ours.sealer, ours.anchored, (ours.keys / "origin").read_text().strip())


# The database


def _restore(wanted: Wanted, told: dict[str, Any], ours: Places, into: Database) -> int:
    logins = roles.load_logins(ours.logins)
    _fill(wanted.folder / backup.DUMP, into, logins)
    database.make_ready(into, logins, queue=uses_embedded_queue())
    base_url = os.environ.get("MUSTER_BASE_URL", command.DEFAULT_BASE_URL)
    installation = Installation(ours, into, logins, base_url)
    migrate(installation)
    found = look(ours, into)
    _say(told, found)
    if found.forked is not None:
        return 1
    _declare(wanted, told, found, installation)
    _hand_over(wanted, found, ours)
    print("Start it with ./muster up.", flush=True)
    return 0


def _refuse_there(into: Database) -> None:
    """Before anything is laid out, so that the same command can be given again."""
    with into.connect(database.MAINTENANCE, **into.administrator) as administrator:
        there = administrator.execute(
            "SELECT 1 FROM pg_database WHERE datname = %s", (into.name,)
        ).fetchone()
    if there:
        raise CannotStart(
            f"The server has a database {into.name}. Rename it, or name another in DATABASE_URL."
        )


def _fill(dump: Path, into: Database, logins: dict[str, str]) -> None:
    """Restore into a database of our own making."""
    with into.connect(database.MAINTENANCE, **into.administrator) as administrator:
        roles.make_roles(administrator, logins)
        roles.make_database(administrator, into.name)
    backup.program(into, "pg_restore", "--exit-on-error", str(dump.absolute()))


# What is there, and what is gone


def look(ours: Places, into: Database) -> Found:
    """Hold the restored tree against every checkpoint that lies outside of it."""
    known = _folder(ours).known()
    with into.connect(into.name, **into.administrator) as administrator:
        row = administrator.execute(LAST).fetchone()
        size = int(row[0]) if row else 0
        forked = next((each.size for each in known if _differs(administrator, each, size)), None)
    return Found(size, max([size, *(each.size for each in known)]), forked)


def _differs(administrator: psycopg.Connection[Any], each: Checkpoint, size: int) -> bool:
    tree = Stored(lambda query, params: administrator.execute(query.encode(), params).fetchall())
    if each.size > size:
        return False
    try:
        return tree.root(each.size) != each.root
    except Incomplete:
        return True


def _say(told: dict[str, Any], found: Found) -> None:
    print(f"The copy is of {told['at']}. {found.size} of its entries are sealed.", flush=True)
    if found.forked is not None:
        print(
            f"What was signed over {found.forked} entries is not what the copy holds. Somebody"
            " changed one of them. Do not go on before you know who and what.",
            flush=True,
        )
    elif found.lost:
        print(
            f"{found.signed} entries were signed: {found.lost} are gone, and with them what people"
            " and agents did after the copy. Every agent is stopped.",
            flush=True,
        )
    else:
        print("It goes on from every checkpoint that is known here.", flush=True)


def _declare(
    wanted: Wanted, told: dict[str, Any], found: Found, installation: Installation
) -> None:
    """Put it on the record, and stop the agents where something is gone."""
    facts = {
        "because": wanted.because,
        "copied_at": told["at"],
        "entries": found.size,
        "signed": found.signed,
    }
    code, printed = children.run(
        manage("declare_restored", json.dumps(facts)),
        env=installation.environment("command"),
        cwd=PROJECT,
    )
    if code:
        raise CannotStart(f"The restoration could not be recorded:\n{printed}")
    print(printed, flush=True)


def _hand_over(wanted: Wanted, found: Found, ours: Places) -> None:
    """Let the sealer go on from a copy that is behind, and each file belong to who uses it."""
    if found.lost:
        why = f"{wanted.because} (restored; {found.lost} entries that were signed are gone)"
        sealer_folder.write(ours.sealer / "accept", why)
    for path in (ours.keys, *ours.written):
        accounts.give(path, accounts.for_run_time(ours.data))
    accounts.give(ours.sealer, accounts.for_sealer(ours.data))
