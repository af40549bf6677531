"""The trail: what happened, who caused it, was it authorized, what data was touched."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any, Protocol, cast
from urllib.parse import urlencode
from uuid import UUID

from django.contrib.auth import get_user_model
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_GET, require_POST

from audit import selectors
from audit.enums import Kind
from audit.explain import explanation
from audit.forms import TrailForm
from audit.leaf import BadBody, instant
from audit.models import Record
from audit.sealing import selectors as sealing
from audit.selectors import AuditScope, PageRequest
from governance.kernel.errors import GovernanceError

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
    query = _query(form)
    return render(
        request,
        "audit/trail.html",
        {
            "form": form,
            "rows": _rows(page.records),
            "older_url": _page_url(query, after=page.older),
            "newer_url": _page_url(query, before=page.newer),
            "query": urlencode(query),
            "chips": _chips(form, query),
            "wider": [] if page.records else _wider(form, query, scope),
            "scope": scope,
        },
    )


def _query(form: TrailForm) -> dict[str, str]:
    """The search as an address: it finds the same for a reader in another zone."""
    return {
        name: instant(value) if isinstance(value, datetime) else str(value)
        for name, value in form.cleaned_data.items()
        if value
    }


def _chips(form: TrailForm, query: Mapping[str, str]) -> list[dict[str, Any]]:
    """Each filter that is set, in words, and the address of the search without it."""
    names = names_of(query.get(name, "") for name in ("user", "actor"))
    return [
        {
            "label": form[name].label,
            "value": names.get(query[name], _shown(form, name)),
            "at": form.cleaned_data[name] if name in ("since", "until") else None,
            "url": _url({key: value for key, value in query.items() if key != name}),
        }
        for name in query
    ]


def _shown(form: TrailForm, name: str) -> Any:
    value = form.cleaned_data[name]
    return dict(getattr(form.fields[name], "choices", ())).get(value, value)


def _wider(form: TrailForm, query: Mapping[str, str], scope: AuditScope) -> list[dict[str, Any]]:
    """Which filters to leave out where nothing fits, and what is then found first."""
    return [
        {
            "labels": [str(form[name].label) for name in each.without if name in query],
            "url": _url({key: value for key, value in query.items() if key not in each.without}),
            "row": _rows([each.newest])[0],
        }
        for each in selectors.wider(form.filters(), scope=scope)
    ]


def _url(query: Mapping[str, str]) -> str:
    return f"?{urlencode(query)}"


def _page_url(query: Mapping[str, str], **cursor: str) -> str:
    return _url({**query, **cursor}) if any(cursor.values()) else ""


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
        "did": _did(record, body),
        "user": names.get(record.user, record.user),
        "actor": names.get(record.actor, record.actor),
        "short": str(record.id)[-8:],
    }


def _did(record: Record, body: Mapping[str, Any]) -> str:
    """What was done: the sentence of whoever explains it, else its own word."""
    told = explanation(body) if body and record.kind == Kind.ACCESS else None
    if told is not None and told.lede:
        return told.title
    return str(body.get("asked", {}).get("did", record.kind)).replace("_", " ")


def names_of(pids: Iterable[str]) -> dict[str, str]:
    """Names of people by pseudonymous id: joined for showing, never stored in the record."""
    wanted = {pid for pid in pids if pid.startswith("p_")}
    if not wanted:
        return {}
    people = get_user_model()._default_manager.filter(pid__in=wanted)
    return {person.pid: str(person) for person in people}


@login_required
@require_GET
def record(request: HttpRequest, pk: UUID) -> HttpResponse:
    """One entry, opened: for a decision the walk of checks and what would change it."""
    found = selectors.get_record(pk, scope=_reader(request).audit_scope())
    return render(request, "audit/record.html", _opened(found))


def _opened(found: Record) -> dict[str, Any]:
    body = _body(found)
    children = selectors.children_of(found)
    explained = explanation(body)
    people = (part.id for part in explained.chain)
    names = names_of([found.user, found.actor, *(child.actor for child in children), *people])
    return {
        "record": found,
        "body": body,
        "explanation": explained,
        "names": names,
        "faults": selectors.faults(found),
        "asked": _told(body.get("asked", {})),
        "fields": selectors.payload_fields(found),
        "children": [
            {"record": child, "actor": names.get(child.actor, child.actor)} for child in children
        ],
        "user_name": names.get(found.user, found.user),
        "actor_name": names.get(found.actor, found.actor),
        "leaf": bytes(found.leaf).hex(),
        "sealed": sealing.checkpoint_covering(found.id),
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
