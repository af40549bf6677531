"""What an adversarial test refuses."""

from __future__ import annotations

from governance.kernel.errors import Conflict, Invalid


class ProbeFailed(Conflict):
    """Attacks would execute on this row. Narrow it, then try again."""

    code = "probe_failed"


class NothingToProbe(Invalid):
    """This row may call nothing, so there is nothing to attack. Put a tool on its allowlist."""

    code = "nothing_to_probe"
