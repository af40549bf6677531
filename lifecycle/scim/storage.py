"""Where the resources of one source lie: in rows of their own, apart from people.

Every write takes effect on people in its own transaction, is recorded, and is noted in the log
of the source.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any
from uuid import UUID

from django.db import IntegrityError, transaction
from django.db.models import Q, QuerySet
from scim2_models import (
    InvalidValueException,
    NotFoundException,
    Path,
    PreconditionFailedException,
    Resource,
    ResourceType,
    ResponseParameters,
    SearchRequest,
    TooManyException,
    UniquenessException,
)
from scim2_server.memory import _page
from scim2_server.storage import ScimStorage, SearchPage
from scim2_server.utils import parametrize

from audit.enums import Kind
from audit.services import record
from governance.kernel import clock
from lifecycle.models import ScimMember, ScimResource, Source
from lifecycle.scim import effects, log
from lifecycle.scim.errors import told_as_scim
from lifecycle.scim.narrow import LARGE
from lifecycle.scim.protocol import GROUP, USER, model_of, uuid_of
from lifecycle.scim.searching import in_order, read_filter
from registry import services

# Rows that are looked at one by one where the database cannot tell whether they match.
MAX_LOOKED_AT = 2000
MAX_LENGTH = 255
# Kept elsewhere, or not at all.
_APART = ("id", "meta", "groups", "members", "password")


class SourceStorage(ScimStorage):
    """The resources of one source; no other's are ever seen."""

    def __init__(self, source: Source, address: str = "") -> None:
        self.source, self.address = source, address
        # The only members whom the request can be about; None where any may be.
        self.named: frozenset[UUID] | None = None
        self.is_narrow = False

    @contextmanager
    def operation(self) -> Iterator[None]:
        """All of it or nothing; what Muster refuses is told in the words of SCIM."""
        with told_as_scim(), transaction.atomic():
            yield

    def get(
        self,
        resource_type: ResourceType,
        resource_id: str,
        *,
        response_parameters: ResponseParameters[Any] | None = None,
    ) -> Resource[Any]:
        """One resource; locked where it is read in order to be changed."""
        lock = response_parameters is None
        row = self._row(resource_type, resource_id, lock=lock)
        self.is_narrow = lock and self.named is not None and _is_large(row)
        return self._load([row], members=_wants_members(response_parameters))[0]

    def said_at(self, path: str) -> dict[str, Any]:
        """What is kept of the resource at this place of the service, locked; nothing of none."""
        pk = uuid_of(path.strip("/").rpartition("/")[2])
        rows = self.source.resources.select_for_update(of=("self",), no_key=True)
        row = rows.filter(pk=pk).first() if pk else None
        return dict(row.said) if row else {}

    def search(
        self,
        resource_types: list[ResourceType],
        search_request: SearchRequest[Any],
        *,
        position: Any = None,
    ) -> SearchPage:
        """A page of what matches, by the database as far as that can tell."""
        names = [each.name for each in resource_types]
        found = read_filter(search_request.filter)
        rows = self.source.resources.filter(found.rows, type__in=names)
        ordered = in_order(rows, search_request)
        members = _wants_members(search_request)
        if found.exact and ordered is not None:
            return self._page(ordered, search_request, members=members)
        return _page(search_request, position, self._matching(rows, search_request))

    def create(self, resource_type: ResourceType, resource: Resource[Any]) -> Resource[Any]:
        """Keep it, and have it take effect."""
        now = clock.now()
        said = _said(resource)
        if resource_type.name == USER:
            said.setdefault("active", True)
        row = ScimResource(
            source=self.source, type=str(resource_type.name), created_at=now, changed_at=now
        )
        self._fill(row, resource, said)
        _save(row, new=True)
        if row.type == USER:
            effects.follow_user(row)
            row.save(update_fields=["person"])
        self._set_members(row, resource)
        self._tell(row, "created", sorted(said.keys() - {"schemas"}), _left_out(resource))
        return self._load([row])[0]

    def update(
        self,
        resource_type: ResourceType,
        resource: Resource[Any],
        *,
        expected_version: str | None = None,
    ) -> Resource[Any]:
        """Keep what it says now. Where that is nothing new, the version stays."""
        row = self._row(resource_type, str(resource.id))
        _check_version(row, expected_version)
        before, before_said, key = row.said, effects.said_of(row), effects.key_of(row)
        said = _said(resource)
        self._fill(row, resource, said)
        if row.type == USER:
            _save(row)
            effects.follow_user(row, before=before_said, key_before=key)
            effects.settle_groups(self.source, [row.person_id])
        moved = self._set_members(row, resource)
        changed = sorted(
            {name for name in {*said, *before} - {"schemas"} if said.get(name) != before.get(name)}
            | ({"members"} if moved else set())
        )
        if changed:
            row.version, row.changed_at = row.version + 1, clock.now()
        _save(row)
        if row.type == GROUP and effects.key_of(row) != key:
            # Two people may have agreed about the one id, and not about the other.
            effects.settle_groups(self.source, effects.members_of(row))
        self._tell(row, "changed", changed, _left_out(resource))
        return self._load([row])[0]

    def delete(
        self,
        resource_type: ResourceType,
        resource_id: str,
        *,
        expected_version: str | None = None,
    ) -> None:
        """The resource is gone; the person has left and stays on the register."""
        row = self._row(resource_type, resource_id)
        _check_version(row, expected_version)
        people = effects.members_of(row) if row.type == GROUP else []
        person = row.person
        if row.type == USER:
            row.memberships.all().delete()
            row.member_of.all().delete()
            effects.let_go(row)
        self._tell(row, "deleted", [])
        row.delete()
        if row.type == GROUP:
            by = effects.actor_of(self.source)
            services.forget_claim(source=self.source.slug, claim=resource_id, by=by)
        effects.settle_groups(self.source, [*people, person.pk if person else None])

    def _row(
        self, resource_type: ResourceType, resource_id: str, *, lock: bool = True
    ) -> ScimResource:
        rows = self.source.resources.select_related("person", "source")
        if lock:
            rows = rows.select_for_update(of=("self",), no_key=True)
        pk = uuid_of(resource_id)
        row = rows.filter(type=resource_type.name, pk=pk).first() if pk else None
        if row is None:
            raise NotFoundException(detail=f"There is no {resource_type.name} of this id.")
        row.source = self.source
        return row

    def _page(
        self, rows: QuerySet[ScimResource], wanted: SearchRequest[Any], *, members: bool
    ) -> SearchPage:
        total, start = rows.count(), wanted.start_index_0 or 0
        if wanted.count == 0 or start >= total:
            return SearchPage(total, [])
        stop = None if wanted.count is None else start + wanted.count
        return SearchPage(total, self._load(list(rows[start:stop]), members=members))

    def _matching(
        self, rows: QuerySet[ScimResource], wanted: SearchRequest[Any]
    ) -> list[Resource[Any]]:
        """Those of few enough rows that match, each looked at."""
        candidates = list(rows.order_by("created_at", "pk")[: MAX_LOOKED_AT + 1])
        if len(candidates) > MAX_LOOKED_AT:
            raise TooManyException(
                detail="This would have to look at too many resources. Filter by userName, "
                "externalId, displayName, emails.value, active, id, meta or members, and sort by "
                "userName, externalId, displayName, id or meta."
            )
        loaded = self._load(candidates)
        bound = wanted.filter
        if bound is None:
            return loaded
        return [each for each in loaded if _bound_to(bound, each).match(each)]

    def _load(self, rows: list[ScimResource], *, members: bool = True) -> list[Resource[Any]]:
        """The rows as resources, in a fixed number of queries."""
        ids = [row.pk for row in rows]
        groups = _groups_of([row.pk for row in rows if row.type == USER])
        inside = _members_of(ids if members else [], self._within)
        return [_resource(row, groups.get(row.pk, []), inside.get(row.pk, [])) for row in rows]

    @property
    def _within(self) -> Q:
        """The members that are looked at: all, or in a large group those that are named."""
        return Q(member__in=self.named or ()) if self.is_narrow else Q()

    def _fill(self, row: ScimResource, resource: Resource[Any], said: dict[str, Any]) -> None:
        """Set what was said, and the columns that filters look for."""
        named = "userName" if row.type == USER else "displayName"
        if not str(said.get(named, "")).strip():
            raise InvalidValueException(detail=f"{named} must not be empty.")
        row.said = said
        row.user_name = _key(resource, "userName") or None if row.type == USER else None
        row.external_id = _key(resource, "externalId")
        row.display_name = _key(resource, "displayName")
        row.active = said.get("active", row.active)
        addresses = (each.get("value") for each in said.get("emails") or [])
        row.emails = [_short("emails.value", str(value).lower()) for value in addresses if value]

    def _set_members(self, row: ScimResource, resource: Resource[Any]) -> bool:
        """Have the group hold exactly these members; whoever came or went is looked at."""
        if row.type != GROUP:
            return False
        members = getattr(resource, "members", None) or []
        wanted = {_member_id(each): _short("display", each.display or "") for each in members}
        had = _displays_of(row.memberships.filter(self._within))
        came = {pk for pk, display in wanted.items() if display not in had.get(pk, ())}
        went = {pk for pk in had if pk not in wanted}
        known = self.source.resources.filter(pk__in=came).exclude(pk=row.pk)
        if missing := came - set(known.values_list("pk", flat=True)):
            raise InvalidValueException(
                detail=f"No user and no group here has the id {min(map(str, missing))}."
            )
        gone = row.memberships.filter(member__in=went | came)
        people = set(gone.values_list("member__person", flat=True))
        gone.delete()
        ScimMember.objects.bulk_create(
            ScimMember(group=row, member_id=pk, display=wanted[pk]) for pk in sorted(came)
        )
        arrived = row.memberships.filter(member__in=came)
        people |= set(arrived.values_list("member__person", flat=True))
        if services.means_something(self.source.slug, effects.names_of(row)):
            effects.settle_groups(self.source, people)
        return bool(came or went)

    def _tell(
        self, row: ScimResource, what: str, changed: list[str], left_out: Sequence[str] = ()
    ) -> None:
        """Record it, where something is different, and note it in the log."""
        did = f"{row.type.lower()}_{what}"
        told = None
        if changed or what == "deleted":
            told = record(
                kind=Kind.REGISTRY,
                actor=effects.actor_of(self.source).pid,
                user=row.person.pid if row.person else "",
                resource=f"source:{self.source.slug}",
                asked={"did": f"source_{did}", "id": str(row.pk), "said": changed},
            )
        log.note(
            source=self.source,
            did=did,
            subject=str(row.pk),
            person=row.person,
            status=201 if what == "created" else 204 if what == "deleted" else 200,
            outcome="; ".join([", ".join(changed) if told else "nothing new", *left_out]),
            record=told,
            address=self.address,
        )


def _left_out(resource: Resource[Any]) -> list[str]:
    """What the log says of attributes and extensions that are not known here."""
    names = sorted(resource.unknown_attributes)
    return [f"left out: {', '.join(names)}"] if names else []


def _said(resource: Resource[Any]) -> dict[str, Any]:
    said: dict[str, Any] = resource.model_dump(mode="json")
    return {name: value for name, value in said.items() if name not in _APART}


def _key(resource: Resource[Any], name: str) -> str:
    """The value of an attribute in the form in which SCIM compares it."""
    path = parametrize(Path, type(resource))(name)
    try:
        value = path.get(resource, strict=False)
        binding = path.resolve()
    except (AttributeError, ValueError):
        return ""
    return _short(name, str(binding.comparable(value))) if value and binding else ""


def _short(name: str, value: str) -> str:
    if len(value) > MAX_LENGTH:
        raise InvalidValueException(detail=f"{name} is longer than {MAX_LENGTH} characters.")
    return value


def _member_id(member: Any) -> UUID:
    pk = uuid_of(str(member.value))
    if pk is None:
        raise InvalidValueException(detail=f"No user and no group here has the id {member.value}.")
    return pk


def _save(row: ScimResource, *, new: bool = False) -> None:
    try:
        with transaction.atomic():
            row.save(force_insert=new)
    except IntegrityError as error:
        raise UniquenessException(
            detail="Another one of this source has this userName or externalId already."
        ) from error


def _check_version(row: ScimResource, expected: str | None) -> None:
    if expected is not None and expected != _version(row):
        raise PreconditionFailedException(detail="It was changed since. Read it again.")


def _version(row: ScimResource) -> str:
    return f'W/"{row.version}"'


def _wants_members(parameters: ResponseParameters[Any] | None) -> bool:
    """Whether the members of groups are asked for: thousands of them need not be read."""
    left_out = {str(path).lower() for path in (parameters and parameters.excluded_attributes) or []}
    return "members" not in left_out


def _resource(row: ScimResource, groups: list[Any], members: list[Any]) -> Resource[Any]:
    more = {"groups": groups} if groups else {"members": members} if members else {}
    loaded: Resource[Any] = model_of(row.type).model_validate(
        {
            **row.said,
            **more,
            "id": str(row.pk),
            "meta": {
                "resourceType": row.type,
                "created": row.created_at,
                "lastModified": row.changed_at,
                "version": _version(row),
            },
        }
    )
    return loaded


def _groups_of(users: list[UUID]) -> dict[UUID, list[dict[str, str]]]:
    found: dict[UUID, list[dict[str, str]]] = {}
    rows = ScimMember.objects.filter(member__in=users) if users else ScimMember.objects.none()
    for user, group, said in rows.values_list("member", "group", "group__said"):
        found.setdefault(user, []).append(
            {
                "value": str(group),
                "$ref": f"Groups/{group}",
                "display": said.get("displayName"),
                "type": "direct",
            }
        )
    return found


def _is_large(row: ScimResource) -> bool:
    return row.type == GROUP and row.memberships.order_by()[LARGE : LARGE + 1].exists()


def _displays_of(members: QuerySet[ScimMember]) -> dict[UUID, tuple[str, str]]:
    """What the directory said to show of each member, and what is shown where it said nothing."""
    rows = members.values_list("member", "display", "member__said")
    return {member: (display, _shown(display, said)) for member, display, said in rows}


def _shown(display: str, said: dict[str, Any]) -> str:
    return str(display or said.get("displayName") or said.get("userName") or "")


def _members_of(groups: Iterable[UUID], within: Q) -> dict[UUID, list[dict[str, str]]]:
    found: dict[UUID, list[dict[str, str]]] = {}
    rows = ScimMember.objects.filter(within, group__in=list(groups))
    columns = ("group", "member", "display", "member__type", "member__said")
    for group, member, display, kind, said in rows.values_list(*columns):
        found.setdefault(group, []).append(
            {
                "value": str(member),
                "$ref": f"{kind}s/{member}",
                "type": kind,
                "display": _shown(display, said),
            }
        )
    return found


def _bound_to(wanted: Any, resource: Resource[Any]) -> Any:
    """A filter over several resource types, for the type of one resource."""
    if wanted.models:
        return wanted
    return type(wanted)[type(resource)](str(wanted))
