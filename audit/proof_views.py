"""What a person takes along to check the record without Muster."""

from __future__ import annotations

from typing import Protocol, cast

from django.conf import settings
from django.contrib.auth.decorators import login_required
from django.http import FileResponse, Http404, HttpRequest
from django.views.decorators.http import require_GET

from audit import services
from audit.enums import Kind
from audit.forms import SpanForm
from audit.proof_export import NoSuchSpan, span_lines
from audit.selectors import AuditScope
from governance.kernel.streaming import Streamed

_VERIFIERS = {
    "verify.py": "text/x-python; charset=utf-8",
    "verify.html": "text/html; charset=utf-8",
}


class Reader(Protocol):
    """Who exports: the user model, which lies above this app."""

    pid: str

    def audit_scope(self) -> AuditScope:
        """What this person may see."""


@login_required
@require_GET
def export(request: HttpRequest) -> Streamed:
    """A span of the record with what completes its tree, streamed; taking it is recorded."""
    reader, form = cast("Reader", request.user), SpanForm(request.GET)
    if not form.is_valid():
        raise NoSuchSpan()
    lines = span_lines(form.span(), scope=reader.audit_scope())
    asked = {"did": "record_exported", "form": "proof", **form.asked()}
    services.record(kind=Kind.ACCESS, actor=reader.pid, asked=asked)
    return Streamed(
        lines, content_type="application/jsonl; charset=utf-8", name="muster-proof.jsonl"
    )


@login_required
@require_GET
def verifier(request: HttpRequest, name: str) -> FileResponse:
    """The verifier as one file, to be run elsewhere: never shown here, always saved."""
    if name not in _VERIFIERS:
        raise Http404
    path = settings.BASE_DIR / "client" / "muster_client" / name
    return FileResponse(
        path.open("rb"), as_attachment=True, filename=name, content_type=_VERIFIERS[name]
    )
