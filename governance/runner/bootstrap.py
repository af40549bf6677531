"""Makes `.venv` from the hashed requirements, then hands over to `governance.runner` in it.

Runs on a bare Python: the standard library and nothing else, no import of our own.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

PROJECT = Path(__file__).resolve().parent.parent.parent
VENV = PROJECT / ".venv"
PYTHON = VENV / "bin" / "python"
STAMP = VENV / "muster.json"
RUN_TIME = "requirements.txt"
DEVELOPMENT = "requirements-dev.txt"
NEED_DEVELOPMENT = ("test", "lock", "docs", "vulnerabilities")


def main(arguments: list[str]) -> None:
    wanted = [RUN_TIME]
    if arguments[0] in NEED_DEVELOPMENT:
        wanted.append(DEVELOPMENT)
    try:
        ensure(wanted)
    except (OSError, subprocess.CalledProcessError) as error:
        sys.exit(f"muster: the packages could not be installed into {VENV}: {error}")
    os.environ["PYTHONPATH"] = str(PROJECT)
    os.execv(PYTHON, [str(PYTHON), "-P", "-m", "governance.runner", *arguments])  # noqa: S606


def ensure(files: Sequence[str]) -> None:
    """Have what `files` pin in .venv; does nothing where that was installed before."""
    if _installed(files):
        return
    VENV.mkdir(exist_ok=True)
    with (VENV / "muster.lock").open("a") as lock:
        _wait_for(lock.fileno())
        if _installed(files):
            return
        if not _works(PYTHON):
            _run(sys.executable, "-m", "venv", "--without-pip", VENV)
        _install(files[-1])
        STAMP.write_text(json.dumps({name: _digest(name) for name in files}))


def _installed(files: Sequence[str]) -> bool:
    """Whether .venv was filled from these very files and still runs."""
    try:
        stamp = json.loads(STAMP.read_text())
    except (OSError, ValueError):
        return False
    return PYTHON.exists() and all(stamp.get(name) == _digest(name) for name in files)


def _digest(name: str) -> str:
    return hashlib.sha256((PROJECT / name).read_bytes()).hexdigest()


def _wait_for(descriptor: int) -> None:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        print("Another start installs the packages; waiting for it …", flush=True)
        fcntl.flock(descriptor, fcntl.LOCK_EX)


def _works(python: Path) -> bool:
    return (
        python.exists()
        and subprocess.run([python, "-c", ""], check=False, capture_output=True).returncode == 0
    )


def _install(name: str) -> None:
    began = time.monotonic()
    print(f"Installing the packages of {name} into {VENV} …", flush=True)
    # The file is complete. An older pip that resolves it again takes the newest release for a
    # dependency named with an extra, and then misses its hash.
    settled = ("--require-hashes", "--no-deps")
    quiet = ("--disable-pip-version-check", "--no-input", "-qq")
    _run(*_pip(), "install", *settled, *quiet, "-r", PROJECT / name)
    print(f"Installed in {time.monotonic() - began:.0f} s.", flush=True)


def _pip() -> list[str | Path]:
    """The system's pip pointed at .venv, which works without python3-venv; else ensurepip's."""
    if _has(sys.executable, "pip"):
        return [sys.executable, "-m", "pip", "--python", PYTHON]
    if not _has(PYTHON, "pip") and _has(PYTHON, "ensurepip"):
        _run(PYTHON, "-m", "ensurepip", "--default-pip")
    if _has(PYTHON, "pip"):
        return [PYTHON, "-m", "pip"]
    sys.exit(
        "muster: there is no pip here. On Debian: sudo apt-get install python3-pip"
        " (or python3-venv); elsewhere: python3 -m ensurepip."
    )


def _has(python: str | Path, module: str) -> bool:
    found = subprocess.run([python, "-m", module, "--version"], check=False, capture_output=True)
    return found.returncode == 0


def _run(*command: str | Path) -> None:
    subprocess.run(command, check=True, stdin=subprocess.DEVNULL)


if __name__ == "__main__":
    main(sys.argv[1:])
