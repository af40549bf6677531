"""Counters and histograms of this process, and of all web processes together.

Several web processes share a folder, which `governance.asgi` names before anything is counted: each
writes into files of its own there, mapped into memory, and whoever is asked adds them up. Without
the folder each process speaks for itself.
"""

from __future__ import annotations

import logging
import os
from pathlib import Path

import prometheus_client.values
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector, mark_process_dead

FOLDER = "PROMETHEUS_MULTIPROC_DIR"

log = logging.getLogger(__name__)

REGISTRY = CollectorRegistry()


def share(folder: Path) -> None:
    """Count into files of this folder from now on; alone, with a warning, where it is closed."""
    try:
        folder.mkdir(exist_ok=True, mode=0o700)
        (folder / f"probe_{os.getpid()}").touch()
        (folder / f"probe_{os.getpid()}").unlink()
    except OSError as error:
        log.warning("Each web process counts for itself: %s cannot be written (%s).", folder, error)
        return
    os.environ[FOLDER] = str(folder)
    # It was chosen when the package was imported.
    prometheus_client.values.ValueClass = prometheus_client.values.get_value_class()  # type: ignore[no-untyped-call]


def told() -> str:
    """Every meter as Prometheus reads it (text format 0.0.4), summed over the web processes."""
    folder = os.environ.get(FOLDER, "")
    if not folder:
        return generate_latest(REGISTRY).decode()
    _forget_the_dead(Path(folder))
    together = CollectorRegistry()
    MultiProcessCollector(together, folder)  # type: ignore[no-untyped-call]
    return generate_latest(together).decode()


def _forget_the_dead(folder: Path) -> None:
    """What a process had at the moment of its end is over; what it counted stays."""
    for file in folder.glob("gauge_live*_*.db"):
        pid = int(file.stem.rpartition("_")[2])
        if not Path(f"/proc/{pid}").exists() and not _lives(pid):
            mark_process_dead(pid, str(folder))  # type: ignore[no-untyped-call]


def _lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def clear(folder: Path) -> None:
    """Begin anew, before the first web process of a start."""
    folder.mkdir(exist_ok=True, mode=0o700)
    for file in folder.glob("*.db"):
        file.unlink(missing_ok=True)
