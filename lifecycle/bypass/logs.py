"""How a system's log is read, and the token by which it is sent."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Mapping
from typing import Any
from zoneinfo import ZoneInfo

from django.db import transaction

from governance.kernel import clock
from governance.kernel.errors import NotFound
from lifecycle.bypass import permissions
from lifecycle.bypass.errors import BadMapping, WrongToken
from lifecycle.bypass.reading import COLUMNS, NEEDED
from lifecycle.models import ToolLog
from registry.models import Agent, Person, System, Tool
from registry.services.saving import record

PREFIX = "muster_log_"
MOST_NAMED = 500
MOST_LENGTH = 255
MOST_WINDOW = 24 * 3600
MOST_AHEAD = 600


@transaction.atomic
def set_log(
    *,
    system: System,
    columns: Mapping[str, str],
    by: Person,
    actions: Mapping[str, str] | None = None,
    identities: Mapping[str, str] | None = None,
    zone: str = "",
    window_seconds: int = 300,
    ahead_seconds: int = 5,
) -> ToolLog:
    """Say how the log of a system is read. Calls that were read before stay as they were."""
    permissions.check_can_read_in(system, by)
    # Of two who say it for the first time at once, one waits for the other.
    System.objects.select_for_update(of=("self",), no_key=True).get(pk=system.pk)
    said: dict[str, Any] = {
        "columns": _columns(columns),
        "actions": _actions(system, actions or {}),
        "identities": _identities(identities or {}),
        "zone": _zone(zone),
        "window_seconds": _seconds(window_seconds, 1, MOST_WINDOW, "The window"),
        "ahead_seconds": _seconds(ahead_seconds, 0, MOST_AHEAD, "The allowance for clocks"),
        "changed_at": clock.now(),
        "changed_by": by,
    }
    log, _ = ToolLog.objects.update_or_create(system=system, defaults=said)
    record(
        "tool_log_set",
        by=by,
        resource=f"system:{system.slug}",
        more={"window_seconds": window_seconds, "ahead_seconds": ahead_seconds},
    )
    return log


def _columns(columns: Mapping[str, str]) -> dict[str, str]:
    said = {name: str(columns.get(name, "")).strip() for name in COLUMNS}
    if missing := [name for name in NEEDED if not said[name]]:
        raise BadMapping(f"Say which column holds {missing[0]}.")
    if any(len(path) > MOST_LENGTH for path in said.values()):
        raise BadMapping(f"A column's name has at most {MOST_LENGTH} characters.")
    return said


def _actions(system: System, actions: Mapping[str, str]) -> dict[str, str]:
    said = _named(actions, "actions")
    wanted = {tool for tool in said.values() if tool}
    known = set(Tool.objects.filter(system=system, name__in=wanted).values_list("name", flat=True))
    if unknown := sorted(wanted - known):
        raise BadMapping(f"{system.slug} has no tool {unknown[0][:60]}.")
    return said


def _identities(identities: Mapping[str, str]) -> dict[str, str]:
    said = _named(identities, "accounts")
    known = set(Agent.objects.filter(slug__in=said.values()).values_list("slug", flat=True))
    if unknown := sorted(set(said.values()) - known):
        raise BadMapping(f"There is no agent {unknown[0][:60]}.")
    return said


def _named(given: Mapping[str, str], what: str) -> dict[str, str]:
    said = {str(name).strip(): str(value).strip() for name, value in given.items()}
    said.pop("", None)
    if len(said) > MOST_NAMED:
        raise BadMapping(f"At most {MOST_NAMED} {what} can be named.")
    if any(len(each) > MOST_LENGTH for pair in said.items() for each in pair):
        raise BadMapping(f"Names of {what} have at most {MOST_LENGTH} characters.")
    return said


def _zone(zone: str) -> str:
    try:
        return ZoneInfo(zone).key if zone else ""
    except Exception as error:  # what it raises for a wrong name differs by the name
        raise BadMapping(f"{zone[:40]} is no time zone. Write Europe/Copenhagen.") from error


def _seconds(value: int, least: int, most: int, what: str) -> int:
    if not least <= value <= most:
        raise BadMapping(f"{what} is from {least} to {most} seconds.")
    return value


@transaction.atomic
def new_token(*, log_id: int, by: Person) -> tuple[ToolLog, str]:
    """A token for sending the log, which is never shown again. The one before ends at once."""
    log = _locked(log_id, by)
    token = PREFIX + secrets.token_urlsafe(32)
    log.token_digest, log.token_made_at = digest_of(token), clock.now()
    log.save(update_fields=["token_digest", "token_made_at"])
    record("tool_log_token_made", by=by, resource=f"system:{log.system.slug}")
    return log, token


@transaction.atomic
def end_token(*, log_id: int, by: Person) -> ToolLog:
    """Take no more files by a token."""
    log = _locked(log_id, by)
    log.token_digest, log.token_made_at = "", None
    log.save(update_fields=["token_digest", "token_made_at"])
    record("tool_log_token_ended", by=by, resource=f"system:{log.system.slug}")
    return log


def _locked(log_id: int, by: Person) -> ToolLog:
    rows = ToolLog.objects.select_for_update(of=("self",), no_key=True)
    log = rows.select_related("system__owner").filter(pk=log_id).first()
    if log is None:
        raise NotFound("There is no such log.")
    permissions.check_can_read_in(log.system, by)
    return log


def digest_of(token: str) -> str:
    """What is kept of a token; nothing to stretch, since there is nothing to guess."""
    return hashlib.sha256(token.encode("utf-8", "replace")).hexdigest()


def log_by_token(system: str, authorization: str) -> ToolLog:
    """The log of this system whose token this is. Raises `WrongToken`."""
    scheme, _, token = authorization.partition(" ")
    log = ToolLog.objects.select_related("system").filter(system__slug=system).first()
    digest = digest_of(token.strip())
    kept = log.token_digest if log else ""
    if scheme.lower() != "bearer" or not hmac.compare_digest(digest, kept) or log is None:
        raise WrongToken()
    return log
