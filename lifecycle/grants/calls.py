"""What was decided in a person's name, for that person: their own entries of the record alone."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import urlencode

from django import forms

from audit import selectors as trail
from audit.enums import Kind
from audit.models import Record
from audit.selectors import AuditScope, PageRequest, TrailFilters
from registry.models import Person

PAGE = 50


class CallFilter(forms.Form):
    """Which calls."""

    agent = forms.CharField(required=False, max_length=60)
    tool = forms.CharField(required=False, max_length=120)
    effect = forms.ChoiceField(
        required=False,
        choices=[("", "any"), ("allow", "allowed"), ("deny", "denied"), ("hold", "held")],
    )


def calls_of(person: Person, asked: Mapping[str, str]) -> dict[str, Any]:
    """One page of what was decided in somebody's name, newest first, for its template.

    They see decisions about themselves, whoever's agent asked; what was sent stays with those who
    answer for the agent. Raises `BadCursor`, `SearchTooSlow`.
    """
    form = CallFilter(asked)
    given = form.cleaned_data if form.is_valid() else {}
    chosen = {name: value for name, value in given.items() if value}
    scope = AuditScope(users=frozenset([person.pid])) if person.may_act else AuditScope()
    filters = TrailFilters(user=person.pid, kind=Kind.DECISION, **chosen)
    wanted = PageRequest(asked.get("after", ""), asked.get("before", ""), PAGE)
    page = trail.search(filters, wanted, scope=scope)
    return {
        "form": form,
        "filtered": bool(chosen),
        "rows": _rows(page.records, person),
        "older_url": _url(chosen, after=page.older),
        "newer_url": _url(chosen, before=page.newer),
    }


def _rows(records: Iterable[Record], person: Person) -> list[dict[str, Any]]:
    """Each entry with its walk, and whether the person may open it in the trail."""
    scope = person.audit_scope()
    return [
        {
            "record": record,
            "walk": trail.parse_body(record).get("judged", {}).get("walk", []),
            "opens": scope.covers(record),
        }
        for record in records
    ]


def _url(chosen: Mapping[str, str], **cursor: str) -> str:
    return f"?{urlencode({**chosen, **cursor})}" if any(cursor.values()) else ""
