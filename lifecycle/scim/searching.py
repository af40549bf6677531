"""Filters of SCIM (RFC 7644 section 3.4.2.2) as queries, as far as the database can tell.

A filter becomes a `Found`: rows that may match, and whether exactly those do. What is left is
looked at one by one, and only while that is not too many.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from functools import reduce
from operator import and_, or_
from typing import Any

from django.db.models import F, Q, QuerySet, Value
from django.db.models.expressions import OrderBy
from django.db.models.functions import NullIf
from scim2_models import InvalidFilterException, ScimFilter, SearchRequest
from scim2_models.path import Comparison, LogicalExpr, Not, Present, ValuePath
from scim2_models.path.visitor import FilterVisitor

from lifecycle.models import ScimResource
from lifecycle.scim.protocol import USER, uuid_of

NOTHING = Q(pk__in=[])
# Lookups on a column that is kept in the form in which SCIM compares.
_TEXT = {"eq": "exact", "co": "contains", "sw": "startswith", "ew": "endswith"}
_ORDER = {"eq": "exact", "gt": "gt", "ge": "gte", "lt": "lt", "le": "lte"}
_COLUMNS = {"userName": "user_name", "externalId": "external_id", "displayName": "display_name"}
_TIMES = {"meta.created": "created_at", "meta.lastModified": "changed_at"}
_SORTED = _COLUMNS | _TIMES | {"id": "pk"}
_MEMBERS = {"members.value": "memberships__member", "groups.value": "member_of__group"}


@dataclass(frozen=True, slots=True)
class Found:
    """Rows that may match, and whether they all do."""

    rows: Q
    exact: bool = True


UNSURE = Found(Q(), exact=False)


class Reading(FilterVisitor[Found]):
    """Reads a filter that is bound to one model."""

    def __init__(self, bound: ScimFilter[Any]) -> None:
        self._bound = bound

    def visit_comparison(self, node: Comparison) -> Found:
        name = self._name(node)
        if name in _COLUMNS:
            return _text(_COLUMNS[name], str(node.op), self._comparable(node))
        readers: dict[str, Callable[[Comparison], Found]] = {
            "emails.value": self._email,
            "active": _active,
            "id": _id,
            **dict.fromkeys(_TIMES, self._time),
            **dict.fromkeys(_MEMBERS, self._member),
        }
        return readers[name](node) if name in readers else UNSURE

    def visit_present(self, node: Present) -> Found:
        column = _COLUMNS.get(str(node.attr_path))
        return Found(~Q(**{column: ""}) & Q(**{f"{column}__isnull": False})) if column else UNSURE

    def visit_not(self, node: Not) -> Found:
        found = self.visit(node.expr)
        # Negated in SQL, a column without a value would be lost.
        return Found(~found.rows) if found.exact and found.rows else UNSURE

    def visit_logical_expr(self, node: LogicalExpr) -> Found:
        parts = [self.visit(term) for term in node.terms]
        join = and_ if str(node.op) == "and" else or_
        exact = all(part.exact for part in parts)
        if join is or_ and any(not part.rows for part in parts):
            return Found(Q(), exact)
        return Found(reduce(join, (part.rows for part in parts)), exact)

    def visit_value_path(self, node: ValuePath) -> Found:
        """`emails[type eq "work" and value eq "x"]`: those with that address, then looked at."""
        inner = node.val_filter
        terms = inner.terms if isinstance(inner, LogicalExpr) and inner.op == "and" else (inner,)
        for term in terms:
            if isinstance(term, Comparison) and str(term.attr_path).lower() == "value":
                whole = Comparison(node.attr_path, term.op, term.value)
                found = self.visit_comparison(whole)
                return Found(found.rows, found.exact and len(terms) == 1)
        return UNSURE

    def _name(self, node: Comparison) -> str:
        binding = self._bound.resolve_comparison(node.attr_path, strict=False)
        return binding.urn.rpartition(":")[2] if binding else ""

    def _comparable(self, node: Comparison) -> Any:
        binding = self._bound.resolve_comparison(node.attr_path, strict=False)
        value = binding.comparable(node.value) if binding else node.value
        if isinstance(value, str) and not _fits(value):
            raise InvalidFilterException(detail="The filter holds what is no character.")
        return value

    def _email(self, node: Comparison) -> Found:
        value = self._comparable(node)
        if str(node.op) != "eq" or not isinstance(value, str):
            return UNSURE
        return Found(Q(emails__contains=[value]))

    def _time(self, node: Comparison) -> Found:
        lookup, at = _ORDER.get(str(node.op)), _moment(node.value)
        if lookup is None or at is None:
            return UNSURE
        return Found(Q(**{f"{_TIMES[self._name(node)]}__{lookup}": at}))

    def _member(self, node: Comparison) -> Found:
        if str(node.op) != "eq":
            return UNSURE
        pk = uuid_of(node.value)
        ids = ScimResource.objects.filter(**{_MEMBERS[self._name(node)]: pk}).values("pk")
        return Found(Q(pk__in=ids)) if pk else Found(NOTHING)


def read_filter(wanted: ScimFilter[Any] | None) -> Found:
    """The query of a filter; of one over several resource types it is not known."""
    if wanted is None:
        return Found(Q())
    return Reading(wanted).visit(wanted.ast) if wanted.model is not None else UNSURE


def in_order(
    rows: QuerySet[ScimResource], wanted: SearchRequest[Any]
) -> QuerySet[ScimResource] | None:
    """The rows in the order that is asked for; None where the database cannot tell it."""
    if wanted.sort_by is None:
        return rows.order_by("created_at", "pk")
    column = _SORTED.get(str(wanted.sort_by))
    if column is None:
        return None
    down = wanted.sort_order == SearchRequest.SortOrder.descending
    return rows.order_by(_ordered(column, down=down), "pk")


def _ordered(column: str, *, down: bool) -> OrderBy:
    """What has no value stands last, and first where the order is turned round."""
    said = NullIf(column, Value("")) if column in _COLUMNS.values() else F(column)
    return OrderBy(said, descending=down, nulls_last=not down or None, nulls_first=down or None)


def _fits(text: str) -> bool:
    """Whether the database can hold it."""
    return "\0" not in text and not any("\ud800" <= each <= "\udfff" for each in text)


def _text(column: str, op: str, value: Any) -> Found:
    if not isinstance(value, str) or op not in _TEXT or not value:
        return UNSURE
    return Found(Q(**{f"{column}__{_TEXT[op]}": value}))


def _active(node: Comparison) -> Found:
    said = str(node.value).lower()
    if str(node.op) not in {"eq", "ne"} or said not in {"true", "false"}:
        return UNSURE
    wanted = (said == "true") == (str(node.op) == "eq")
    return Found(Q(type=USER, active=wanted))


def _id(node: Comparison) -> Found:
    if str(node.op) != "eq":
        return UNSURE
    pk = uuid_of(node.value)
    return Found(Q(pk=pk)) if pk else Found(NOTHING)


def _moment(value: Any) -> datetime | None:
    try:
        at = value if isinstance(value, datetime) else datetime.fromisoformat(str(value))
    except ValueError:
        return None
    return at if at.tzinfo else None
