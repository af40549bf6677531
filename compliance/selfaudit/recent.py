"""The self-audit for who asks again and again: no older than `KEPT_SECONDS`."""

from __future__ import annotations

import threading
import time

from compliance.selfaudit.standing import Standing, stand

KEPT_SECONDS = 60.0


class _Kept:
    """The last look of this process, and when it was taken by the clock of the machine."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._last: tuple[float, Standing] | None = None

    def standing(self) -> Standing:
        with self._lock:
            now = time.monotonic()
            if self._last is None or now - self._last[0] > KEPT_SECONDS:
                self._last = now, stand()
            return self._last[1]

    def forget(self) -> None:
        with self._lock:
            self._last = None


_kept = _Kept()
lately, forget = _kept.standing, _kept.forget
