"""`muster holds`: what waits for a human, and the answer to it."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import click

from . import shown
from .exits import FOUND, Ending
from .remote import Remote, chosen, where

COLUMNS = {
    "id": "Hold",
    "agent": "Agent",
    "tool": "Tool",
    "why": "Why",
    "expires_at": "Refused at",
}
FIELDS = {
    "id": "Hold",
    "agent": "Agent",
    "tool": "Tool",
    "user": "For",
    "why": "Why",
    "tier": "Tier",
    "expires_at": "Refused at",
    "reasoning": "It says",
}


@click.group(name="holds")
def command() -> None:
    """What agents want to do, and may not before a human says so."""


@command.command(name="list", cls=Ending)
@where
@click.option("--mine", is_flag=True, help="Only what you may approve.")
@click.option("--agent", default="", help="Of this agent.")
@click.option("--json", "as_json", is_flag=True, help="JSON instead of a table.")
def listed(url: str, allow_http: bool, mine: bool, agent: str, as_json: bool) -> None:
    """What waits and you see, first what runs out first."""
    with chosen(url, allow_http=allow_http) as remote:
        rows = list(remote.pages("/api/v1/holds", mine="true" if mine else "", agent=agent))
    if as_json:
        shown.as_json(rows)
    else:
        shown.table(rows, COLUMNS, empty="Nothing waits.")


@command.command(name="show", cls=Ending)
@click.argument("hold", type=click.UUID)
@where
@click.option("--json", "as_json", is_flag=True, help="JSON instead of lines.")
def show(hold: UUID, url: str, allow_http: bool, as_json: bool) -> None:
    """What it is about. That you read it is recorded."""
    with chosen(url, allow_http=allow_http) as remote:
        found = remote.get(f"/api/v1/holds/{hold}")
    if as_json:
        shown.as_json(found)
    else:
        _about(found)


@command.command(name="approve", cls=Ending)
@click.argument("hold", type=click.UUID)
@where
@click.option("--seen", default="", help="The `seen` of what you looked at, instead of asking.")
@click.option("--json", "as_json", is_flag=True, help="JSON instead of a sentence.")
@click.pass_context
def approve(
    ctx: click.Context, *, hold: UUID, url: str, allow_http: bool, seen: str, as_json: bool
) -> None:
    """Let it run once, exactly as it is shown. You are asked before.

    Money and restricted data need a second factor that you used within 15 minutes: on the site,
    before you confirmed the code of muster login.
    """
    with chosen(url, allow_http=allow_http) as remote:
        digest = seen or _looked_at(ctx, remote, hold)
        told = remote.post(f"/api/v1/holds/{hold}/approve", {"seen": digest})
    waits = told.get("state") == "open"
    said = "Your approval counts. Another one is needed." if waits else "Approved, once."
    _answered(told, said, as_json=as_json)


@command.command(name="reject", cls=Ending)
@click.argument("hold", type=click.UUID)
@where
@click.option("--reason", prompt="Why? The agent reads it", help="The agent reads it.")
@click.option("--json", "as_json", is_flag=True, help="JSON instead of a sentence.")
def reject(hold: UUID, url: str, allow_http: bool, reason: str, as_json: bool) -> None:
    """Refuse it, with a reason."""
    with chosen(url, allow_http=allow_http) as remote:
        told = remote.post(f"/api/v1/holds/{hold}/reject", {"reason": reason})
    _answered(told, "Rejected.", as_json=as_json)


def _looked_at(ctx: click.Context, remote: Remote, hold: UUID) -> str:
    """The digest of what the person has just seen and wants to let run."""
    found = remote.get(f"/api/v1/holds/{hold}")
    _about(found, err=True)
    if not click.confirm("Let exactly this run, once?", err=True):
        click.echo("Nothing has changed.", err=True)
        ctx.exit(FOUND)
    return str(found.get("seen"))


def _about(found: dict[str, Any], *, err: bool = False) -> None:
    for name, word in FIELDS.items():
        if found.get(name):
            click.echo(f"{word.ljust(10)}  {shown.printable(found[name])}", err=err)
    for name, value in (found.get("parameters") or {}).items():
        click.echo(f"  {shown.printable(name)} = {shown.printable(value)}", err=err)
    for name in found.get("secrets") or ():
        click.echo(f"  {shown.printable(name)} is secret: only the agent knows it", err=err)
    for name in ("fault", "why_not_approve"):
        if found.get(name):
            click.echo(shown.printable(found[name]), err=err)


def _answered(told: dict[str, Any], said: str, *, as_json: bool) -> None:
    if as_json:
        shown.as_json(told)
    else:
        click.echo(said)
