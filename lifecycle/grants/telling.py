"""What people are told of their grants: given, used for the first time, near its end, ended."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from audit.in_name import First
from authz.enums import EndCause, GrantWay
from authz.models import Grant
from authz.signals import grant_ended, grant_given
from governance.words import day
from lifecycle.grants import words
from lifecycle.notices import Severity, notify
from registry.models import Tool

# Who did it themself is not told of it.
OWN_CAUSES = (EndCause.PERSON, EndCause.REPLACED)
GIVEN, USED, NEAR, ENDED = "grant.given", "grant.used", "grant.near", "grant.ended"
BEFOREHAND = "grant.beforehand"


def event_of(code: str, grant_id: object) -> str:
    """The event of a notice: of each grant a person is told once of each thing."""
    return f"{code}:{grant_id}"


def connect() -> None:
    """Listen to what happens to grants."""
    grant_given.connect(tell_given, dispatch_uid="lifecycle.tell of a grant")
    grant_ended.connect(tell_ended, dispatch_uid="lifecycle.tell of the end of a grant")


def tell_given(*, grant: Grant, **_: Any) -> None:
    """Tell the person, in its transaction: whoever did it in their place is found out."""
    code = BEFOREHAND if grant.way == GrantWay.PREAPPROVED else GIVEN
    _tell(grant, code, tools=_named(grant))


def tell_ended(*, grant: Grant, **_: Any) -> None:
    """Tell the person, where it was not they who ended it."""
    if grant.end_cause not in OWN_CAUSES:
        why = words.why_ended(grant, whose="You", now=grant.ended_at or grant.until)
        _tell(grant, ENDED, why=why)


def tell_used(grant: Grant, first: First) -> bool:
    """Tell the person that an agent acted for them for the first time on this grant."""
    tool = Tool.objects.filter(name=first.tool).first()
    local = first.at.astimezone(ZoneInfo(grant.person.zone))
    at = f"{day(local.date())}, {local:%H:%M}"
    return _tell(grant, USED, tool=words.said(tool, first.tool), at=at)


def tell_near(grant: Grant, now: datetime) -> bool:
    """Ask the person whether it should go on."""
    return _tell(grant, NEAR, left=words.left(grant.until, now))


def _tell(grant: Grant, code: str, **more: str) -> bool:
    context = {
        "agent": grant.agent.slug,
        "until": day(grant.until.astimezone(ZoneInfo(grant.person.zone)).date()),
        "grant": str(grant.pk),
        **more,
    }
    told = notify(
        person=grant.person,
        severity=Severity.INFO,
        code=code,
        context=context,
        event=event_of(code, grant.pk),
    )
    return told is not None


def _named(grant: Grant) -> str:
    tools = {tool.name: tool for tool in Tool.objects.filter(name__in=list(grant.tools))}
    return ", ".join(words.said(tools.get(name), name) for name in sorted(grant.tools))
