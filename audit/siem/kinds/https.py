"""Batches over HTTPS: lines, an array, Splunk's event collector, or the bulk interface of Elastic.

An answer of 2xx is the acknowledgement; that of a bulk request says of each entry whether it was
taken, and an entry that lies there already counts as taken.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from audit.export_text import written
from audit.siem.batches import Batch, Item
from audit.siem.configured import Configured
from audit.siem.errors import BatchRefused, StreamFailed
from governance.kernel import egress
from governance.kernel.egress import Answer

REFUSED = (400, 413, 422)
ALREADY_THERE = 409
JSON, LINES, TEXT = "application/json", "application/x-ndjson", "text/plain; charset=utf-8"
# So that the answer to a bulk request stays short.
ONLY_STATUSES = "filter_path=errors,items.*.status"


class Https:
    """The endpoint at `url`."""

    def __init__(self, stream: Configured, header: Mapping[str, str]) -> None:
        self._stream, self._header = stream, header
        url = str(stream.options["url"])
        if stream.carrier == "bulk" and "?" not in url:
            url = f"{url}?{ONLY_STATUSES}"
        self._url = url

    def send(self, batch: Batch) -> None:
        answer = egress.post(
            self._url,
            body=self.body_of(batch).encode(),
            headers={**self._header, "Content-Type": self._media_type(), "User-Agent": "muster"},
            ca_file=self._stream.ca_file,
        )
        if answer.status in REFUSED:
            raise BatchRefused(f"{self._stream.where} refused it ({answer.status}).")
        if not answer.is_good:
            raise StreamFailed(f"{self._stream.where} answered {answer.status}.")
        if self._stream.carrier == "bulk":
            self._look_at(answer)

    def body_of(self, batch: Batch) -> str:
        """What is sent."""
        match self._stream.carrier:
            case "array":
                return "[" + ",".join(each.line for each in batch.items) + "]"
            case "hec":
                return "\n".join(map(self._event, batch.items))
            case "bulk":
                return "".join(
                    f'{{"create":{{"_id":"{each.record.id}"}}}}\n{each.line}\n'
                    for each in batch.items
                )
        return "".join(each.line + "\n" for each in batch.items)

    def _event(self, item: Item) -> str:
        """One event of Splunk's collector; what is JSON already is taken as it is."""
        outside = {
            "time": round(item.record.at.timestamp(), 6),
            "source": "muster",
            "sourcetype": f"muster:{self._stream.format}",
        }
        event = written(item.line) if self._stream.format == "cef" else item.line
        return f'{written(outside)[:-1]},"event":{event}}}'

    def _media_type(self) -> str:
        if self._stream.carrier in ("array", "hec"):
            return JSON
        return TEXT if self._stream.format == "cef" else LINES

    def _look_at(self, answer: Answer) -> None:
        """Raises `StreamFailed` unless every entry lies there now."""
        try:
            said = json.loads(answer.body)
            wrong = [status for status in _statuses(said) if not _is_taken(status)]
        except (ValueError, TypeError, AttributeError, KeyError) as error:
            raise StreamFailed(f"{self._stream.where} answered no bulk answer.") from error
        if wrong or said.get("errors") not in (False, True):
            raise StreamFailed(
                f"{self._stream.where} did not take {len(wrong)} entries"
                f" ({', '.join(map(str, sorted(set(wrong))))})."
            )
        if said["errors"] and not said.get("items"):
            raise StreamFailed(f"{self._stream.where} did not take all entries.")


def _statuses(said: Any) -> list[int]:
    return [int(done["status"]) for each in said.get("items", ()) for done in each.values()]


def _is_taken(status: int) -> bool:
    return 200 <= status < 300 or status == ALREADY_THERE
