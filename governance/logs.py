"""How log lines are written: never with a credential that can be recognised.

What an exception says may repeat what was sent, and a traceback is written whole. A line says
which request it belongs to: what else it needs to be found by.
"""

from __future__ import annotations

import json
import logging
from datetime import UTC, datetime
from typing import Any

from audit.redactor import REMOVED, find_secret, redact
from governance.kernel import tracked

# A key of many lines: what follows its first one looks like nothing in particular.
_LONG = "PRIVATE KEY"


class Redacting(logging.Formatter):
    """Takes credentials out of the message and the traceback, line by line."""

    def format(self, record: logging.LogRecord) -> str:
        whole = super().format(record)
        # Where nothing is said, it cannot be looked for.
        head, said, rest = whole.partition(record.message) if record.message else ("", whole, "")
        return head + _where() + without_credentials(said + rest)


def _where() -> str:
    """The request in brackets, before what is said; nothing outside of any."""
    asked = tracked.request_id()
    return f"[{without_credentials(asked)}] " if asked else ""


class Structured(logging.Formatter):
    """One JSON object a line: `at`, `level`, `logger`, `message`, and what there is besides.

    `process` is what the process is, `request_id`, `trace_id` and `span_id` say which request was
    being answered, `exception` is a traceback.
    """

    def __init__(self, process: str = "") -> None:
        super().__init__()
        self._process = process

    def format(self, record: logging.LogRecord) -> str:
        trace, span = tracked.trace()
        line = {
            "at": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
            "process": self._process,
            "pid": record.process,
            "request_id": tracked.request_id(),
            "trace_id": trace,
            "span_id": span,
            "exception": self._traceback(record),
        }
        return json.dumps(
            {name: _clean(value) for name, value in line.items() if value}, ensure_ascii=False
        )

    def _traceback(self, record: logging.LogRecord) -> str:
        said = self.formatException(record.exc_info) if record.exc_info else record.exc_text or ""
        stack = self.formatStack(record.stack_info) if record.stack_info else ""
        return "\n".join(filter(None, (said, stack)))


def _clean(value: Any) -> Any:
    return without_credentials(value) if isinstance(value, str) else value


def without_credentials(text: str) -> str:
    """`text` without what can be recognised as a credential, line by line."""
    if find_secret(text) is None:
        return text
    if _LONG in text:
        return REMOVED
    lines = "\n".join(str(redact(line)) for line in text.split("\n"))
    return REMOVED if find_secret(lines) is not None else lines
