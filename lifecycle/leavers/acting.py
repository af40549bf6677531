"""Which agents act for somebody who leaves, and which of these grants ended because they left."""

from __future__ import annotations

from django.db.models import Q

from authz.enums import EndCause
from authz.models import Grant
from registry.models import Person

MOST = 200


def sees_grants(leaver: Person, by: Person) -> bool:
    """Who reads everything, who leaves and their manager; nobody else need know of them."""
    return by.reads_everything or by.pk in {leaver.pk, leaver.manager_id}


def grants_of(leaver: Person, by: Person) -> list[Grant]:
    """Grants that are live, or that ended because they left, the newest first.

    None for who does not see them.
    """
    if not sees_grants(leaver, by):
        return []
    rows = Grant.objects.filter(Q(ended_at__isnull=True) | Q(end_cause=EndCause.LEFT))
    return list(rows.filter(person=leaver).select_related("agent")[:MOST])
