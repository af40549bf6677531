"""What comes with the system and not as a Python package: pango for PDF pages, a browser."""

from __future__ import annotations

import ctypes.util
import os
import shutil
import subprocess
from collections.abc import Callable

PANGO = ("libpango-1.0-0", "libpangoft2-1.0-0", "libharfbuzz-subset0", "fonts-dejavu-core")


def pango_missing() -> bool:
    """Whether PDF pages cannot be drawn here."""
    return any(
        ctypes.util.find_library(name) is None
        for name in ("pango-1.0", "pangoft2-1.0", "harfbuzz-subset")
    )


def ensure_pango(say: Callable[[str], None]) -> None:
    """Install pango as root on Debian; elsewhere say how. Only PDF rendering needs it."""
    if not pango_missing():
        return
    if can_install():
        say(f"Pango is missing; installing {' '.join(PANGO)} with apt-get …")
        if install(*PANGO):
            return
    say(
        "Pango is missing, so PDF reports are off; everything else works. To switch them on:\n"
        f"  sudo apt-get install {' '.join(PANGO)}"
    )


def can_install() -> bool:
    """Whether packages may be installed: by root, on Debian and its kin."""
    return os.geteuid() == 0 and shutil.which("apt-get") is not None


def install(*packages: str) -> bool:
    """Install Debian packages; whether that worked."""
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    command = ["apt-get", "install", "-y", "-qq", "--no-install-recommends", *packages]
    if _succeeds(command, environment):
        return True
    return _succeeds(["apt-get", "update", "-qq"], environment) and _succeeds(command, environment)


def _succeeds(command: list[str], environment: dict[str, str]) -> bool:
    done = subprocess.run(command, env=environment, check=False, capture_output=True)
    return done.returncode == 0
