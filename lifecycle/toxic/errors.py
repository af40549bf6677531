"""What answering a finding refuses."""

from __future__ import annotations

from governance.kernel.errors import Conflict


class AlreadyAnswered(Conflict):
    """This finding waits for no answer any more. Look at it again."""

    code = "already_answered"


class AnswerFirst(Conflict):
    """This row and others of its owner can put together what is toxic. Answer that first."""

    code = "toxic_unanswered"


class CannotSplit(Conflict):
    """One tool of it gives both sides, so it cannot be parted by tools. Choose another answer."""

    code = "cannot_split"
