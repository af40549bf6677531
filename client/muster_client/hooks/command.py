"""`muster hook AGENT`: one event on standard input, one answer on standard output.

It ends with 0 and an answer, or with 2 and a sentence: an agent takes 2 for a block, and any other
end for a hook that broke, after which it goes on. So nothing here may end otherwise, and what
could is imported inside the guard.
"""

from __future__ import annotations

import os
import sys
import threading
from typing import NoReturn

import click

BLOCKED = 2
SECONDS = 25.0
_AGENTS = ("claude-code", "codex", "cursor")


@click.command()
@click.argument("agent", type=click.Choice(_AGENTS))
@click.option("--mapping", default="", help="A JSON file with names of tools of your own.")
@click.option(
    "--on-allow",
    type=click.Choice(("allow", "ask", "pass")),
    default="allow",
    show_default=True,
    help="What Muster's allow is to the agent: its end, a question to the user, or no word.",
)
@click.option("--seconds", type=float, default=SECONDS, show_default=True, help="Then it blocks.")
def command(agent: str, mapping: str, on_allow: str, seconds: float) -> None:
    """Ask Muster before a coding agent uses a tool; whatever fails, blocks (exit code 2).

    MUSTER_URL, and MUSTER_CLIENT_ID with MUSTER_CLIENT_SECRET or MUSTER_TOKEN, say who asks.
    """
    watch = threading.Timer(seconds, _too_late, [seconds])
    watch.daemon = True
    try:
        watch.start()
        from .saying import answered  # noqa: PLC0415 - where it fails, it must fail in here

        sys.stdout.write(answered(agent, sys.stdin.buffer, mapping, on_allow) + "\n")
        sys.stdout.flush()
    except BaseException as error:
        _block(error)
    finally:
        watch.cancel()


def _block(error: BaseException) -> NoReturn:
    """Say why in one sentence, and end with 2 even where it cannot be said."""
    told = str(error) or type(error).__name__
    try:
        sys.stderr.write(f"Muster blocks this: {told}\n")
        sys.stderr.flush()
    finally:
        # Leaving as Python usually does may fail too, at a pipe that is closed.
        os._exit(BLOCKED)


def _too_late(seconds: float) -> None:
    _block(TimeoutError(f"there was no decision within {seconds:g} seconds."))
