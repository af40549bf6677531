"""Which system accounts run what when root starts an installation.

PostgreSQL refuses to run as root, and run-time processes must not be able to read the passwords
of the superuser and the migrator. So PostgreSQL runs as `nobody`, and web, worker and beat run as
`muster` where such an account exists, else as `daemon`. Those in turn must not be able to read the
sealer's key: it runs as `muster-sealer`, else as `bin`. Nobody's account is made or changed.
"""

from __future__ import annotations

import os
import pwd
import stat
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from governance.runner.places import PROJECT


@dataclass(frozen=True)
class Account:
    """A system account to become; `None` in its place means: stay who we are."""

    name: str
    uid: int
    gid: int

    @property
    def popen(self) -> dict[str, Any]:
        return {"user": self.uid, "group": self.gid, "extra_groups": []}


def for_postgres() -> Account | None:
    return _first("nobody")


def for_run_time(data: Path) -> Account | None:
    """The account of web, worker and beat; None, so root's own, where none may read the code."""
    account = first_for_run_time()
    return account if not out_of_reach(data, account) else None


def first_for_run_time() -> Account | None:
    return _first("muster", "daemon")


def for_sealer(data: Path) -> Account | None:
    """The account of the sealer; as for the others, None where none may read the code."""
    account = _first("muster-sealer", "bin")
    return account if not out_of_reach(data, account) else None


def out_of_reach(data: Path, account: Account | None) -> list[Path]:
    """What a run-time process needs and `account` cannot reach."""
    needed = (PROJECT, Path(sys.prefix), Path(sys.base_prefix))
    closed = [path for path in needed if not may_enter(path, account)]
    return closed if may_walk(data, account) else [*closed, data]


def popen(account: Account | None) -> dict[str, Any]:
    """What subprocess takes to start a child as `account`."""
    return account.popen if account else {}


def give(path: Path, account: Account | None) -> None:
    """Make `path`, and all below it, belong to `account`."""
    if account is None:
        return
    for each in (path, *path.rglob("*")):
        os.chown(each, account.uid, account.gid, follow_symlinks=False)


def may_enter(path: Path, account: Account | None) -> bool:
    """Whether `account` may walk to `path` and read it, by the mode bits alone."""
    if account is None:
        return True
    wanted = dict.fromkeys(path.parents, stat.S_IXOTH) | {path: stat.S_IROTH | stat.S_IXOTH}
    return all(_allows(folder, bits, account) for folder, bits in wanted.items())


def may_walk(path: Path, account: Account | None) -> bool:
    """Whether `account` may walk through `path` to what lies in it."""
    if account is None:
        return True
    return all(_allows(folder, stat.S_IXOTH, account) for folder in (path, *path.parents))


def _allows(path: Path, bits: int, account: Account) -> bool:
    found = path.stat()
    if found.st_uid == account.uid:
        bits <<= 6
    elif found.st_gid == account.gid:
        bits <<= 3
    return found.st_mode & bits == bits


def _first(*names: str) -> Account | None:
    if os.geteuid() != 0:
        return None
    for name in names:
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        return Account(name, entry.pw_uid, entry.pw_gid)
    raise LookupError(f"None of the system accounts {', '.join(names)} exists.")
