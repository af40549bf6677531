"""What was found of an unregistered caller, beside it."""

from __future__ import annotations

from collections.abc import Iterable

from django import template

from lifecycle.models import Discovery
from registry.models import UnregisteredCaller

register = template.Library()
MOST = 3


@register.simple_tag
def with_discoveries(callers: Iterable[UnregisteredCaller]) -> str:
    """Give each caller the sentence `found`: what was found of it and where. One query for all."""
    listed = list(callers)
    found: dict[int, list[str]] = {}
    rows = Discovery.objects.filter(caller__in=listed).order_by("path", "pk")
    for caller, kind, path in rows.values_list("caller", "kind", "path"):
        found.setdefault(caller, []).append(f"{kind} in {path}")
    for each in listed:
        told = found.get(each.pk, [])
        more = f" and {len(told) - MOST} more" if len(told) > MOST else ""
        each.found = ", ".join(told[:MOST]) + more  # type: ignore[attr-defined]
    return ""
