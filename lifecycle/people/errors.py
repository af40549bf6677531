"""What the ways by which people come in refuse."""

from __future__ import annotations

from governance.kernel.errors import Conflict, GovernanceError, Invalid


class BadFile(Invalid):
    """This file cannot be read as a list of people."""

    code = "bad_file"


class ImportOver(Conflict):
    """This preview is over: it was applied, put aside, or is too old. Upload the file again."""

    code = "import_over"


class ImportOutdated(Conflict):
    """The register has changed since this preview was made. Look at the new one."""

    code = "import_outdated"


class ManyLeavers(Invalid):
    """So many people leave by this file that their number has to be typed."""

    code = "many_leavers"


class NotSigned(GovernanceError):
    """The signature is not right for this source, this body and this moment."""

    code = "webhook.signature"
    status = 401


class UsedDifferently(Conflict):
    """This webhook-id was used before, for another body. Each message has an id of its own."""

    code = "webhook.id_used"
