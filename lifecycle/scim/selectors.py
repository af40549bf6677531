"""Reads for the pages of directories."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db.models import Count, Q, QuerySet

from lifecycle.models import ScimResource, Source, SourceEvent, SourceKind
from lifecycle.scim.effects import names_of
from lifecycle.scim.protocol import GROUP, USER, uuid_of
from registry.models import ClaimedGroup


@dataclass(frozen=True, slots=True)
class Mapped:
    """A group of a directory, how many are in it, and what it means here."""

    row: ScimResource
    members: int
    means: tuple[str, ...]

    @property
    def name(self) -> str:
        """What the directory calls it."""
        return str(self.row.said.get("displayName", ""))

    @property
    def claim(self) -> str:
        """How a mapping names it: by the source's own id, which a sign-in has as well."""
        return self.row.external_id or str(self.row.pk)


def directories() -> QuerySet[Source]:
    """Every directory, the open ones first, with what each of them told of."""
    return (
        Source.objects.filter(kind=SourceKind.SCIM)
        .annotate(
            users=Count("resources", filter=Q(resources__type=USER)),
            inactive=Count("resources", filter=Q(resources__type=USER, resources__active=False)),
            groups=Count("resources", filter=Q(resources__type=GROUP)),
        )
        .order_by("ended_at", "slug")
    )


def silent(sources: QuerySet[Source], now: datetime) -> list[Source]:
    """Those that ought to have said something by now."""
    return [each for each in sources if each.is_silent(now)]


def groups_of(source: Source) -> list[Mapped]:
    """Its groups, those first that mean something here."""
    rows = source.resources.filter(type=GROUP).annotate(many=Count("memberships"))
    meant: dict[str, list[str]] = {}
    for each in ClaimedGroup.objects.filter(source=source.slug):
        meant.setdefault(each.claim, []).append(each.get_group_display())
    found = [
        Mapped(row, row.many, tuple(each for name in names_of(row) for each in meant.get(name, [])))
        for row in rows.order_by("display_name", "pk")
    ]
    return sorted(found, key=lambda each: not each.means)


def named(source_slug: str, claim: str) -> str:
    """What a directory calls the group that a mapping names so; empty where it is none."""
    pk = uuid_of(claim)
    rows = ScimResource.objects.filter(source__slug=source_slug, type=GROUP)
    found = rows.filter(Q(external_id=claim) | (Q(pk=pk) if pk else Q())).first()
    return str(found.said.get("displayName", ""))[:255] if found else ""


def events(wanted: Mapping[str, Any]) -> QuerySet[SourceEvent]:
    """What sources did, the newest first, as far as it is asked for."""
    rows = SourceEvent.objects.select_related("source", "person").order_by("-at", "-pk")
    if wanted.get("source"):
        rows = rows.filter(source__slug=wanted["source"])
    if wanted.get("outcome"):
        failed = Q(status__gte=400)
        rows = rows.filter(failed if wanted["outcome"] == "refused" else ~failed)
    if wanted.get("did"):
        rows = rows.filter(did__icontains=wanted["did"])
    if who := wanted.get("who"):
        rows = rows.filter(Q(person__name__icontains=who) | Q(person__email__icontains=who))
    return rows
