"""How a command ends, for the shell that called it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import click

from ..errors import (
    BadRequest,
    Conflict,
    MusterError,
    NotAllowed,
    NotFound,
    NotSignedIn,
    Unavailable,
)
from .shown import printable

OK = 0
FOUND = 1
"""Something was found, or Muster refused in this state."""
USAGE = 2
"""It was called wrongly, or there is no such thing."""
NO_WAY = 3
"""Muster could not be reached, nobody is signed in, or they may not."""

_CODES: Mapping[type[MusterError], int] = {
    BadRequest: USAGE,
    NotFound: USAGE,
    Conflict: FOUND,
    NotSignedIn: NO_WAY,
    NotAllowed: NO_WAY,
    Unavailable: NO_WAY,
}


def code_of(error: MusterError) -> int:
    """The exit code of what was raised."""
    return next((code for kind, code in _CODES.items() if isinstance(error, kind)), NO_WAY)


class Ending(click.Command):
    """A command whose failures are one sentence and an exit code, never a traceback."""

    def invoke(self, ctx: click.Context) -> Any:
        """Run it. What it raises of `MusterError` is said on standard error."""
        try:
            return super().invoke(ctx)
        except MusterError as error:
            click.echo(f"muster: {printable(error.message, lines=True)}", err=True)
            ctx.exit(code_of(error))
