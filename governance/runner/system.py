"""What comes with the system and not as a Python package: a browser, for the tests."""

from __future__ import annotations

import os
import shutil
import subprocess


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
