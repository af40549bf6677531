"""The certificate on paper. Rendered once, after the row is closed, and kept: it is the same bytes
every time that it is fetched."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from lifecycle.models import EndCertificate, EndRun

TEMPLATE = Path(__file__).with_name("certificate.typ")


def print_missing(run: EndRun) -> None:
    """Have every edition on paper."""
    for each in run.certificates.filter(pdf__isnull=True):
        pdf_of(each)


def pdf_of(certificate: EndCertificate) -> bytes:
    """The page of one edition. Of two that render it at once, one is kept."""
    if certificate.pdf is None:
        document = json.loads(bytes(certificate.document))
        made = rendered(document, certificate.digest, str(certificate.record))
        rows = EndCertificate.objects.filter(pk=certificate.pk)
        rows.filter(pdf__isnull=True).update(pdf=made)
        certificate.refresh_from_db(fields=["pdf"])
    return bytes(certificate.pdf or b"")


def rendered(
    document: dict[str, Any], digest: str, record: str, template: Path = TEMPLATE
) -> bytes:
    """Tagged for screen readers (PDF/UA), where every letter of it has a glyph.

    What it is told is data to the template, never markup. It reads no file but the template.
    """
    import typst  # noqa: PLC0415  takes long to load

    given = {"document": json.dumps(document), "digest": digest, "record": record}
    try:
        return bytes(_compiled(typst, template, given, ["ua-1"]))
    except typst.TypstError:
        # A name in a script that no font here has: it is still tagged, and shows what it can.
        return bytes(_compiled(typst, template, given, []))


def _compiled(typst: Any, template: Path, given: dict[str, str], standards: list[str]) -> Any:
    return typst.compile(
        str(template),
        root=str(template.parent),
        format="pdf",
        sys_inputs=given,
        pdf_standards=standards,
    )
