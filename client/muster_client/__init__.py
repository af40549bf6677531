"""Muster, from outside: ask before an agent acts, and check the record.

The verifier, `verify.py`, needs no other module of this package.
"""

from .aio import AsyncMuster, AsyncSession
from .answers import AccessRequest, Decision, Observed, Run, Task
from .client import Muster, Session
from .errors import (
    BadRequest,
    Conflict,
    Denied,
    Held,
    MusterError,
    NotAllowed,
    NotFound,
    NotSignedIn,
    Refused,
    Unavailable,
    Unfulfilled,
)
from .governing import governed

__all__ = [
    "AccessRequest",
    "AsyncMuster",
    "AsyncSession",
    "BadRequest",
    "Conflict",
    "Decision",
    "Denied",
    "Held",
    "Muster",
    "MusterError",
    "NotAllowed",
    "NotFound",
    "NotSignedIn",
    "Observed",
    "Refused",
    "Run",
    "Session",
    "Task",
    "Unavailable",
    "Unfulfilled",
    "governed",
]
