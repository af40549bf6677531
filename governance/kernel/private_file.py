"""Files that nobody but their owner reads: keys, passwords, what a process is told."""

from __future__ import annotations

import os
from pathlib import Path


def write(path: Path, text: str, *, for_owner_of_folder: bool = False) -> None:
    """Write `path` whole or not at all, readable by its owner alone at every moment.

    When this returns, it outlives a power cut. Started as root, a file `for_owner_of_folder`
    belongs to whom the folder belongs: the process that reads it. Who holds no lock may lose to
    another one that writes the same, and then raises `FileExistsError`.
    """
    draft = path.with_name(f".{path.name}.new")
    draft.unlink(missing_ok=True)
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    if for_owner_of_folder and os.geteuid() == 0:
        owner = path.parent.stat()
        os.chown(draft, owner.st_uid, owner.st_gid)
    draft.replace(path)
    settle(path.parent)


def settle(folder: Path) -> None:
    """Have the names of a folder on the disk, as after a file of it was renamed."""
    opened = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)
