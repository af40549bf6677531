"""The report on paper: set by Typst, tagged, as PDF/A-3 with the data attached."""

from __future__ import annotations

import json
import re
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from compliance.reports.document import Annex, Document

TEMPLATE = Path(__file__).with_name("report.typ")
STANDARD = "a-3a"
# What is shown of an annex on paper; the whole of it is attached.
MOST_ROWS = 30
MOST_COLUMNS = 9
TYPES = {".json": "application/json", ".csv": "text/csv", ".txt": "text/plain"}
_PAGES = re.compile(rb"/Type\s*/Pages.{0,40}?/Count (\d+)", re.DOTALL)
Json = Any


def pdf_of(
    document: Document,
    annexes: Sequence[Annex],
    attached: Mapping[str, bytes],
    stamp: Mapping[str, Json],
    made_at: datetime,
) -> tuple[bytes, str]:
    """The file and the standard that it follows.

    Where a name has a letter for which no font here has a glyph, PDF/A is refused; the file is
    then tagged all the same, and shows what it can. It reads no file but those made for it.
    """
    with tempfile.TemporaryDirectory(prefix="muster-report-") as name:
        folder = Path(name)
        _lay_out(folder, document, annexes, attached, stamp)
        return compiled(folder, TEMPLATE.name, made_at)


def compiled(folder: Path, template: str, made_at: datetime) -> tuple[bytes, str]:
    """A template in a folder as PDF, and the standard that it follows; "" where it cannot.

    It reads no file outside of the folder.
    """
    import typst  # noqa: PLC0415  takes long to load

    try:
        return _compiled(typst, folder / template, made_at, [STANDARD]), STANDARD
    except typst.TypstError:
        return _compiled(typst, folder / template, made_at, []), ""


def _compiled(typst: Any, template: Path, made_at: datetime, standards: Sequence[str]) -> bytes:
    made = typst.compile(
        str(template),
        root=str(template.parent),
        format="pdf",
        pdf_standards=list(standards),
        timestamp=made_at.replace(microsecond=0),
    )
    return bytes(made)


def _lay_out(
    folder: Path,
    document: Document,
    annexes: Sequence[Annex],
    attached: Mapping[str, bytes],
    stamp: Mapping[str, Json],
) -> None:
    shutil.copyfile(TEMPLATE, folder / TEMPLATE.name)
    listed = []
    for number, (name, content) in enumerate(sorted(attached.items())):
        path = f"attached-{number}{Path(name).suffix}"
        (folder / path).write_bytes(content)
        kind = TYPES[Path(name).suffix]
        listed.append({"name": Path(name).name, "path": path, "type": kind, "about": name})
    given = {
        "document.json": document,
        "annexes.json": [_shown(annex) for annex in annexes],
        "stamp.json": {**stamp, "attached": listed},
    }
    for name, value in given.items():
        (folder / name).write_text(json.dumps(value, ensure_ascii=False))


def _shown(annex: Annex) -> dict[str, Json]:
    table = annex.table
    return {
        "name": table.name,
        "title": table.title,
        "note": table.note,
        "columns": list(table.columns),
        "shown": min(len(table.columns), MOST_COLUMNS),
        "count": len(annex.rows),
        "rows": [
            ["" if cell is None else str(cell)[:300] for cell in row]
            for row in annex.rows[:MOST_ROWS]
        ],
    }


def pages_of(paper: bytes) -> int:
    """How many pages it has: the largest count that its page tree names."""
    return max((int(each) for each in _PAGES.findall(paper)), default=0)
