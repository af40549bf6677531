"""What can be looked at without settings and without a database: Python, disk and key files."""

from __future__ import annotations

import os
import pwd
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

from governance.doctor.verdict import Here, Verdict, fail, ok, warn
from governance.kernel.version import VERSION
from governance.runner import accounts, postgres
from governance.runner.places import Places

# As the `muster` script asks for: PostgreSQL's programs come as a package for these.
OLDEST_PYTHON, TOO_NEW_PYTHON = (3, 11), (3, 14)
GIB = 1024**3
LEAST_FREE, SCARCE_FREE = 1 * GIB, 5 * GIB
KEY_FILES = ("secret_key", "kek", "index_key", "vault_kek", "receipt_key", "origin")
# What may stand in the environment in the place of its file.
INSTEAD = {"secret_key": "MUSTER_SECRET_KEY", "vault_kek": "MUSTER_VAULT_KEY"}
OTHERS = 0o077


def python(here: Here) -> Verdict:
    """Whether this Python is one that Muster is tested on."""
    found = sys.version_info[:3]
    said = f"Muster {VERSION} on Python {'.'.join(map(str, found))}."
    if OLDEST_PYTHON <= found[:2] < TOO_NEW_PYTHON:
        return ok(said)
    return fail(said, "Run Muster on Python 3.11, 3.12 or 3.13; MUSTER_PYTHON names one.")


def disk(here: Here) -> Verdict:
    """How much is free where the data folder, and an embedded database, lie."""
    if not here.data.exists():
        return fail(f"There is no data folder {here.data}.", "Name the right one in MUSTER_DATA.")
    cluster = postgres.Cluster(Places(here.data)).files
    places = [place for place in (here.data, cluster) if place.exists()]
    free, place = min((shutil.disk_usage(each).free, each) for each in places)
    said = f"{free / GIB:.1f} GiB are free in {place}."
    if free < LEAST_FREE:
        return fail(said, "Make room at once: without it nothing is recorded, so nothing allowed.")
    if free < SCARCE_FREE:
        return warn(said, "Make room, or move the data folder to a larger disk.")
    return ok(said)


def key_files(here: Here) -> Verdict:
    """Whether each key file is there, belongs to whom it must, and is closed to everyone else."""
    try:
        faults = list(_faults(here))
    except OSError as error:
        return fail(
            f"{error.filename} cannot be looked at: {error.strerror}.",
            "Run ./muster doctor as the account that runs ./muster up.",
        )
    if not faults:
        return ok(f"Keys in {here.keys} and logins are whole, and closed to other accounts.")
    return fail(
        " ".join(found for found, _ in faults), " ".join(dict.fromkeys(todo for _, todo in faults))
    )


def _faults(here: Here) -> Iterator[tuple[str, str]]:
    """What is wrong, and what to do about it."""
    run_time = accounts.for_run_time(here.data)
    yield from _missing(here.keys)
    for path in (here.keys, *sorted(here.keys.rglob("*"))):
        yield from _open_to_others(path, run_time)
    places = Places(here.data)
    for path in (places.logins, places.superuser):
        yield from _open_to_others(path, None)
    yield from _open_to_others(places.sealer, accounts.for_sealer(here.data))


def _missing(folder: Path) -> Iterator[tuple[str, str]]:
    gone = [
        str(folder / name)
        for name in KEY_FILES
        if not (folder / name).is_file() and not os.environ.get(INSTEAD.get(name, ""))
    ]
    if not any((folder / "tokens").glob("*.json")):
        gone.append(str(folder / "tokens" / "*.json"))
    if gone:
        yield (
            f"Missing: {', '.join(gone)}.",
            "Put it back from your backup of keys: what was kept under a key opens with no other.",
        )


def _open_to_others(path: Path, account: accounts.Account | None) -> Iterator[tuple[str, str]]:
    """What is wrong with the owner and the mode of `path`, if it is there."""
    if not path.exists():
        return
    there, wanted = path.stat(), account.uid if account else os.geteuid()
    if there.st_uid != wanted:
        name = _name_of(wanted)
        found = f"{path} belongs to {_name_of(there.st_uid)}, not to {name}."
        yield found, f"chown {name} {path}"
    if there.st_mode & OTHERS:
        yield (
            f"{path} is open to other accounts (mode {there.st_mode & 0o777:o}).",
            f"chmod go= {path}",
        )


def _name_of(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)
