"""The files of a bundle: JSON and CSV of the data, the manifest, and the archive. Pure."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import zipfile
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from audit.export import write_cell
from compliance.evidence.types import Cell

# The earliest that a ZIP can say: no file says when it was made.
NO_TIME = (1980, 1, 1, 0, 0, 0)
READ_ME = """\
Evidence from Muster for {title}, {period}.

report.pdf               the report, with the data attached
evidence.json            all that the report says, as data
annexes/*.csv            the annexes, the exceptions and the samples, in full
oscal.json               the same as OSCAL assessment results
{proofs}manifest.json            SHA-256 of each of these files, and when and by whom this was made
manifest.sig             the signature of manifest.json (Ed25519, 64 bytes)
key.pem                  the public key; compare it with the one on Muster's page of reports

To check it:

    openssl pkeyutl -verify -pubin -inkey key.pem -rawin -in manifest.json -sigfile manifest.sig

{check}
In the CSV files a cell that a spreadsheet would take for a formula has an apostrophe before it.
This is evidence for a framework. It is no claim that a law is kept.
"""
OF_PROOFS = """\
checkpoint.txt           the signed checkpoint of the record that covers the period
checkpoint-keys.txt      the public keys that signed it; compare them with those that you noted
proofs/*.tlog-proof      of each entry that was looked at: its content, and that the checkpoint
                         covers it (c2sp.org/tlog-proof); the name is the entry's id
"""
CHECK_PROOFS = """\
Then that the entries of the samples are on the sealed record, with Muster's verifier, which needs
neither server nor network. Take verify.py (or the page verify.html) from Muster's page "What is
sealed" or the package muster-client, not from whoever handed you this:

    python3 verify.py proofs/*.tlog-proof --key checkpoint-keys.txt

It ends with 0 where every proof holds. checkpoint-keys.txt tells nothing unless its lines are those
that you noted, or got from somebody else than who operates Muster.
"""
NO_PROOF = """\
No entry of the samples has a proof: the report says why, and evidence.json entry by entry.
"""


def json_bytes(value: Any) -> bytes:
    """Canonical enough: sorted, indented, the same bytes for the same data."""
    text = json.dumps(value, sort_keys=True, indent=1, ensure_ascii=False)
    return text.encode() + b"\n"


def csv_bytes(columns: Sequence[str], rows: Iterable[Sequence[Cell]]) -> bytes:
    """CSV (RFC 4180), in which no cell is a formula (`audit.export.write_cell`)."""
    out = io.StringIO(newline="")
    writer = csv.writer(out, quoting=csv.QUOTE_ALL)
    writer.writerow(columns)
    writer.writerows([_cell(value) for value in row] for row in rows)
    return out.getvalue().encode("utf-8", "backslashreplace")


def _cell(value: Cell) -> str:
    if value is None:
        return ""
    # A number is none that somebody wrote: it may begin with a minus.
    return write_cell(value) if isinstance(value, str) else str(value)


def digest(content: bytes) -> str:
    """SHA-256, as a manifest names it."""
    return hashlib.sha256(content).hexdigest()


def manifest_of(files: Mapping[str, bytes], stamp: Mapping[str, Any]) -> bytes:
    """What the signature covers: each file's digest and size, and the run's own stamp."""
    listed = {
        name: {"sha256": digest(content), "size": len(content)} for name, content in files.items()
    }
    return json_bytes({"muster_bundle": 1, "files": listed, "stamp": dict(stamp)})


def archive(files: Mapping[str, bytes]) -> bytes:
    """One ZIP of the files by their names: the same bytes for the same files."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED, compresslevel=6) as bundle:
        for name in sorted(files):
            info = zipfile.ZipInfo(name, NO_TIME)
            info.compress_type, info.external_attr = zipfile.ZIP_DEFLATED, 0o644 << 16
            bundle.writestr(info, files[name])
    return out.getvalue()
