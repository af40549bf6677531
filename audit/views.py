"""The trail: what happened, who caused it, was it authorized, what data was touched."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Protocol, cast
from uuid import UUID

from django.contrib.auth import get_user_model
from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest, HttpResponse, StreamingHttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_GET, require_POST

from audit import export as exporting
from audit import selectors, services
from audit.enums import Kind
from audit.explain import explanation
from audit.forms import TrailForm
from audit.leaf import BadBody
from audit.models import Record
from audit.selectors import AuditScope, PageRequest
from governance.kernel.errors import GovernanceError

_EXPORTS = {
    "csv": (exporting.csv_lines, "text/csv; charset=utf-8"),
    "jsonl": (exporting.jsonl_lines, "application/jsonl; charset=utf-8"),
}
PAGE = 50


class Reader(Protocol):
    """Who looks at the trail: the user model, which lies above this app."""

    pid: str

    def audit_scope(self) -> AuditScope:
        """What this person may see."""


def _reader(request: HttpRequest) -> Reader:
    return cast("Reader", request.user)


@login_required
@require_GET
def trail(request: HttpRequest) -> HttpResponse:
    """The list, newest first, with its filters in the address."""
    form = TrailForm(request.GET)
    if not form.is_valid():
        return render(request, "audit/trail.html", {"form": form}, status=400)
    scope, filters = _reader(request).audit_scope(), form.filters()
    wanted = PageRequest(
        after=request.GET.get("after", ""), before=request.GET.get("before", ""), size=PAGE
    )
    page = selectors.search(filters, wanted, scope=scope)
    return render(
        request,
        "audit/trail.html",
        {
            "form": form,
            "rows": _rows(page.records),
            "count": selectors.count(filters, scope=scope),
            "older_url": _cursor_url(request, after=page.older),
            "newer_url": _cursor_url(request, before=page.newer),
            "query": _query_without_cursor(request),
            "filtered": any(form.cleaned_data.values()),
            "scope": scope,
        },
    )


def _rows(records: Iterable[Record]) -> list[dict[str, Any]]:
    """Records with the walk of each and the names of people, in two queries for all."""
    found = list(records)
    names = names_of(pid for record in found for pid in (record.user, record.actor))
    return [_row(record, _body(record), names) for record in found]


def _body(record: Record) -> Mapping[str, Any]:
    """What the entry says; nothing of one that was tampered with, which its own page tells."""
    try:
        return selectors.parse_body(record)
    except BadBody:
        return {}


def _row(record: Record, body: Mapping[str, Any], names: Mapping[str, str]) -> dict[str, Any]:
    return {
        "record": record,
        "walk": body.get("judged", {}).get("walk", []),
        "did": str(body.get("asked", {}).get("did", record.kind)).replace("_", " "),
        "user": names.get(record.user, record.user),
        "actor": names.get(record.actor, record.actor),
        "short": str(record.id)[-8:],
    }


def names_of(pids: Iterable[str]) -> dict[str, str]:
    """Names of people by pseudonymous id: joined for showing, never stored in the record."""
    wanted = {pid for pid in pids if pid.startswith("p_")}
    if not wanted:
        return {}
    people = get_user_model()._default_manager.filter(pid__in=wanted)
    return {person.pid: str(person) for person in people}


def _query_without_cursor(request: HttpRequest) -> str:
    query = request.GET.copy()
    for key in ("after", "before"):
        query.pop(key, None)
    return query.urlencode()


def _cursor_url(request: HttpRequest, **cursor: str) -> str:
    if not any(cursor.values()):
        return ""
    query = request.GET.copy()
    for key in ("after", "before"):
        query.pop(key, None)
    for key, value in cursor.items():
        query[key] = value
    return f"?{query.urlencode()}"


@login_required
@require_GET
def record(request: HttpRequest, pk: UUID) -> HttpResponse:
    """One entry, opened: for a decision the walk of checks and what would change it."""
    found = selectors.get_record(pk, scope=_reader(request).audit_scope())
    return render(request, "audit/record.html", _opened(found))


def _opened(found: Record) -> dict[str, Any]:
    body = _body(found)
    children = selectors.children_of(found)
    names = names_of([found.user, found.actor, *(child.actor for child in children)])
    return {
        "record": found,
        "body": body,
        "explanation": explanation(body),
        "faults": selectors.faults(found),
        "asked": _told(body.get("asked", {})),
        "fields": selectors.payload_fields(found),
        "children": [
            {"record": child, "actor": names.get(child.actor, child.actor)} for child in children
        ],
        "user_name": names.get(found.user, found.user),
        "actor_name": names.get(found.actor, found.actor),
        "leaf": bytes(found.leaf).hex(),
        "judged": body.get("judged", {}),
    }


def _told(asked: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in asked.items() if key != "digests"}


@login_required
@require_POST
def payload(request: HttpRequest, pk: UUID, field: str) -> HttpResponse:
    """What was sent or said. Opening it is itself recorded, so it is a POST."""
    reader = _reader(request)
    found = selectors.get_record(pk, scope=reader.audit_scope())
    context = _opened(found)
    try:
        value = selectors.read_payload(found, field, by=reader)
        context |= {"opened_field": field, "opened": value}
    except GovernanceError as error:
        context |= {"opened_field": field, "refusal": error.message}
    response = render(request, "audit/record.html", context)
    response["Cache-Control"] = "no-store"
    return response


@login_required
@require_GET
def export(request: HttpRequest, form: str) -> HttpResponse | StreamingHttpResponse:
    """What the filters find, as CSV or JSON Lines, streamed."""
    if form not in _EXPORTS:
        raise Http404
    asked = TrailForm(request.GET)
    if not asked.is_valid():
        return render(request, "audit/trail.html", {"form": asked}, status=400)
    lines, media_type = _EXPORTS[form]
    services.record(
        kind=Kind.ACCESS,
        actor=_reader(request).pid,
        asked={"did": "trail_exported", "form": form},
    )
    response = StreamingHttpResponse(
        lines(asked.filters(), scope=_reader(request).audit_scope()), content_type=media_type
    )
    response["Content-Disposition"] = f'attachment; filename="muster-trail.{form}"'
    response["Cache-Control"] = "no-store"
    return response
