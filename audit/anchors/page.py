"""What the page Proof shows of anchors, and how anybody checks the record without Muster."""

from __future__ import annotations

from typing import Any

from audit.anchors.selectors import standing
from audit.selectors import AuditScope

COMMAND = "python3 verify.py muster-proof.jsonl --kept kept.txt --key keys.txt"


def context(scope: AuditScope) -> dict[str, Any]:
    """Anchors with the last that each took, and whether this person may export everything."""
    return {"anchors": standing(), "whole": scope.everything, "command": COMMAND}
