"""What a directory's users and groups do to people here, in the transaction in which it said so."""

from __future__ import annotations

from collections.abc import Iterable
from zoneinfo import ZoneInfo

from django.db.models import Q

from governance.kernel import clock
from lifecycle.models import ScimResource, Source, SourceKind
from lifecycle.scim import said as reading
from lifecycle.scim.protocol import GROUP, USER, uuid_of
from lifecycle.scim.said import Said
from registry import services
from registry.enums import Employment
from registry.models import GivenGroup, Person, Way
from registry.permissions import Automatic
from registry.services import Facts


def actor_of(source: Source) -> Automatic:
    """How the record names what a source did."""
    return Automatic(f"source:{source.slug}")


def key_of(resource: ScimResource) -> str:
    """What names this person in the source: its own id, else that of the resource."""
    return resource.external_id or str(resource.pk)


def said_of(resource: ScimResource) -> Said:
    """What the source says of a user, whether they are active included."""
    return {**resource.said, "active": resource.active}


def follow_user(
    resource: ScimResource, *, before: Said | None = None, key_before: str = ""
) -> Person:
    """Have the person be as the source says now; `before` is what it said until then."""
    said = said_of(resource)
    source, by = resource.source, actor_of(resource.source)
    key = key_of(resource)
    if key_before and key_before != key:
        services.rename_identity(source=source.slug, before=key_before, after=key, by=by)
    known = resource.person or services.person_of(source.slug, key)
    zone = ZoneInfo(known.zone if known else "UTC")
    facts = reading.facts_of(said, before, clock.now().astimezone(zone).date())
    if known and known.email.endswith(".invalid") and known.may_act:
        facts.setdefault("email", reading.address_of(resource.said))
    _say_manager(facts, resource, before, known)
    synced = services.sync_person(source=source.slug, external_id=key, facts=facts, by=by)
    resource.person = synced.person
    return synced.person


def let_go(resource: ScimResource) -> None:
    """The source has no such user any more: they have left, and stay on the register."""
    if resource.person is None:
        return
    source = resource.source
    facts: Facts = {"active": False}
    services.sync_person(
        source=source.slug, external_id=key_of(resource), facts=facts, by=actor_of(source)
    )
    settle_groups(source, [resource.person_id])


def settle_groups(source: Source, people: Iterable[int | None]) -> None:
    """Have these people be in the groups that the source's groups mean here, and in no other
    that it gave them. Groups that somebody gave by hand stay."""
    if not services.means_something(source.slug):
        return
    for pk in sorted({pk for pk in people if pk is not None}):
        services.follow_claims(
            person_id=pk,
            source=source.slug,
            way=Way.DIRECTORY,
            claims=_claims_of(source, pk),
            by=actor_of(source),
        )


def names_of(group: ScimResource) -> list[str]:
    """What two people may have meant by this group: by its id here, or by the source's own."""
    return [str(group.pk), *([group.external_id] if group.external_id else [])]


def given_by(source: Source) -> list[int]:
    """Who is in a group here because this directory says so."""
    rows = GivenGroup.objects.filter(by__source=source.slug, way=Way.DIRECTORY)
    return list(rows.values_list("person", flat=True))


def settle_agreed(source_slug: str, claim: str) -> None:
    """What a group of a directory means here was agreed to: its members are in it at once."""
    source = Source.objects.filter(slug=source_slug, kind=SourceKind.SCIM).first()
    if source is None or not source.is_open:
        return
    pk = uuid_of(claim)
    named = Q(external_id=claim) | (Q(pk=pk) if pk else Q())
    for group in source.resources.filter(named, type=GROUP):
        settle_groups(source, members_of(group))


def members_of(group: ScimResource) -> list[int]:
    """The people who are members of a source's group."""
    users = group.memberships.filter(member__type=USER, member__person__isnull=False)
    return list(users.values_list("member__person", flat=True))


def _claims_of(source: Source, person_id: int) -> list[str]:
    """The source's groups that someone is in who is here, by each of their names."""
    if not source.is_open:
        return []
    groups = ScimResource.objects.filter(
        source=source,
        type=GROUP,
        memberships__member__person=person_id,
        memberships__member__person__is_active=True,
        memberships__member__active=True,
    ).exclude(memberships__member__person__employment=Employment.LEFT)
    return [name for group in groups for name in names_of(group)]


def _say_manager(
    facts: Facts, resource: ScimResource, before: Said | None, known: Person | None
) -> None:
    """Their manager, where that is someone else whom the source named already."""
    now, had = reading.manager_of(resource.said), reading.manager_of(before or {})
    if now == had:
        return
    manager = _named(resource.source, now) if now else None
    if now and (manager is None or manager == known):
        return
    facts["manager"] = manager


def _named(source: Source, value: str) -> Person | None:
    """By the id of the resource, as SCIM has it, else by the source's own id."""
    users = source.resources.filter(type=USER, person__isnull=False).select_related("person")
    pk = uuid_of(value)
    found = users.filter(pk=pk).first() if pk else None
    found = found or users.filter(external_id=value).first()
    return found.person if found else None
