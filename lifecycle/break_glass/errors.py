"""What emergency access refuses."""

from __future__ import annotations

from governance.kernel.errors import Conflict, Invalid, NotAllowed


class NotProved(NotAllowed):
    """Address, password or code is not right."""

    code = "not_proved"


class CodeRefused(NotAllowed):
    """This is no sealed code that still works."""

    code = "code_refused"


class NotReviewed(Conflict):
    """Emergency access was used and nobody has reviewed that. It cannot be used again before."""

    code = "not_reviewed"


class AlreadyReviewed(Conflict):
    """Someone else has reviewed this already."""

    code = "already_reviewed"


class TooShort(Invalid):
    """Say more."""

    code = "too_short"
