"""`./muster backup FOLDER --keys FOLDER`: all that an installation is made of, in two folders.

The first holds the database and what was anchored; the second the keys and passwords, as they
are. Who has both can read everything and sign a second history, so they are never one folder. The
sealer's folder is copied before the dump begins: the dump then holds every entry that the copied
checkpoint speaks of, and a restored log goes on from it.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from psycopg.conninfo import make_conninfo

from governance.kernel import private_file
from governance.kernel.version import VERSION
from governance.runner import children, command, copying, database, postgres
from governance.runner.database import Database
from governance.runner.environment import TOLD_OF, Installation
from governance.runner.places import CannotStart, Places

DUMP, MANIFEST = "database.dump", "manifest.json"
KEYS_PARTS = ("keys", "sealer", "logins.json", "superuser")
DATA_PARTS = ("anchored", "files")
LISTS = ("MUSTER_ANCHORS_FILE", "MUSTER_STREAMS_FILE", "MUSTER_EGRESS_CA")
SECRETS = (*TOLD_OF, "MUSTER_SIGN_IN_FILE", "MUSTER_KV_SECRET_ID_FILE")
# What the sealer keeps for a moment only.
PASSING = ("*.new", "accept", "key.next")
FORMAT = 1
LAST = "SELECT size, encode(root, 'hex'), note FROM audit.checkpoint ORDER BY size DESC LIMIT 1"


@dataclass(frozen=True)
class Wanted:
    """Where the two folders lie."""

    folder: Path
    keys: Path


def run(arguments: list[str]) -> int:
    """Make a backup; 0. Raises `CannotStart` where it cannot be made whole."""
    wanted = _wanted(arguments)
    ours = command.chosen()
    os.umask(0o077)
    for folder in (wanted.folder, wanted.keys):
        _make_empty(folder)
    with command.with_database(ours):
        installation = command.installation(ours)
        _copy_keys(ours, wanted.keys)
        told = _dump(installation, wanted.folder)
    _copy_parts(ours, DATA_PARTS, wanted.folder)
    _copy_named(LISTS, wanted.folder)
    settings = sorted(name for name in os.environ if name.startswith(("MUSTER_", "CELERY_")))
    _seal(wanted.keys, {"origin": told["origin"]})
    _seal(wanted.folder, {**told, "settings": settings, "keys": _digest(wanted.keys / MANIFEST)})
    print(f"{wanted.folder}: the database with {told['size']} sealed entries, as of {told['at']}.")
    print(f"{wanted.keys}: keys and passwords, in clear. Keep it apart from the other, encrypted.")
    return 0


def _wanted(arguments: list[str]) -> Wanted:
    parser = argparse.ArgumentParser(prog="./muster backup")
    parser.add_argument("folder", type=Path, help="a new folder for the database")
    parser.add_argument("--keys", type=Path, required=True, help="another one for the keys")
    found = parser.parse_args(arguments)
    wanted = Wanted(found.folder.absolute(), found.keys.absolute())
    refuse_one_in_the_other(wanted)
    return wanted


def refuse_one_in_the_other(wanted: Wanted) -> None:
    """Raises `CannotStart` where whoever gets one folder gets both."""
    data, keys = wanted.folder.resolve(), wanted.keys.resolve()
    if data == keys or data in keys.parents or keys in data.parents:
        raise CannotStart("The keys go into a folder apart from the database's, not inside it.")


def _make_empty(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError as error:
        raise CannotStart(f"The folder {folder} cannot be made: {error}") from error
    if any(folder.iterdir()):
        raise CannotStart(f"{folder} is not empty. Each backup has folders of its own.")


def _copy_keys(ours: Places, keys: Path) -> None:
    _copy_parts(ours, KEYS_PARTS, keys)
    _copy_named(SECRETS, keys)


def _copy_parts(ours: Places, names: tuple[str, ...], to: Path) -> None:
    for name in names:
        source = ours.data / name
        if source.is_dir():
            copying.tree(source, to / name, leave=PASSING)
        elif source.exists():
            copying.one(source, to / name)


def _copy_named(names: tuple[str, ...], to: Path) -> None:
    """The files that settings name, under the name of the setting."""
    for name in names:
        if path := os.environ.get(name):
            copying.one(Path(path), to / name)


def _dump(installation: Installation, folder: Path) -> dict[str, Any]:
    """Dump the database; when, how large its log was at the least, and under which name."""
    found = installation.database
    with found.connect(found.name, **found.administrator) as administrator:
        row = administrator.execute(LAST).fetchone() or (0, "", "")
        (at,) = administrator.execute("SELECT clock_timestamp()::text").fetchone() or ("",)
        version = administrator.info.server_version
    program(found, "pg_dump", "--format=custom", f"--file={folder / DUMP}")
    origin = (installation.places.keys / "origin").read_text().strip()
    return {
        "format": FORMAT,
        "muster": VERSION,
        "postgresql": version,
        "at": at,
        "origin": origin,
        "size": row[0],
        "root": row[1],
        "note": row[2],
    }


def program(found: Database, name: str, *arguments: str) -> None:
    """Run one of PostgreSQL's programs on Muster's database, as the administrator.

    Raises `CannotStart`.
    """
    who = {"PGUSER": found.administrator.get("user", postgres.SUPERUSER)}
    password = found.administrator.get("password")
    told = {"PGPASSWORD": password} if password else {}
    # All that the URL says of the way there, such as which certificate counts.
    where = f"--dbname={make_conninfo(**found.place, dbname=found.name)}"
    # The ones that come along speak no TLS.
    yours = shutil.which(name) if database.asked() else None
    code, printed = children.run(
        [yours or str(postgres.programs() / name), where, *arguments],
        env={**postgres.environment(), **who, **told},
    )
    if code:
        raise CannotStart(f"{name} failed:\n{printed}")


def _seal(folder: Path, told: dict[str, Any]) -> None:
    """Write the manifest: what was told, and a digest of each file."""
    files = {str(path.relative_to(folder)): _digest(path) for path in copying.files(folder)}
    private_file.write(folder / MANIFEST, json.dumps({**told, "files": files}, indent=1))


def opened(folder: Path) -> dict[str, Any]:
    """The manifest of a folder whose files are all there, as they were written, and no others.

    Raises `CannotStart`, naming what differs.
    """
    try:
        told: dict[str, Any] = json.loads((folder / MANIFEST).read_text())
        files: dict[str, str] = told["files"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise CannotStart(f"{folder} is no backup: {MANIFEST} cannot be read ({error}).") from error
    found = {
        str(path.relative_to(folder)): _digest(path)
        for path in copying.files(folder)
        if path != folder / MANIFEST
    }
    wrong = sorted(name for name in {*files, *found} if files.get(name) != found.get(name))
    if wrong:
        raise CannotStart(f"{folder} is not as it was written: {', '.join(wrong[:5])}.")
    return told


def belongs(told: dict[str, Any], keys: Path) -> bool:
    """Whether these are the keys that were copied with that database, or others of its log."""
    if _digest(keys / MANIFEST) == told["keys"]:
        return True
    return bool(opened(keys).get("origin") == told["origin"])


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
