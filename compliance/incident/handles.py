"""Handles: what one has in hand when something happened, and what is meant by it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from uuid import UUID

from django.db.models import Q
from django.utils import timezone

from audit.errors import UnknownRecord
from audit.incident import Span, Subject, known
from audit.redactor import SEALED
from audit.selectors import AuditScope, get_record
from audit.services import index_resource
from authz.models import FlowSession, Hold
from compliance.errors import BadHandle
from governance.kernel import clock
from registry.models import Agent, Person, System, Tool
from registry.selectors import people_for_list

OFFERED = 8
LONGEST = 300
_TIME = re.compile(r"\d{4}-\d\d-\d\d([ T]\d\d:\d\d.*)?")
_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)


class HandleKind(StrEnum):
    """What a handle names. `everything` needs a span."""

    RECORD = "record"
    HOLD = "hold"
    AGENT = "agent"
    USER = "user"
    SYSTEM = "system"
    RESOURCE = "resource"
    TOOL = "tool"
    SESSION = "session"
    EVERYTHING = "everything"


# What is gone to by a record of its own, and not by a column.
OF_RECORD = (HandleKind.RECORD, HandleKind.HOLD)
_WORDS = {HandleKind.SESSION: "run", HandleKind.USER: "user"}


@dataclass(frozen=True, slots=True)
class Handle:
    """One thing, by the name under which the record knows it; people by their pseudonymous id."""

    kind: HandleKind
    value: str = ""

    @property
    def key(self) -> str:
        """As it stands in an address."""
        return f"{self.kind}:{self.value}" if self.value else str(self.kind)

    @property
    def word(self) -> str:
        """What it is, in a word."""
        return _WORDS.get(self.kind, str(self.kind))


@dataclass(frozen=True, slots=True)
class Choice:
    """One thing that may be meant: `exact` where what was typed is its name."""

    handle: Handle
    label: str
    about: str = ""
    exact: bool = False
    span: Span | None = None


def read(key: str) -> Handle:
    """A handle from an address. Raises `BadHandle`."""
    kind, _, value = key.partition(":")
    if kind not in list(HandleKind) or "\0" in value or len(value) > LONGEST:
        raise BadHandle()
    handle = Handle(HandleKind(kind), value)
    if bool(value) == (handle.kind is HandleKind.EVERYTHING):
        raise BadHandle()
    if handle.kind in OF_RECORD and not _UUID.fullmatch(value):
        raise BadHandle()
    return handle


def subject_of(handle: Handle) -> Subject:
    """The entries that a handle means; those of a record or a hold are found from it."""
    if handle.kind is HandleKind.SYSTEM:
        return Subject("tool", tuple(sorted(_tools_of(handle.value))))
    if handle.kind is HandleKind.EVERYTHING:
        return Subject()
    return Subject(str(handle.kind), (handle.value,))


def _tools_of(system: str) -> set[str]:
    rows = Tool.objects.filter(Q(system__slug=system) | Q(accesses__system__slug=system))
    return set(rows.values_list("name", flat=True))


# What was typed


def meant(text: str, person: Person) -> list[Choice]:
    """What may be meant by a text: the only thing of that name, or everything that comes near.

    Only what this person may see is offered.
    """
    text = text.strip()[:LONGEST]
    if not text or "\0" in text:
        return []
    if span := span_of(text):
        return [Choice(Handle(HandleKind.EVERYTHING), "Everything in this time", span=span)]
    found = list(_by_key(text))[:1] or list(_all(text, person))
    exact = [choice for choice in found if choice.exact]
    return exact if len(exact) == 1 else found


def _by_key(text: str) -> Iterator[Choice]:
    try:
        handle = read(text)
    except BadHandle:
        return
    if handle.value:
        yield Choice(handle, handle.value, handle.word, exact=True)


def _all(text: str, person: Person) -> Iterator[Choice]:
    scope = person.audit_scope()
    if _UUID.fullmatch(text):
        yield from _records(text.lower(), scope)
        return
    yield from _agents(text, scope)
    yield from _people(text, person)
    yield from _systems(text, person)
    yield from _tools(text, person)
    yield from _resources(text, scope)
    yield from _runs(text, scope)


def _records(text: str, scope: AuditScope) -> Iterator[Choice]:
    try:
        record = get_record(text, scope=scope)
    except UnknownRecord:
        return
    if Hold.objects.filter(pk=text).exists():
        yield Choice(Handle(HandleKind.HOLD, text), text, f"held: {record.tool}", exact=True)
    else:
        yield Choice(Handle(HandleKind.RECORD, text), text, "record", exact=True)


def _agents(text: str, scope: AuditScope) -> Iterator[Choice]:
    rows = Agent.objects.filter(Q(slug__icontains=text) | Q(name__icontains=text))
    if not scope.everything:
        rows = rows.filter(slug__in=scope.agents)
    for agent in rows.select_related("owner").order_by("slug")[:OFFERED]:
        handle = Handle(HandleKind.AGENT, agent.slug)
        yield Choice(handle, agent.slug, f"agent of {agent.owner}", _same(text, agent.slug))


def _people(text: str, person: Person) -> Iterator[Choice]:
    rows = people_for_list(person).filter(
        Q(pid=text) | Q(email__icontains=text) | Q(name__icontains=text)
    )
    for found in rows.order_by("name", "pk")[:OFFERED]:
        exact = _same(text, found.pid, found.email, found.name)
        about = "person for whom agents act"
        yield Choice(Handle(HandleKind.USER, found.pid), str(found), about, exact)


def _systems(text: str, person: Person) -> Iterator[Choice]:
    rows = System.objects.visible_to(person)
    for system in rows.filter(Q(slug__icontains=text) | Q(name__icontains=text))[:OFFERED]:
        handle, exact = Handle(HandleKind.SYSTEM, system.slug), _same(text, system.slug)
        yield Choice(handle, system.slug, f"{system.effective_tier} system", exact)


def _tools(text: str, person: Person) -> Iterator[Choice]:
    rows = Tool.objects.visible_to(person).filter(name__icontains=text).select_related("system")
    for tool in rows.order_by("name")[:OFFERED]:
        handle, exact = Handle(HandleKind.TOOL, tool.name), _same(text, tool.name)
        yield Choice(handle, tool.name, f"tool of {tool.system}", exact)


def _resources(text: str, scope: AuditScope) -> Iterator[Choice]:
    """Resources of that id that the record knows, in any system; personal ids by their hash."""
    for value in known("resource", list(_resource_names(text)), scope=scope):
        system, _, name = value.partition("/")
        label = f"{system}/{text.rpartition('/')[2]}" if name.startswith(SEALED) else value
        yield Choice(Handle(HandleKind.RESOURCE, value), label, f"resource of {system}", exact=True)


def _resource_names(text: str) -> Iterator[str]:
    slugs = dict(System.objects.values_list("slug", "personal_resource_ids"))
    system, slash, name = text.partition("/")
    if slash and system in slugs:
        yield text
        yield f"{system}/{index_resource(name)}"
    else:
        for slug, personal in slugs.items():
            yield f"{slug}/{index_resource(text) if personal else text}"


def _runs(text: str, scope: AuditScope) -> Iterator[Choice]:
    for name in known("session", [text], scope=scope):
        session = FlowSession.objects.filter(pk=name).select_related("agent").first()
        about = f"run of {session.agent}" if session else "run"
        yield Choice(Handle(HandleKind.SESSION, name), name, about, exact=True)


def _same(text: str, *names: str) -> bool:
    return any(text.casefold() == name.casefold() for name in names)


# Times


def span_of(text: str) -> Span | None:
    """`2026-11-23`, `2026-11-23 14:00`, or two of them with `..` between; in the reader's zone.

    A day means all of it, a minute the hour around it.
    """
    first, dots, last = (part.strip() for part in text.partition(".."))
    begin, end = _instant(first), _instant(last)
    if begin is None:
        return None
    if dots:
        closed = _whole(last, end) if end and end >= begin else None
        return Span(begin, closed.until) if closed else None
    return _whole(first, begin) if len(first) == len("2026-11-23") else _hour(begin)


def _instant(text: str) -> datetime | None:
    if not _TIME.fullmatch(text):
        return None
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        return None
    if not clock.is_usable(found):
        return None
    return found if timezone.is_aware(found) else timezone.make_aware(found)


def _whole(text: str, at: datetime) -> Span:
    """Up to the end of a day where a day alone was said."""
    return Span(at, at + timedelta(days=1) if len(text) == len("2026-11-23") else at)


def _hour(at: datetime) -> Span:
    return Span(at - timedelta(minutes=30), at + timedelta(minutes=30))


def record_id(handle: Handle) -> UUID:
    """Of a record or a hold."""
    return UUID(handle.value)
