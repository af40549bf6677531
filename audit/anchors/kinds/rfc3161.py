"""A time stamp (RFC 3161) over the signed note: proof that it was there at that time.

The authority keeps nothing. The receipt holds the time stamp; who wants to show it later keeps it
together with the note.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cryptography import x509
from rfc3161_client import (
    TimestampRequestBuilder,
    TimeStampResponse,
    VerificationError,
    VerifierBuilder,
    decode_timestamp_response,
)

from audit.anchors.errors import AnchorFailed
from audit.models import Checkpoint
from governance.kernel import egress
from governance.kernel.egress import NoAnswer

HEADERS = {"Content-Type": "application/timestamp-query"}


class TimeStamps:
    """The authority at `url`, whose roots lie in `ca_file`."""

    def __init__(self, options: Mapping[str, Any]) -> None:
        self._url, self._ca_file = str(options["url"]), str(options["ca_file"])

    def send(self, checkpoint: Checkpoint) -> dict[str, Any]:
        note = checkpoint.note.encode()
        asked = TimestampRequestBuilder().data(note).build()
        try:
            answer = egress.post(self._url, body=asked.as_bytes(), headers=HEADERS)
        except NoAnswer as error:
            raise AnchorFailed(error.message) from error
        if not answer.is_good:
            raise AnchorFailed(f"The time stamp authority answered {answer.status}.")
        stamp = self._verified(answer.body, note)
        at = stamp.tst_info.gen_time.isoformat()
        return {
            "url": self._url,
            "stamped_at": at,
            "response": base64.b64encode(answer.body).decode(),
        }

    def read_back(self, after: int) -> str | None:
        return None

    def _verified(self, raw: bytes, note: bytes) -> TimeStampResponse:
        try:
            roots = x509.load_pem_x509_certificates(Path(self._ca_file).read_bytes())
            stamp = decode_timestamp_response(raw)
            VerifierBuilder(roots=roots).build().verify_message(stamp, note)
        except OSError as error:
            raise AnchorFailed(f"{self._ca_file} cannot be read: {error.strerror}.") from error
        except (ValueError, VerificationError) as error:
            raise AnchorFailed("What came back is no time stamp that can be trusted.") from error
        return stamp
