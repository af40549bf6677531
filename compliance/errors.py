"""What can go wrong with evidence."""

from __future__ import annotations

from governance.kernel.errors import Conflict, Invalid, NotFound


class BadPeriod(Invalid):
    """A period is two days, written 2026-07-01..2026-09-30, of at most two years."""

    code = "bad_period"


class BadScope(Invalid):
    """A scope is the whole company, `department:NAME` or `agent:SLUG`, and holds an agent."""

    code = "bad_scope"


class UnknownFramework(NotFound):
    """There is no such framework. /evidence/ lists those that there are."""

    code = "unknown_framework"


class UnknownControl(NotFound):
    """The framework has no such control. Its page lists those that it has."""

    code = "unknown_control"


class ReportRunning(Conflict):
    """The report is being made. Its page says how far it is."""

    code = "report_running"


class ReportNotReady(Conflict):
    """The report is not made yet, so there is nothing to download."""

    code = "report_not_ready"


class ReportGone(NotFound):
    """The files of this report were deleted when its time was over. Make it again."""

    code = "report_gone"


class LinkOver(NotFound):
    """This link has ended. Ask whoever gave it to you for a new one."""

    code = "link_over"


class BadHandle(Invalid):
    """A handle is a kind and a name, as `agent:refund-desk`; type any name into the search."""

    code = "bad_handle"


class RequestClosed(Conflict):
    """This request is answered already. Open another one."""

    code = "request_closed"


class NotErasable(Conflict):
    """This is no request for erasure, or it is carried out already. Its page says how far it is."""

    code = "not_erasable"


class UnknownSubject(NotFound):
    """Nobody here is known by this, and no entry is about it. Try an id, an address or a name."""

    code = "unknown_subject"


class HoldOver(Conflict):
    """This legal hold is over already."""

    code = "hold_over"
