"""Where an installation keeps what: one data folder, and nothing outside it."""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path

PROJECT = Path(__file__).resolve().parent.parent.parent

# What root alone uses, for what lies where another account may not go: a copy of PostgreSQL's
# programs, and the database of a data folder such as /root/data.
SHARED = Path("/var/lib/muster")


class CannotStart(Exception):
    """The start was refused or failed; the text says why and what to do."""


@dataclass(frozen=True)
class Places:
    """The files and folders of one installation."""

    data: Path

    @property
    def lock(self) -> Path:
        return self.data / "up.lock"

    @property
    def state(self) -> Path:
        """What the running (or last) `up` answers on, as JSON."""
        return self.data / "up.json"

    @property
    def logins(self) -> Path:
        return self.data / "logins.json"

    @property
    def superuser(self) -> Path:
        return self.data / "superuser"

    @property
    def keys(self) -> Path:
        return self.data / "keys"

    @property
    def sealer(self) -> Path:
        """The sealer's own folder: its key and the last checkpoint that it signed."""
        return self.data / "sealer"

    @property
    def anchored(self) -> Path:
        """Checkpoints that were read back from outside, for the sealer to hold the tree against."""
        return self.data / "anchored"

    @property
    def cluster_lock(self) -> Path:
        return self.data / "postgres.lock"

    @property
    def logs(self) -> Path:
        return self.data / "logs"

    @property
    def static(self) -> Path:
        return self.data / "static"

    @property
    def stamps(self) -> Path:
        return self.data / "stamps"

    @property
    def demo_people(self) -> Path:
        return self.data / "demo.json"

    @property
    def metrics(self) -> Path:
        """What each web process has counted, in files of its own."""
        return self.data / "metrics"

    @property
    def written(self) -> tuple[Path, ...]:
        """The folders that run-time processes write into."""
        own = (self.data / name for name in ("beat", "files", "home", "mail"))
        return (*own, self.metrics, self.anchored)

    @property
    def short(self) -> str:
        """A short name for this data folder, for places that many installations share."""
        return hashlib.sha256(os.fsencode(self.data)).hexdigest()[:12]


def choose(asked: str | None) -> Places:
    """The installation that `--data`, else MUSTER_DATA, else the project's root names."""
    named = asked or os.environ.get("MUSTER_DATA")
    return Places(Path(named).expanduser().absolute() if named else PROJECT / ".muster")


def prepare(places: Places) -> None:
    """Make the folders. Others may walk through the data folder only where root runs it."""
    try:
        places.data.mkdir(parents=True, exist_ok=True)
        places.data.chmod(0o711 if os.geteuid() == 0 else 0o700)
        private = (places.logs, places.stamps, places.keys, places.keys / "tokens", places.sealer)
        for folder in private:
            folder.mkdir(exist_ok=True, mode=0o700)
        for folder in places.written:
            folder.mkdir(exist_ok=True, mode=0o700)
        # Not secret, and the sealer reads it by an account of its own.
        places.anchored.chmod(0o755)
    except OSError as error:
        raise CannotStart(f"The data folder {places.data} cannot be written: {error}") from error
