"""What can be said where the settings of the installation stop every process."""

from __future__ import annotations

import os
from pathlib import Path

from governance.doctor import machine
from governance.doctor.verdict import Finding, Here, fail

LOOKS = {"python": machine.python, "disk": machine.disk, "key files": machine.key_files}
TODO = "Put it right, as docs/reference/settings.md says. Nothing else could be looked at."


def findings(why: str) -> list[Finding]:
    """What needs no settings, and the sentence that says what is wrong with them."""
    data = Path(os.environ.get("MUSTER_DATA", ""))
    here = Here(data, Path(os.environ.get("MUSTER_KEYS", data / "keys")))
    looked_at = [Finding(name, look(here)) for name, look in LOOKS.items()]
    return [*looked_at, Finding("settings", fail(why, TODO))]
