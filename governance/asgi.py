"""The web process: Django behind ASGI, only where the boot checks find nothing.

Decisions take the lean route in front of Django's handler. When the process is told to stop,
/readyz says so first; then what waits is recorded.
"""

from __future__ import annotations

import asyncio
import gc
import os
import sys
from pathlib import Path

import django
from django.conf import settings
from django.core.handlers.asgi import ASGIHandler

from governance.kernel import checks, meters

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "governance.settings")
checks.refuse_wrong_settings()

# Before anything counts: the web processes count into one folder.
meters.share(Path(settings.MUSTER_DATA) / "metrics")
django.setup(set_prefix=False)

# The checks need the app registry, which the line above fills.
from authz import group_commit  # noqa: E402
from authz import meters as counted  # noqa: E402
from authz.api.lean import LeanRoute, Receive, Scope, Send  # noqa: E402
from governance import health, pool, tracing  # noqa: E402
from governance.kernel.tracked import Tracked  # noqa: E402

checks.refuse_to_start()
# The recorder's thread is waited for: it must not wait for its turn in the interpreter.
sys.setswitchinterval(0.001)

FLUSH_SECONDS = 5.0

lean = LeanRoute(ASGIHandler())
answering = Tracked(tracing.traced(lean))


async def application(scope: Scope, receive: Receive, send: Send) -> None:
    """Everything that the server asks of this process."""
    if scope["type"] == "lifespan":
        await live(receive, send)
    else:
        await answering(scope, receive, send)


async def stop() -> None:
    """Say that nothing more should be sent here, then record what waits."""
    health.stop()
    await group_commit.group().flush(FLUSH_SECONDS)
    lean.close()
    counted.write_down()
    await asyncio.to_thread(tracing.flush)


async def live(receive: Receive, send: Send) -> None:
    """From the start of the process to its end."""
    while True:
        message = await receive()
        if message["type"] == "lifespan.startup":
            # What is there now stays for good: the collector need not look at it again.
            gc.collect()
            gc.freeze()
            watching = pool.watch()
            await send({"type": "lifespan.startup.complete"})
        else:
            watching.cancel()
            await stop()
            await send({"type": "lifespan.shutdown.complete"})
            return
