"""Making a report: its queries one after the other, then its annexes, its files, its signature.

A run claims its row, so that two workers do not do the same, and can be made again after a crash.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any, NamedTuple
from uuid import UUID

from django.db import transaction

from audit import services as audit
from audit.enums import Kind
from compliance import scope
from compliance.annexes import said
from compliance.catalogue import framework
from compliance.enums import ReportState
from compliance.evidence import Asking, look_at
from compliance.models import Report, ReportFile
from compliance.reports import document as documents
from compliance.reports import files, oscal, pdf, proofs, signing
from compliance.reports.document import Annex, Document
from governance.kernel import clock
from governance.kernel.errors import GovernanceError
from registry.permissions import Automatic
from registry.services.saving import locked

log = logging.getLogger(__name__)

# A run that was not heard of for so long is taken for dead.
SILENCE = timedelta(minutes=5)
STOPPED = "Muster stopped in the middle of it. Make it again."
BUNDLE = "bundle.zip"
PAPER = "report.pdf"
REPORTS = Automatic("reports")
# Steps besides the controls of the framework: annexes, paper, bundle.
MORE = 3

Step = Callable[[str, int], None]


class Overtaken(Exception):
    """Another run of the same report has begun."""


def make_report(*, report_id: UUID) -> Report:
    """Make a report to its end. What goes wrong is kept with it.

    Nothing happens where it is made, or another run is alive.
    """
    report = _claimed(report_id)
    if report is None:
        return Report.objects.get(pk=report_id)
    try:
        _make(report)
    except Overtaken:
        log.warning("report %s was overtaken", report_id)
    except GovernanceError as error:
        _fail(report, error.message)
    except Exception:
        _fail(report, STOPPED)
        raise
    return Report.objects.get(pk=report_id)


def is_alive(report: Report, now: datetime) -> bool:
    """Whether a worker was heard of that makes it."""
    if report.state != ReportState.RUNNING or report.heard_at is None:
        return False
    return now - report.heard_at < SILENCE


@transaction.atomic
def _claimed(report_id: UUID) -> Report | None:
    report, now = locked(Report, "report", pk=report_id), clock.now()
    if report.state == ReportState.DONE or is_alive(report, now):
        return None
    report.state, report.run, report.failure = ReportState.RUNNING, report.run + 1, ""
    report.heard_at, report.step, report.done = now, "", 0
    report.total = len(framework(report.framework).controls) + MORE
    report.save()
    return report


def _make(report: Report) -> None:
    made_at = clock.now().replace(microsecond=0)
    found = gathered(report, _teller(report))
    stamp = stamp_of(report, made_at)
    _tell(report, "Setting the report on paper", report.total - 2)
    content = contents(*found, stamp, made_at)
    _tell(report, "Signing the bundle", report.total - 1)
    _keep(report, found.document, content, made_at)


class Gathered(NamedTuple):
    """What a report says, its annexes, and the proofs of its samples by their files' names."""

    document: Document
    annexes: list[Annex]
    proven: dict[str, bytes]


def gathered(report: Report, step: Step) -> Gathered:
    """All that is read for a report: the same for the same period, whenever it is made."""
    asked = framework(report.framework)
    look = look_at(report.period, scope.read(report.scope), report.asked_at)
    asking = Asking(look)
    found = asking.framework(asked, lambda name, number, _: step(name, number))
    step("Annexes", len(asked.controls))
    annexes = documents.annexes_of(asked, asking, asked.controls)
    document = documents.document_of(asked, asking.look(asked.concern), found)
    return Gathered(document, annexes, proofs.tell(document, look.covered))


def stamp_of(report: Report, made_at: datetime) -> dict[str, Any]:
    """The run's own: the only thing in which two runs over one period differ."""
    return {
        "report": str(report.pk),
        "made_at": said(made_at),
        "asked_by": asked_by(report),
        "installation": documents.installation(),
    }


def asked_by(report: Report) -> str:
    """Who asked for it, as it is printed."""
    if report.asked_by:
        return f"asked for by {report.asked_by}"
    return "made by its schedule"


def contents(
    document: Document,
    annexes: list[Annex],
    proven: Mapping[str, bytes],
    stamp: Mapping[str, Any],
    made_at: datetime,
) -> dict[str, bytes]:
    """Every file of the bundle by its name, the manifest and its signature among them."""
    data = data_files(document, annexes)
    paper, standard = pdf.pdf_of(document, annexes, data, stamp, made_at)
    made = {
        **data,
        **proven,
        PAPER: paper,
        "oscal.json": files.json_bytes(oscal.oscal_of(document, stamp)),
        "README.txt": read_me(document),
        "key.pem": signing.public_key(),
    }
    manifest = files.manifest_of(made, {**stamp, "pdf_standard": standard})
    return {**made, "manifest.json": manifest, "manifest.sig": signing.sign(manifest)}


def read_me(document: Document) -> bytes:
    """What is in the bundle and how it is checked; of proofs only where there are some."""
    said = {"title": document["framework"]["name"], "period": document["period"]["name"]}
    text = files.READ_ME.format(
        **said,
        proofs=files.OF_PROOFS if document["proofs"]["proven"] else "",
        check=files.CHECK_PROOFS if document["proofs"]["proven"] else files.NO_PROOF,
    )
    return text.encode()


def data_files(document: Document, annexes: list[Annex]) -> dict[str, bytes]:
    """The data without the run's stamp: the same bytes whenever it is made."""
    tables = {annex.table.name: (annex.table.columns, annex.rows) for annex in annexes}
    tables["exceptions"] = (documents.EXCEPTION_COLUMNS, documents.exception_rows(document))
    tables["samples"] = (documents.SAMPLE_COLUMNS, documents.sample_rows(document))
    data = {f"annexes/{name}.csv": files.csv_bytes(*table) for name, table in tables.items()}
    note = document["coverage"]["note"]
    return {
        **data,
        "evidence.json": files.json_bytes(document),
        **(
            {"checkpoint.txt": note.encode(), "checkpoint-keys.txt": _keys(document)}
            if note
            else {}
        ),
    }


def _keys(document: Document) -> bytes:
    return "".join(f"{key}\n" for key in document["proofs"]["keys"]).encode()


@transaction.atomic
def _keep(
    report: Report, document: Document, content: Mapping[str, bytes], made_at: datetime
) -> None:
    """Write down what was made, and put the digest of the bundle on the record."""
    kept = _ours(report)
    bundle = files.archive(content)
    for name, each in ((BUNDLE, bundle), (PAPER, content[PAPER])):
        ReportFile.objects.update_or_create(
            report=kept,
            name=name,
            defaults={"content": each, "size": len(each), "sha256": files.digest(each)},
        )
    kept.document, kept.pages = document, pdf.pages_of(content[PAPER])
    kept.state, kept.made_at, kept.step = ReportState.DONE, made_at, ""
    kept.done = kept.total
    kept.save()
    audit.record(
        kind=Kind.ACCESS,
        actor=REPORTS.pid,
        asked={
            "did": "report_made",
            "report": str(kept.pk),
            "framework": kept.framework,
            "period": kept.period.key,
            "scope": kept.scope,
            "sha256": files.digest(bundle),
            "manifest": files.digest(content["manifest.json"]),
        },
    )


def _teller(report: Report) -> Step:
    return lambda name, number: _tell(report, name, number)


@transaction.atomic
def _tell(report: Report, name: str, number: int) -> None:
    kept = _ours(report)
    kept.step, kept.done, kept.heard_at = name[:200], number, clock.now()
    kept.save(update_fields=["step", "done", "heard_at"])


def _ours(report: Report) -> Report:
    """The row, locked, as long as no other run has begun."""
    kept = locked(Report, "report", pk=report.pk)
    if kept.run != report.run or kept.state != ReportState.RUNNING:
        raise Overtaken()
    return kept


@transaction.atomic
def _fail(report: Report, why: str) -> None:
    try:
        kept = _ours(report)
    except Overtaken:
        return
    kept.state, kept.failure = ReportState.FAILED, why[:500]
    kept.save(update_fields=["state", "failure"])
