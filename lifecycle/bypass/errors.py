"""What can be wrong with a log, a file of it or an answer."""

from __future__ import annotations

from governance.kernel.errors import Conflict, Invalid, NotSignedIn


class BadLog(Invalid):
    """This cannot be read as a log of calls."""

    code = "tool_log.unreadable"


class BadMapping(Invalid):
    """The columns of the log are not said rightly."""

    code = "tool_log.mapping"


class ImportOver(Conflict):
    """This file was applied or put aside, or its preview is too old. Upload it again."""

    code = "tool_log.import_over"


class NothingOpen(Conflict):
    """None of these calls waits for an answer any more."""

    code = "bypass.answered"


class WrongToken(NotSignedIn):
    """Send the token of this log: Authorization: Bearer …."""

    code = "tool_log.token"
