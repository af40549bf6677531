"""Which sweeps there are. Whoever adds one registers it in `AppConfig.ready`."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured

from governance.kernel.errors import NotFound

# After a start, every sweep has begun within so long.
BEGIN_WITHIN = timedelta(seconds=30)

# What names a row: its primary key, or what stands for it.
Key = int | str


@dataclass(frozen=True, slots=True)
class Sweep:
    """One sweep. `title` says as a sentence what it does.

    `due(now)` names the rows that are due, those due longest first. `handle(key, now)` handles one
    of them in a transaction of its own: it locks the row, looks again whether it is due, and says
    whether it did something. Run twice, or at once, it changes nothing more.
    """

    name: str
    title: str
    due: Callable[[datetime], Iterable[Key]]
    handle: Callable[[Key, datetime], bool]
    # It waits for another system, so it opens and closes its transactions itself.
    outside: bool = False

    @property
    def every(self) -> timedelta:
        """How often it runs."""
        return timedelta(seconds=settings.MUSTER_SWEEPS[self.name])

    @property
    def begins_after(self) -> timedelta:
        """How long after a start it first runs: by its name, so that not all begin at once."""
        share = zlib.crc32(self.name.encode()) / 2**32
        return share * min(self.every / 2, BEGIN_WITHIN)


_sweeps: dict[str, Sweep] = {}


def register(sweep: Sweep) -> None:
    """Make a sweep known. Its interval stands in `settings.MUSTER_SWEEPS`."""
    if sweep.name not in settings.MUSTER_SWEEPS:
        raise ImproperlyConfigured(f"MUSTER_SWEEPS does not say how often {sweep.name} runs.")
    _sweeps[sweep.name] = sweep


def registered() -> list[Sweep]:
    """Every sweep, by name."""
    return [_sweeps[name] for name in sorted(_sweeps)]


def find(name: str) -> Sweep:
    """The sweep of this name; `NotFound` if there is none."""
    if name not in _sweeps:
        raise NotFound(f"There is no sweep {name[:40]}.")
    return _sweeps[name]
