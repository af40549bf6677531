"""Callbacks: signed, to the registered address, once, and again where nobody answered."""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.db.models.functions import Now

from authz.models import AccessRequest, Callback
from authz.services import callbacks, holds
from governance.kernel.egress import AddressRefused
from registry.enums import GroupName
from registry.identity import clients
from tests.authz.test_access_requests import REQUESTS, denied, gated, request_of, send
from tests.factories.authz import make_person
from tests.governance.test_egress import Server, _names

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def server(tmp_path: Path, settings: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    settings.MUSTER_APPROVER_MFA = False
    found = Server(tmp_path)
    settings.MUSTER_EGRESS_CA = str(found.ca)
    settings.MUSTER_EGRESS_ALLOWED = frozenset({found.name})
    _names(monkeypatch, ["127.0.0.1"])
    yield found
    found.close()


def called_back(server: Server) -> tuple[Any, Callback]:
    """A request that was approved, and the callback that is to be sent for it."""
    approver, desk = make_person(groups=[GroupName.SECURITY]), gated()
    operator = make_person(groups=[GroupName.PLATFORM_ADMIN])
    clients.set_callback(client=desk.client, url=server.url, by=operator)
    body, context = denied(desk)
    wanted = {"endpoint": server.url, "state": "s1"}
    answer = send(REQUESTS, request_of(body, context, callback=wanted), desk.client)
    assert answer.status_code == 202, answer.content
    holds.approve_hold(hold_id=AccessRequest.objects.get().holds.get().pk, by=approver)
    return desk, Callback.objects.get()


def test_the_caller_is_told_and_knows_by_whom(
    server: Server, mark: Any, records_after: Any
) -> None:
    desk, callback = called_back(server)
    before = mark()

    sent = callbacks.send_callback(callback_id=callback.pk)
    again = callbacks.send_callback(callback_id=callback.pk)

    assert (sent, again, len(server.came)) == (True, False, 1)
    head, _, body = server.came[0].partition(b"\r\n\r\n")
    told = json.loads(body)
    request = AccessRequest.objects.get()
    assert (told["state"], told["event"], told["task"]["status"]) == ("s1", "approved", "approved")
    assert (told["task"]["id"], "result" in told) == (str(request.pk), False)
    desk.client.refresh_from_db()
    key = bytes.fromhex(clients.callback_key(desk.client))
    fields = dict(line.split(": ", 1) for line in head.decode().lower().split("\r\n")[1:])
    stamp, _, signature = fields["muster-signature"].partition(",v1=")
    wanted = hmac.new(key, stamp.removeprefix("t=").encode() + b"." + body, hashlib.sha256)
    assert signature == wanted.hexdigest()
    callback.refresh_from_db()
    assert callback.sent_at is not None
    (record,) = records_after(before, kind="hold")
    assert record["parent"] == request.holds.get().pk


@pytest.mark.parametrize("status", [b"302 Found", b"404 Not Found", b"500 Error"])
def test_what_is_not_taken_is_sent_again_later_and_given_up_in_the_end(
    server: Server, status: bytes
) -> None:
    _, callback = called_back(server)
    server.reply = b"HTTP/1.1 " + status + b"\r\nContent-Length: 0\r\n\r\n"

    first = callbacks.send_callback(callback_id=callback.pk)
    too_early = callbacks.send_callback(callback_id=callback.pk)
    for _ in range(len(callbacks.PAUSES)):
        Callback.objects.update(next_at=Now() - timedelta(seconds=1))
        callbacks.send_callback(callback_id=callback.pk)

    callback.refresh_from_db()
    assert (first, too_early, len(server.came)) == (False, False, 8)
    assert (callback.failed_at is not None, callback.sent_at) == (True, None)
    assert callback.answer == f"It answered {status[:3].decode()}."
    Callback.objects.update(next_at=Now() - timedelta(seconds=1))
    assert callbacks.send_callback(callback_id=callback.pk) is False


def test_an_address_that_moved_inside_is_not_called(server: Server, settings: Any) -> None:
    _, callback = called_back(server)
    settings.MUSTER_EGRESS_ALLOWED = frozenset()

    assert callbacks.send_callback(callback_id=callback.pk) is False

    callback.refresh_from_db()
    assert (server.came, callback.sent_at) == ([], None)
    assert "inside a network" in callback.answer


def test_an_address_inside_is_not_registered(server: Server, settings: Any) -> None:
    desk = gated()
    settings.MUSTER_EGRESS_ALLOWED = frozenset()

    with pytest.raises(AddressRefused):
        clients.set_callback(client=desk.client, url=server.url, by=desk.owner)

    desk.client.refresh_from_db()
    assert desk.client.callback_url == ""
