"""How reviews go, for those who see all of them."""

from __future__ import annotations

from typing import Any

from django import template

from governance.kernel.errors import NotAllowed
from lifecycle.reviews import selectors
from registry.models import Person

register = template.Library()


@register.inclusion_tag("admin/lifecycle/review/_figures.html", takes_context=True)
def review_figures(context: dict[str, Any]) -> dict[str, Any]:
    """Time to live by tier, overdue, approval rate; nothing for whoever may not see them."""
    person = context["request"].user
    if not isinstance(person, Person):
        return {}
    try:
        return {"figures": selectors.metrics_for(person)}
    except NotAllowed:
        return {}
