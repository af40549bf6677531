"""What is sealed and how anybody can check it: the page, and what is open to all."""

from __future__ import annotations

from typing import Any, Protocol, cast
from uuid import UUID

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_safe

from audit import selectors as trail
from audit.anchors import page as anchoring
from audit.models import Alarm, Checkpoint, SealingKey
from audit.sealing import selectors, standing
from audit.selectors import AuditScope
from audit.siem.selectors import standing as streams_standing
from governance.kernel import keys
from governance.kernel.errors import NotFound

TEXT = "text/plain; charset=utf-8"
NEWEST = 20


class Reader(Protocol):
    """Who asks: the user model, which lies above this app."""

    def audit_scope(self) -> AuditScope:
        """What this person may see."""


@login_required
@require_GET
def proof(request: HttpRequest) -> HttpResponse:
    """How far the record is sealed, by whom, and what was wrong."""
    fresh = selectors.freshness()
    context: dict[str, Any] = {
        "fresh": fresh,
        "trouble": standing.trouble(wait=None),
        "origin": keys.origin(),
        "checkpoints": Checkpoint.objects.order_by("-size").defer("root")[:NEWEST],
        "keys": selectors.published_keys(),
        "alarms": [_told_of_alarm(each) for each in Alarm.objects.order_by("-number")[:NEWEST]],
        "streams": streams_standing(),
        **anchoring.context(cast("Reader", request.user).audit_scope()),
    }
    return render(request, "audit/proof.html", context)


def _told_of_alarm(alarm: Alarm) -> dict[str, Any]:
    if alarm.cause:
        return {"at": alarm.at, "words": standing.of_alarm(alarm).sentence}
    reason = alarm.detail.get("accepted", "")
    words = "An operator went on from the database as it was." if reason else "It signs again."
    return {"at": alarm.at, "words": words, "reason": reason}


@never_cache
@require_safe
def public_keys(request: HttpRequest) -> HttpResponse:
    """Every public key of this log, and the note in which others vouch for it."""
    parts = (_told_of(each) for each in selectors.published_keys())
    return HttpResponse("\n".join(parts), content_type=TEXT)


def _told_of(key: SealingKey) -> str:
    return f"{key.kind} {key.vkey}\n\n{key.certificate}"


@never_cache
@require_safe
def checkpoint(request: HttpRequest) -> HttpResponse:
    """The newest signed checkpoint. Raises `NotFound` before the first."""
    latest = selectors.latest_checkpoint()
    if latest is None:
        raise NotFound("Nothing is sealed yet.")
    return HttpResponse(latest.note, content_type=TEXT)


@login_required
@require_GET
def record_proof(request: HttpRequest, pk: UUID) -> HttpResponse:
    """The proof of one entry, to keep beside the page."""
    scope = cast("Reader", request.user).audit_scope()
    return proof_answer(selectors.tlog_proof(trail.get_record(pk, scope=scope)), pk)


def proof_answer(text: str, record: UUID) -> HttpResponse:
    answer = HttpResponse(text, content_type=TEXT)
    answer["Content-Disposition"] = f'attachment; filename="{record}.tlog-proof"'
    answer["Cache-Control"] = "no-store"
    return answer
