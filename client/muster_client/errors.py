"""What a client raises. Nothing here can be taken for a yes.

MusterError
├── Unavailable      no well-formed answer came: there is no decision, so do not go on
├── NotSignedIn      the credentials or the token are not good (any more)
├── BadRequest       the question cannot be decided as it stands
├── NotAllowed       the caller may not ask for this
├── NotFound         there is no such thing, or it is another caller's
├── Conflict         it was done before, or is over
└── Refused          Muster decided, and the answer is no
    ├── Denied
    ├── Held         a human can be asked
    └── Unfulfilled  allowed with an obligation that the caller cannot fulfil
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .answers import Decision


class MusterError(Exception):
    """`code` is Muster's stable word, `status` the HTTP status or 0 where there was none."""

    def __init__(self, message: str, *, code: str = "", status: int = 0) -> None:
        super().__init__(message)
        self.message = message
        self.code = code
        self.status = status


class Unavailable(MusterError):
    """No well-formed answer came. Whatever was asked, it is not allowed."""

    def __init__(
        self, message: str, *, code: str = "", status: int = 0, passing: bool = False
    ) -> None:
        super().__init__(message, code=code, status=status)
        self.passing = passing
        """May it be otherwise in a moment? What is malformed will not be."""


class NotSignedIn(MusterError):
    """No token could be had, or the one that was sent is not good."""


class BadRequest(MusterError):
    """The request cannot be read or decided; asking the same again will not help."""


class NotAllowed(MusterError):
    """The caller may not ask for this."""


class NotFound(MusterError):
    """There is no such decision, session or request, or it is another caller's."""


class Conflict(MusterError):
    """It was reported, declared or decided before, or its time is over."""


class Refused(MusterError):
    """Muster's answer is no. `decision` has the check, the code and the remedies."""

    def __init__(self, decision: Decision, message: str = "") -> None:
        super().__init__(message or decision.message, code=decision.code, status=200)
        self.decision = decision


class Denied(Refused):
    """It may not happen."""


class Held(Refused):
    """It may not happen until a human says so. `link` is the page on which they do."""

    def __init__(self, decision: Decision, message: str = "") -> None:
        super().__init__(decision, message)
        self.link = decision.access_request.link if decision.access_request else ""


class Unfulfilled(Refused):
    """It was allowed with an obligation that nothing here fulfils, so it counts as refused."""
