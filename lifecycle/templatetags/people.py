"""The tabs of the people page: who is here, and everything by which they come in."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django import template
from django.template import Context
from django.urls import reverse

from lifecycle.scim.sources import check_can_see_sources
from registry.models import Person
from registry.permissions import can, check_can_change_people

register = template.Library()

# Url name, words, who sees it; one that starts with another's address is that one's own page.
TABS: tuple[tuple[str, str, Callable[[Person], None] | None], ...] = (
    ("people", "People", None),
    ("directories", "Directories", check_can_see_sources),
    ("people_webhooks", "HR systems", check_can_change_people),
    ("people_import", "Files", check_can_change_people),
    ("source_groups", "Groups", check_can_change_people),
    ("provisioning_log", "Log", check_can_see_sources),
)


@register.inclusion_tag("lifecycle/people/_tabs.html", takes_context=True)
def people_tabs(context: Context) -> dict[str, Any]:
    """Where one is, and where else one may go: `{% people_tabs %}`."""
    request = context["request"]
    seen = [each for each in TABS if each[2] is None or not can(each[2], request.user)]
    urls = [reverse(name) for name, _, _ in seen]
    here = max((url for url in urls if request.path.startswith(url)), key=len, default="")
    tabs = [
        {"url": url, "words": words, "here": url == here}
        for url, (_, words, _) in zip(urls, seen, strict=True)
    ]
    return {"tabs": tabs if len(tabs) > 1 else []}
