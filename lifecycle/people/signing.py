"""Signatures of webhooks, by Standard Webhooks 1.0. Pure: the caller says which time it is.

What is signed is `<id>.<timestamp>.<body>`, by HMAC-SHA-256 under the bytes that a secret stands
for; the header holds one or more `v1,<base64>`, separated by spaces.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from governance.kernel.randomness import take
from lifecycle.people.errors import NotSigned

PREFIX = "whsec_"
SECRET_BYTES = 32
TOLERANCE = timedelta(minutes=5)
ID = re.compile(r"[A-Za-z0-9_.:-]{1,200}")
MOST_SIGNATURES = 16


@dataclass(frozen=True, slots=True)
class Signed:
    """The three headers, as they came."""

    id: str
    timestamp: str
    signature: str


def new_secret() -> str:
    """A secret as the sender is given it."""
    return PREFIX + base64.b64encode(take(SECRET_BYTES)).decode()


def key_of(secret: str) -> bytes:
    """The bytes that a secret stands for, with or without its prefix. `ValueError` for none."""
    try:
        key = base64.b64decode(secret.removeprefix(PREFIX), validate=True)
    except binascii.Error as error:
        raise ValueError("It is no base64.") from error
    if not key:
        raise ValueError("It is empty.")
    return key


def sign(key: bytes, *, message_id: str, timestamp: str, body: bytes) -> str:
    """The signature of a message, as it stands in the header."""
    signed = b".".join((message_id.encode(), timestamp.encode(), body))
    return "v1," + base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()


def check(signed: Signed, body: bytes, *, keys: Iterable[bytes], now: datetime) -> None:
    """Raise `NotSigned` unless one of `keys` signed this body, for this id, a moment ago.

    Every key is tried on every signature, whatever was found before.
    """
    _check_headers(signed, now)
    given = [each.encode() for each in signed.signature.split(" ")[:MOST_SIGNATURES]]
    right = False
    for key in keys:
        wanted = sign(key, message_id=signed.id, timestamp=signed.timestamp, body=body).encode()
        for each in given:
            right |= hmac.compare_digest(wanted, each)
    if not right:
        raise NotSigned()


def _check_headers(signed: Signed, now: datetime) -> None:
    if not ID.fullmatch(signed.id) or not signed.signature.isascii():
        raise NotSigned("Send webhook-id, webhook-timestamp and webhook-signature.")
    stamp = signed.timestamp
    if not (stamp.isascii() and stamp.isdecimal() and len(stamp) <= 11):
        raise NotSigned("webhook-timestamp must be the time in whole seconds since 1970.")
    if abs(now - datetime.fromtimestamp(int(stamp), UTC)) > TOLERANCE:
        raise NotSigned(
            "webhook-timestamp is more than five minutes off. Sign each attempt anew.",
            code="webhook.timestamp",
        )
