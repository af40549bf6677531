"""What a review refuses."""

from __future__ import annotations

from governance.kernel.errors import Conflict, Invalid


class ReviewClosed(Conflict):
    """This review is closed: look at how it ended."""

    code = "review_closed"


class StepAnswered(Conflict):
    """Someone has answered this already. Load it again to see what they said."""

    code = "step_answered"


class RowChanged(Conflict):
    """The row has changed since you read it. Read it again before you sign."""

    code = "row_changed"


class NoReason(Invalid):
    """Say why, so that they can do better."""

    code = "no_reason"
