"""The file that a month is exported to before it goes: written, and read back as an auditor would.

It is an export for proof (docs/reference/proof-export.md) of all places from the month's first
entry to its last, and holds no payload.
"""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

from django.conf import settings

from audit.dropping.errors import ExportNotWhole, ExportThere
from audit.dropping.selectors import Places, span_of
from audit.proof_export import Span, span_lines
from audit.sealing import selectors as sealing
from audit.selectors import AuditScope
from governance.kernel import private_file

EVERYTHING = AuditScope(everything=True)


def path_of(folder: Path, month: date) -> Path:
    """Where the file of a month lies."""
    return folder / f"muster-record-{month:%Y-%m}.jsonl"


def export_month(month: date, places: Places, path: Path) -> str:
    """Have the month's file lie there, whole and on the disk; its SHA-256.

    A whole one that lies there already is what an earlier run wrote. Raises `ExportThere` for any
    other file, `ExportNotWhole` where what was written does not prove every entry.
    """
    if path.exists():
        try:
            return read_back(path, month, places)
        except ExportNotWhole:
            raise ExportThere() from None
    draft = path.with_name(path.name + ".part")
    draft.unlink(missing_ok=True)
    _write(draft, places)
    found = read_back(draft, month, places)
    draft.rename(path)
    private_file.settle(path.parent)
    return found


def _write(path: Path, places: Places) -> None:
    lines = span_lines(Span(places.first, places.last + 1), scope=EVERYTHING)
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.writelines(line.encode() for line in lines)
        file.flush()
        os.fsync(file.fileno())


def read_back(path: Path, month: date, places: Places) -> str:
    """The file's SHA-256. Raises `ExportNotWhole` unless the verifier finds every entry of the
    month in it, under a checkpoint that the sealer's keys have signed."""
    wrong = [each for each in _verified(path) if each["verdict"] == "broken" or _no_input(each)]
    try:
        entries = sum(1 for _ in _entries_of(path, month))
    except ValueError:
        raise ExportNotWhole() from None
    if wrong or entries != places.entries:
        raise ExportNotWhole()
    return _digest(path)


def _no_input(check: dict[str, Any]) -> bool:
    return bool(check["check"] == "input")


def _verified(path: Path) -> list[dict[str, Any]]:
    """What the stand-alone verifier says of the file, in a process of its own as an auditor's."""
    program = settings.BASE_DIR / "client" / "muster_client" / "verify.py"
    keys = (word for each in sealing.published_keys() for word in ("--key", each.vkey))
    ran = subprocess.run(
        [sys.executable, "-I", program, path, "--part", "--first", "--json", *keys],
        capture_output=True,
        check=False,
    )
    found: list[dict[str, Any]] = json.loads(ran.stdout)["checks"] if ran.stdout else []
    if not found:
        raise ExportNotWhole()
    return found


def _entries_of(path: Path, month: date) -> Iterator[None]:
    """Each entry of the month whose content is in the file; the verifier saw that none is twice."""
    since, until = (f"{each:%Y-%m-%dT%H:%M:%S}" for each in span_of(month))
    with path.open("rb") as file:
        for line in file:
            record = json.loads(line).get("record")
            if record and since <= record["at"] < until:
                yield None


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
