"""Files below a folder: no link is followed, nothing is read without an end."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

MOST_FILES = 200_000
MOST_DEPTH = 40
MOST_BYTES = 512 * 1024
# What others wrote and is fetched again, and what no agent is configured in.
SKIPPED = frozenset(
    {
        *(".git", ".hg", ".svn", "node_modules", ".venv", "venv", "site-packages", "__pycache__"),
        *(".tox", ".nox", ".mypy_cache", ".ruff_cache", ".pytest_cache", "vendor", "target"),
    }
)


@dataclass(slots=True)
class Walk:
    """A walk through one folder. `told` says what it left out."""

    root: Path
    told: list[str] = field(default_factory=list)
    most: int = MOST_FILES

    def files(self, wanted: Callable[[str, str], bool]) -> Iterator[tuple[str, Path]]:
        """Regular files for which `wanted(name, relative path)`, in the order of their paths."""
        seen = 0
        for folder, below, here in os.walk(self.root, followlinks=False, onerror=self._unread):
            place = Path(folder)
            relative = place.relative_to(self.root)
            if len(relative.parts) >= MOST_DEPTH:
                self.told.append(f"Folders more than {MOST_DEPTH} deep were not read.")
                below.clear()
            below[:] = sorted(each for each in below if each not in SKIPPED)
            for name in sorted(here):
                seen += 1
                if seen > self.most:
                    self.told.append(f"Only the first {self.most:,} files were looked at.")
                    return
                path = (relative / name).as_posix()
                if wanted(name, path):
                    yield path, place / name

    def _unread(self, error: OSError) -> None:
        self.told.append(f"A folder could not be read: {type(error).__name__}.")

    def read(self, path: Path, shown: str) -> bytes | None:
        """A file's bytes; None, and a sentence, for a link, a pipe or what is too large."""
        try:
            # Between the look and the opening somebody may have put a link or a pipe there.
            handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        except OSError as error:
            if not path.is_symlink():
                self.told.append(f"{shown} could not be read: {type(error).__name__}.")
            return None
        with os.fdopen(handle, "rb") as file:
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                return None
            raw = file.read(MOST_BYTES + 1)
        if len(raw) > MOST_BYTES:
            self.told.append(f"{shown} is larger than {MOST_BYTES // 1024} KiB and was not read.")
            return None
        return raw
