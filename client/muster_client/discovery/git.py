"""A repository, taken into a folder of its own for as long as it is looked through."""

from __future__ import annotations

import os
import re
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

SECONDS = 300
_SCP = re.compile(r"[A-Za-z0-9_.-]+@[A-Za-z0-9.-]+:[^:].*")
SCHEMES = ("https", "http", "ssh", "git", "file")


class NoRepository(Exception):
    """The repository could not be fetched."""


def is_repository(place: str) -> bool:
    """Whether this is an address of a repository, or a bare one on this machine."""
    if _SCP.fullmatch(place) or (urlsplit(place).scheme in SCHEMES and "://" in place):
        return True
    folder = Path(place)
    return (folder / "HEAD").is_file() and (folder / "objects").is_dir()


def source_of(place: str) -> str:
    """What a repository is called: host and path, without user, password, query and `.git`."""
    if _SCP.fullmatch(place):
        host, _, path = place.partition("@")[2].partition(":")
        return f"{host}/{path}".removesuffix(".git")
    if "://" not in place:
        return Path(place).resolve().name.removesuffix(".git") or "a repository"
    parts = urlsplit(place)
    port = f":{parts.port}" if parts.port else ""
    return f"{parts.hostname or ''}{port}{parts.path}".strip("/").removesuffix(".git")


@contextmanager
def cloned(place: str, *, seconds: float = SECONDS) -> Iterator[Path]:
    """Its newest commit's files, in a folder that is gone afterwards. Raises `NoRepository`.

    No submodule, hook, filter or large file of it is fetched or run, links become plain files, and
    git asks nobody for a password.
    """
    with tempfile.TemporaryDirectory(prefix="muster-discover-") as temporary:
        folder = Path(temporary) / "repository"
        _clone(place, folder, seconds)
        yield folder


def _clone(place: str, folder: Path, seconds: float) -> None:
    local = place if "://" in place or _SCP.fullmatch(place) else str(Path(place).resolve())
    command = [
        *("git", "-c", "core.symlinks=false", "-c", "core.hooksPath=/dev/null"),
        *("-c", "protocol.ext.allow=never", "-c", "core.fsmonitor=false"),
        *("clone", "--quiet", "--depth=1", "--single-branch", "--no-tags", "--no-local"),
        *("--no-recurse-submodules", "--template=", "--", local, str(folder)),
    ]
    environment = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith("GIT_") or name in {"GIT_SSH_COMMAND", "GIT_SSH"}
    }
    environment |= {"GIT_TERMINAL_PROMPT": "0", "GIT_ASKPASS": "", "GIT_LFS_SKIP_SMUDGE": "1"}
    try:
        # A fixed command without a shell; what was given stands behind the dashes.
        subprocess.run(
            command,
            check=True,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=seconds,
            env=environment,
        )
    except FileNotFoundError as error:
        raise NoRepository("There is no git on this machine.") from error
    except subprocess.TimeoutExpired as error:
        raise NoRepository(f"It took more than {seconds:.0f} seconds.") from error
    except subprocess.CalledProcessError as error:
        # What git says may repeat an address with a password in it.
        raise NoRepository(f"git ended with {error.returncode}.") from error
