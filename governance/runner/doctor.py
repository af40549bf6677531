"""`./muster doctor`: looks at an installation, also where its database does not start."""

from __future__ import annotations

import sys
from contextlib import ExitStack

from governance.runner import command, database
from governance.runner.environment import python
from governance.runner.places import CannotStart


def run(arguments: list[str]) -> int:
    """0 if nothing failed, else 1. What it asks of the database it leaves out where that is away.

    Raises `CannotStart` where there is no installation to look at.
    """
    ours = command.chosen()
    if not (database.asked() or ours.superuser.exists()):
        raise CannotStart(
            f"{ours.superuser} is missing, and without it nobody comes into the database."
            " Put it back from your backup."
        )
    with ExitStack() as stack:
        try:
            stack.enter_context(command.with_database(ours))
        except CannotStart as refusal:
            print(f"muster: {refusal}", file=sys.stderr)
        return command.run_as("command", python("-m", "governance.doctor", *arguments), ours)
