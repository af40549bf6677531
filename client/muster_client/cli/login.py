"""`muster login`: let this terminal act as you, by a code that you confirm on the site."""

from __future__ import annotations

import os
import socket
import sys
import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import click

from ..errors import BadRequest, NotAllowed, Unavailable
from . import kept
from .exits import Ending
from .remote import CLIENT_ID, Remote, base_of
from .shown import printable, progress

GRANT = "urn:ietf:params:oauth:grant-type:device_code"
SLOWER = 5
MAX_WAIT = 3600
SAID = {
    "access_denied": "It was refused. Nothing is signed in.",
    "expired_token": "The code was not confirmed in time. Run muster login again.",
}


@dataclass(frozen=True, slots=True)
class Waiting:
    """What Muster said of a sign-in that waits (RFC 8628 section 3.2). Times are seconds."""

    device_code: str
    user_code: str
    page: str
    complete: str
    expires_in: float
    interval: float


@click.command(name="login", cls=Ending)
@click.argument("address", default="")
@click.option("--write", is_flag=True, help="It may change things as well, and answer holds.")
@click.option("--token-stdin", is_flag=True, help="Read a token from standard input instead.")
@click.option("--no-browser", is_flag=True, help="Open no browser.")
@click.option("--allow-http", is_flag=True, help="Without TLS, to another machine.")
def command(
    address: str, write: bool, token_stdin: bool, no_browser: bool, allow_http: bool
) -> None:
    """Sign in at ADDRESS: a code is shown, which you confirm on the site."""
    known = address or os.environ.get("MUSTER_URL", "") or kept.read().url
    with Remote(base_of(known, allow_http=allow_http)) as remote:
        if token_stdin:
            told = {"access_token": sys.stdin.readline(4096).strip()}
        else:
            told = _by_code(remote, "read write" if write else "read", not no_browser)
        remote.token = str(told.get("access_token") or "")
        if not remote.token.isascii() or not remote.token.isprintable() or not remote.token:
            raise BadRequest("That is no token.")
        me = remote.get("/api/v1/me")
        kept.write(kept.Kept(remote.url, remote.token, str(me.get("until") or "")))
    click.echo(f"Signed in at {remote.url} as {printable(me.get('name') or me.get('email'))}.")


def _by_code(remote: Remote, scope: str, browser: bool) -> dict[str, Any]:
    waiting = _begin(remote, scope)
    click.echo(f"Open {waiting.page} and type: {waiting.user_code}", err=True)
    if browser and waiting.complete.startswith(f"{remote.url}/"):
        click.launch(waiting.complete)
    with progress("Waiting for you to confirm"):
        return _token(remote, waiting)


def _begin(remote: Remote, scope: str) -> Waiting:
    answer = remote.form(
        "/oauth/device_authorization",
        client_id=CLIENT_ID,
        scope=scope,
        device_name=socket.gethostname()[:80],
    )
    told = answer.object()
    if answer.status != 200:
        raise Unavailable(_description(told))
    try:
        return Waiting(
            str(told["device_code"]),
            printable(str(told["user_code"])),
            printable(str(told["verification_uri"])),
            str(told.get("verification_uri_complete", "")),
            min(float(told["expires_in"]), MAX_WAIT),
            max(float(told.get("interval", SLOWER)), 1),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise Unavailable("The answer is none that Muster gives.") from error


def _token(remote: Remote, waiting: Waiting) -> dict[str, Any]:
    """Ask until there is an answer, no sooner than Muster wants (section 3.5)."""
    until = datetime.now(UTC) + timedelta(seconds=waiting.expires_in)
    interval = waiting.interval
    while datetime.now(UTC) < until:
        time.sleep(interval)
        try:
            answer = remote.form(
                "/oauth/token",
                grant_type=GRANT,
                client_id=CLIENT_ID,
                device_code=waiting.device_code,
            )
        except Unavailable:
            # A connection that failed says nothing of the code; ask less often (section 3.5).
            interval *= 2
            continue
        told = answer.object()
        if answer.status == 200:
            return told
        error = told.get("error")
        if error == "slow_down":
            interval += SLOWER
        elif error != "authorization_pending":
            raise NotAllowed(SAID.get(str(error), _description(told)))
    raise NotAllowed(SAID["expired_token"])


def _description(told: dict[str, Any]) -> str:
    return str(told.get("error_description") or told.get("error") or "Muster refused.")
