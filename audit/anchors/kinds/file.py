"""A file that is only ever appended to: one signed note after the other, an empty line between.

It takes the file to lie where what is written stays, such as a disk that is written once, or a
file that the administrator made append-only (`chattr +a`).
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from typing import Any

from audit.anchors.errors import AnchorFailed
from audit.models import Checkpoint

_NOTE = re.compile(r"[^\n]+\n[0-9]+\n[^\n]+\n\n(?:— [^\n]+\n)+")
# More than a note of many signatures, and the line before it.
TAIL = 64 * 1024


class File:
    """An append-only file at `path`."""

    def __init__(self, options: Mapping[str, Any]) -> None:
        self._path = str(options["path"])

    def send(self, checkpoint: Checkpoint) -> dict[str, Any]:
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
        try:
            opened = os.open(self._path, flags, 0o644)
            try:
                os.write(opened, f"{checkpoint.note}\n".encode())
                os.fsync(opened)
                return {"path": self._path, "bytes": os.fstat(opened).st_size}
            finally:
                os.close(opened)
        except OSError as error:
            raise AnchorFailed(f"{self._path} cannot be written: {error.strerror}.") from error

    def read_back(self, after: int) -> str | None:
        try:
            with open(self._path, "rb") as file:  # noqa: PTH123  the operator's own path
                file.seek(max(0, os.fstat(file.fileno()).st_size - TAIL))
                found = _NOTE.findall(file.read().decode(errors="replace"))
        except FileNotFoundError:
            return None
        except OSError as error:
            raise AnchorFailed(f"{self._path} cannot be read: {error.strerror}.") from error
        return found[-1] if found else None
