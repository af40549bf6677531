"""What cases refuse."""

from __future__ import annotations

from governance.kernel.errors import Conflict


class CaseClosed(Conflict):
    """This case is closed already. Load it again to see what came of it."""

    code = "case_closed"
