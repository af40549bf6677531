"""The certificate of an erasure: what went, what stays and why, by whose word, and where it stands
on the record. Its digest is of the bytes that are kept, by RFC 8785."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from django.conf import settings

from audit import services as audit
from audit.enums import Kind
from audit.erasure import selectors as kept
from audit.erasure.enums import Ground
from audit.payloads import canonical
from audit.sealing import selectors as sealing
from compliance.models import SubjectCertificate, SubjectRequest
from governance.kernel import clock
from lifecycle.decommissioning.certificate import stamp
from lifecycle.decommissioning.printing import rendered
from registry.models import Person
from registry.permissions import Automatic

VERSION = 1
TEMPLATE = Path(__file__).with_name("certificate.typ")
PROOFS = (
    "Every entry stays, with its hash, its place in the tree and its proofs: they were made over "
    "salted digests of what was erased. Without the key neither the content nor its salt can be "
    "read or guessed."
)
ROW = (
    "Their row in the register: it says who answers, or answered, for which agent. It is kept by "
    "the grounds of Art. 17(3)(b) and (e), and changed in the register itself."
)
IDS = "Entries that name them by a pseudonymous id, until the retention of the record is over."
RESOURCE = "Entries that name the resource, until the retention of the record is over."
BACKUPS = (
    "Copies of the database that were made before hold the keys until they are deleted. Whoever "
    "restores one carries out again the requests that were answered since."
)


def issue(request: SubjectRequest) -> SubjectCertificate:
    """A new edition. The caller holds the lock of the request."""
    last = request.certificates.order_by("edition").last()
    edition, now = (last.edition + 1 if last else 1), clock.now()
    document = canonical(
        {
            "muster_erasure": VERSION,
            "edition": edition,
            "issued_at": stamp(now),
            "installation": settings.MUSTER_BASE_URL,
            "earlier_edition": last.digest if last else None,
            **_facts(request),
        }
    )
    digest = hashlib.sha256(document).hexdigest()
    record = audit.record(
        kind=Kind.ADMIN,
        actor=Automatic("erasure").pid,
        user=request.subject if request.is_person else "",
        asked={
            "did": "subject_certificate_issued",
            "request": str(request.pk),
            "edition": edition,
            "digest": f"sha256:{digest}",
        },
    )
    return SubjectCertificate.objects.create(
        request=request,
        edition=edition,
        issued_at=now,
        document=document,
        digest=digest,
        record=record,
    )


def pdf_of(certificate: SubjectCertificate) -> bytes:
    """The page of one edition. Of two that render it at once, one is kept."""
    if certificate.pdf is None:
        document = json.loads(bytes(certificate.document))
        made = rendered(document, certificate.digest, str(certificate.record), TEMPLATE)
        rows = SubjectCertificate.objects.filter(pk=certificate.pk)
        rows.filter(pdf__isnull=True).update(pdf=made)
        certificate.refresh_from_db(fields=["pdf"])
    return bytes(certificate.pdf or b"")


def _facts(request: SubjectRequest) -> dict[str, Any]:
    latest = sealing.latest_checkpoint()
    return {
        "request": str(request.pk),
        "reference": request.reference or None,
        "subject": request.subject,
        "received": request.received.isoformat(),
        "due_at": stamp(request.due_at),
        "asked_by": _name(request.asked_by),
        "agreed_by": _name(request.agreed_by),
        "agreed_at": stamp(request.agreed_at),
        "erased_at": stamp(request.tried_at),
        "entries_erased": request.erased,
        "entries_kept": request.held,
        "holds": [
            {
                "id": str(each.id),
                "since": stamp(each.at),
                "ground": Ground(each.ground).label,
                "reason": each.reason,
            }
            for each in (kept.holds_over(request.subject) if request.held else [])
        ],
        "stays": [*([ROW, IDS] if request.is_person else [RESOURCE]), BACKUPS],
        "proofs": PROOFS,
        "checkpoint": {"size": latest.size, "root": latest.root_text} if latest else None,
    }


def _name(person: Person | None) -> str | None:
    return person.name if person else None
