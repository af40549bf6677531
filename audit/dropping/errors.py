"""Why a month of the record is not dropped."""

from governance.kernel.errors import Conflict, Invalid, NotFound


class NoSuchMonth(NotFound):
    """The record holds no entry of this month. /retention/ lists the months that are there."""

    code = "no_such_month"


class NotOver(Conflict):
    """This month must still be kept. /retention/ says until when, and by which rule."""

    code = "month_kept"


class NotOrdered(Conflict):
    """No order of the last 30 days says so. Have two people agree to it on /retention/ first."""

    code = "drop_not_ordered"


class MonthHeld(Conflict):
    """A legal hold covers entries of this month. It stays until two people have ended the hold."""

    code = "month_held"


class MonthNotSealed(Conflict):
    """Entries of this month are not sealed yet. See that the sealer runs, and try again."""

    code = "month_not_sealed"


class MonthNotAnchored(Conflict):
    """Entries of this month are not anchored outside yet. See /proof/, and try again."""

    code = "month_not_anchored"


class ExportThere(Conflict):
    """Another file of this name lies there. Name another folder, or move the file away."""

    code = "export_there"


class ExportNotWhole(Invalid):
    """What was written does not prove every entry of the month when it is read back. Nothing was
    dropped. Look at the disk, and try again."""

    code = "export_not_whole"
