"""Callbacks: the caller of an access request is told at its registered address what became of it.

Noted in the transaction of what happened and sent after it, at least once. What is sent is news
and no grant; the address is the register's, never the request's own.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import logging
from datetime import timedelta
from functools import partial
from uuid import UUID

from celery import current_app
from django.db import transaction
from django.db.models import F
from django.db.models.functions import Now
from kombu.exceptions import OperationalError

from audit import services as audit
from audit.enums import Kind
from authz import access_tasks, timekeeper
from authz.models import AccessRequest, Callback, Hold
from governance.kernel import egress
from governance.kernel.egress import AddressRefused, NoAnswer
from registry.identity import clients
from registry.models import Client

TASK = "authz.send_callback"
SIGNATURE = "Muster-Signature"
# How long after each attempt that failed the next one is due.
PAUSES = tuple(timedelta(minutes=minutes) for minutes in (1, 5, 15, 60, 180, 360, 720))

log = logging.getLogger(__name__)


def note_end(hold: Hold) -> None:
    """Note who wants to be told that this hold has ended; it is sent after the commit."""
    for request in AccessRequest.objects.filter(holds=hold, callback=True):
        status = access_tasks.status_of(request)
        if status == access_tasks.PENDING or status not in request.events:
            continue
        callback, made = Callback.objects.get_or_create(
            request=request, event=status, defaults={"made_at": Now(), "next_at": Now()}
        )
        if made:
            transaction.on_commit(partial(_queue, callback.pk))


def _queue(callback_id: UUID) -> None:
    try:
        current_app.send_task(TASK, [str(callback_id)])
    except OperationalError as error:
        # A sweep sends what is due.
        log.warning("callback %s could not be queued: %s", callback_id, error)


def send_callback(*, callback_id: UUID) -> bool:
    """Send one callback, if it is due and nobody else sends it now; whether it was taken.

    What fails is due again later, and given up after eight attempts.
    """
    callback = _claim(callback_id)
    if callback is None:
        return False
    client = _client_of(callback.request)
    if client is None or not client.callback_url:
        _end(callback, "The client has no address any more.", sent=False)
        return False
    try:
        answer = _post(callback, client)
    except (AddressRefused, NoAnswer) as error:
        _failed(callback, error.message)
        return False
    if not answer.is_good:
        _failed(callback, f"It answered {answer.status}.")
        return False
    _end(callback, f"It answered {answer.status}.", sent=True)
    return True


def _claim(callback_id: UUID) -> Callback | None:
    """Of several that send the same one, one does; the others find it not due."""
    due = Callback.objects.filter(
        pk=callback_id, sent_at__isnull=True, failed_at__isnull=True, next_at__lte=Now()
    )
    attempts = due.values_list("attempts", flat=True).first()
    if attempts is None:
        return None
    pause = PAUSES[min(attempts, len(PAUSES) - 1)]
    if not due.filter(attempts=attempts).update(attempts=F("attempts") + 1, next_at=Now() + pause):
        return None
    return Callback.objects.select_related("request").get(pk=callback_id)


def _client_of(request: AccessRequest) -> Client | None:
    named = {f"{request.caller_kind}__slug": request.caller}
    return Client.objects.filter(**named).first()


def _post(callback: Callback, client: Client) -> egress.Answer:
    body = json.dumps(body_of(callback), separators=(",", ":")).encode()
    stamp = int(timekeeper.now().timestamp())
    headers = {
        "Content-Type": "application/json",
        "User-Agent": "Muster",
        "Muster-Delivery": str(callback.pk),
        SIGNATURE: signature(clients.callback_key(client), stamp, body),
    }
    return egress.post(client.callback_url, body=body, headers=headers)


def body_of(callback: Callback) -> dict[str, object]:
    """What is sent: the task without a result, which is asked for where it counts."""
    task = access_tasks.task_of(callback.request)
    state = {"state": callback.request.state} if callback.request.state else {}
    return {**state, "event": callback.event, "task": task}


def signature(key: str, stamp: int, body: bytes) -> str:
    """`t=<seconds>,v1=<HMAC-SHA-256 over "<seconds>.<body>">`."""
    told = hmac.new(bytes.fromhex(key), f"{stamp}.".encode() + body, hashlib.sha256)
    return f"t={stamp},v1={told.hexdigest()}"


def _failed(callback: Callback, why: str) -> None:
    if callback.attempts > len(PAUSES):
        _end(callback, why, sent=False)
    else:
        Callback.objects.filter(pk=callback.pk).update(answer=why[:100])


@transaction.atomic
def _end(callback: Callback, answer: str, *, sent: bool) -> None:
    field = "sent_at" if sent else "failed_at"
    Callback.objects.filter(pk=callback.pk).update(**{field: Now(), "answer": answer[:100]})
    audit.record(
        kind=Kind.HOLD,
        actor="system:callbacks",
        agent=callback.request.caller if callback.request.caller_kind == "agent" else "",
        gateway=callback.request.caller if callback.request.caller_kind == "gateway" else "",
        parent=callback.request.holds.order_by("items__place").values_list("pk", flat=True).first(),
        asked={
            "did": "callback_sent" if sent else "callback_given_up",
            "request": str(callback.request.pk),
            "event": callback.event,
            "attempts": callback.attempts,
        },
    )
