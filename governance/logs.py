"""How log lines are written: never with a credential that can be recognised.

What an exception says may repeat what was sent, and a traceback is written whole.
"""

from __future__ import annotations

import logging

from audit.redactor import REMOVED, find_secret, redact

# A key of many lines: what follows its first one looks like nothing in particular.
_LONG = "PRIVATE KEY"


class Redacting(logging.Formatter):
    """Takes credentials out of the message and the traceback, line by line."""

    def format(self, record: logging.LogRecord) -> str:
        whole = super().format(record)
        head, said, rest = whole.partition(record.message)
        return head + without_credentials(said + rest)


def without_credentials(text: str) -> str:
    """`text` without what can be recognised as a credential, line by line."""
    if find_secret(text) is None:
        return text
    if _LONG in text:
        return REMOVED
    lines = "\n".join(str(redact(line)) for line in text.split("\n"))
    return REMOVED if find_secret(lines) is not None else lines
