"""Copies of an installation's files: no link is followed, each mode is ours to say, times stay.

Some of the folders belong to accounts that may read less than who makes the copy. A link that one
of them left would bring somebody else's file into it.
"""

from __future__ import annotations

import errno
import os
import shutil
import stat
from collections.abc import Iterator
from contextlib import suppress
from fnmatch import fnmatch
from pathlib import Path

from governance.runner.places import CannotStart

PRIVATE, OPEN = 0o600, 0o644
# Neither a link at the end nor a pipe that nobody writes into holds us.
_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK
_WRITE = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW


def tree(source: Path, to: Path, *, leave: tuple[str, ...] = (), mode: int = PRIVATE) -> None:
    """Copy the folder `source` into `to`, but names like `leave` and what goes away meanwhile.

    Raises `CannotStart` at a link, a pipe or a device.
    """
    whole = source.resolve()
    _make(to, mode)
    for name, folders, files, here in os.fwalk(whole, onerror=_stop, follow_symlinks=False):
        below = to / Path(name).relative_to(whole)
        for each in folders:
            if stat.S_ISLNK(os.stat(each, dir_fd=here, follow_symlinks=False).st_mode):
                raise _refused(Path(name, each))
            _make(below / each, mode)
        for each in files:
            if not any(fnmatch(each, pattern) for pattern in leave):
                with suppress(FileNotFoundError):
                    _copy(Path(name, each), below / each, mode, here)


def one(source: Path, to: Path, mode: int = PRIVATE) -> None:
    """Copy the file that `source` names. Raises `CannotStart` where it cannot be read."""
    try:
        _copy(source.resolve(strict=True), to, mode)
    except OSError as error:
        raise CannotStart(f"{source} cannot be copied: {error.strerror}.") from error


def files(folder: Path) -> Iterator[Path]:
    """Every file in it, in order. Raises `CannotStart` at a link, a pipe or a device."""
    for path in sorted(folder.rglob("*")):
        kind = path.lstat().st_mode
        if stat.S_ISREG(kind):
            yield path
        elif not stat.S_ISDIR(kind):
            raise _refused(path)


def _make(folder: Path, mode: int) -> None:
    """Who may read a file may also walk to it."""
    folder.mkdir(exist_ok=True, mode=0o700)
    folder.chmod(mode | (mode & 0o444) >> 2)


def _copy(source: Path, to: Path, mode: int, folder: int | None = None) -> None:
    try:
        opened = os.open(source if folder is None else source.name, _READ, dir_fd=folder)
    except OSError as error:
        if error.errno in (errno.ELOOP, errno.ENXIO):
            raise _refused(source) from error
        raise
    with os.fdopen(opened, "rb") as read:
        found = os.fstat(opened)
        if not stat.S_ISREG(found.st_mode):
            raise _refused(source)
        with os.fdopen(os.open(to, _WRITE, 0o600), "wb") as written:
            shutil.copyfileobj(read, written)
            os.fchmod(written.fileno(), mode)
            written.flush()
            # How old a key is follows from its file.
            os.utime(written.fileno(), ns=(found.st_atime_ns, found.st_mtime_ns))


def _stop(error: OSError) -> None:
    raise CannotStart(f"{error.filename} cannot be read: {error.strerror}.") from error


def _refused(path: Path) -> CannotStart:
    return CannotStart(f"{path} is neither file nor folder. A copy follows no link: take it away.")
