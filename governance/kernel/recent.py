"""What happened lately in this process, counted: so that noise fills neither log nor record."""

from __future__ import annotations

import threading
from collections import OrderedDict
from datetime import datetime, timedelta

_MAX_KEYS = 10_000


class Recent:
    """What happened lately in this process, by key; the oldest are dropped first."""

    def __init__(self) -> None:
        self._counts: OrderedDict[tuple[str, ...], tuple[datetime, int]] = OrderedDict()
        self._lock = threading.Lock()

    def count(self, key: tuple[str, ...], window: timedelta, now: datetime) -> int:
        """How often `key` was counted in its current window, this time included."""
        with self._lock:
            began, count = self._counts.pop(key, (now, 0))
            if not timedelta() <= now - began < window:
                began, count = now, 0
            self._counts[key] = (began, count + 1)
            if len(self._counts) > _MAX_KEYS:
                self._counts.popitem(last=False)
            return count + 1

    def clear(self) -> None:
        with self._lock:
            self._counts.clear()
