"""Processor time of what is measured, which says what a machine with nothing else to do would."""

from __future__ import annotations

import os
import time
from pathlib import Path


def milliseconds() -> float:
    """Of this process and of the database's one that serves it.

    The latter counts in hundredths of a second, so only the mean of many questions says something.
    """
    from django.db import connection

    connection.ensure_connection()
    stat = Path(f"/proc/{connection.connection.info.backend_pid}/stat").read_text()
    user, system = stat.rsplit(")", 1)[1].split()[11:13]
    ticks = (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")
    return 1000 * (time.process_time() + ticks)
