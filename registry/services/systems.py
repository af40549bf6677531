"""Systems, what lies in them, and what policies may speak about."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any, Unpack

from django.db import transaction
from guardian.shortcuts import assign_perm, remove_perm

from governance.kernel import tiers
from governance.kernel.errors import Invalid
from registry import changes, permissions, rules
from registry.enums import AttributeSource, ResourceMatch
from registry.errors import ChangeOutdated
from registry.models import (
    Agreement,
    Person,
    ProposedChange,
    Resource,
    ResourceEntity,
    ResourceType,
    System,
)
from registry.services.fields import ResourceFields, SystemFields
from registry.services.saving import (
    Changes,
    Saved,
    assign,
    check,
    check_alone,
    found,
    keep,
    locked,
    plain,
    record,
    remove,
)
from registry.signals import catalogue_changed

FIELDS_KIND = "system.fields"
RESOURCE_KIND = "resource.save"
REMOVAL_KIND = "resource.remove"
# What may widen, and is then proposed instead of saved.
GUARDING = (
    *("tier", "categories", "trust", "environment", "personal_resource_ids"),
    *("rate_per_minute", "rate_per_hour"),
)
ATTRIBUTE_TYPES = frozenset({"string", "long", "bool", "set"})


@transaction.atomic
def save_system(
    *,
    slug: str,
    by: Person,
    alone: bool = False,
    resources: Sequence[ResourceFields] | None = None,
    **fields: Unpack[SystemFields],
) -> Saved[System]:
    """Create or change a system. What leaves it less guarded waits for a second person.

    Resources that come with a new system are part of its first declaration.
    """
    check_alone(alone)
    system = found(System, "system", slug=slug)
    if system is None:
        return _create_system(slug, by, resources or (), dict(fields))
    permissions.check_can_change_system(system, by)
    widening = {} if alone else _widening(system, fields)
    direct = {name: value for name, value in fields.items() if name not in widening}
    changed = _change_system(system, direct, by)
    proposed = [_propose_fields(system, widening, fields, by)] if widening else []
    for each in resources or ():
        saved = _save_resource(system, dict(each), by, alone=alone)
        changed += [f"resources.{each['name']}"] if saved.changed or saved.created else []
        proposed += saved.proposed
    return Saved(system, changed=tuple(changed), proposed=tuple(proposed))


def _create_system(
    slug: str, by: Person, resources: Sequence[ResourceFields], fields: dict[str, Any]
) -> Saved[System]:
    permissions.check_can_add_system(by)
    system = System(slug=slug, name=fields.pop("name", slug))
    changed = assign(system, fields)
    keep(system, by)
    _give_to_owner(system, None)
    record("system_created", by=by, resource=f"system:{slug}", changes=changed)
    for each in resources:
        _save_resource(system, dict(each), by, alone=True)
    return Saved(system, created=True, changed=tuple(changed))


def _widening(system: System, fields: Mapping[str, Any]) -> dict[str, str]:
    before = {name: getattr(system, name) for name in GUARDING}
    return rules.widened_system(before, {**before, **_only(fields, GUARDING)})


def _only(fields: Mapping[str, Any], names: Sequence[str]) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if name in names}


def _change_system(system: System, fields: Mapping[str, Any], by: Person) -> list[str]:
    owner = system.owner
    changed = assign(system, fields)
    if not changed:
        return []
    keep(system, by, list(changed))
    if "owner" in changed:
        _give_to_owner(system, owner)
    record("system_changed", by=by, resource=f"system:{system.slug}", changes=changed)
    catalogue_changed.send(sender=System, systems=(system.slug,), by=by)
    return list(changed)


def _give_to_owner(system: System, before: Person | None) -> None:
    """Guardian's right follows the owner; it counts only within the source owners' group."""
    if before:
        remove_perm("registry.change_system", before, system)
    if system.owner:
        assign_perm("registry.change_system", system.owner, system)


def _propose_fields(
    system: System, widening: Mapping[str, str], fields: Mapping[str, Any], by: Person
) -> ProposedChange:
    return changes.propose(
        kind=FIELDS_KIND,
        target=system.slug,
        summary=f"{system.slug}: {' '.join(widening.values())}",
        before={name: plain(getattr(system, name)) for name in widening},
        after={name: plain(fields[name]) for name in widening},
        by=by,
    )


def apply_fields(change: ProposedChange, by: Person) -> None:
    """Let the widening fields of a system take effect."""
    system = locked(System, "system", slug=change.target)
    if any(plain(getattr(system, name)) != was for name, was in change.before.items()):
        raise ChangeOutdated()
    _change_system(system, change.after, by)


@transaction.atomic
def save_resource(
    *,
    system_id: int,
    name: str,
    by: Person,
    match: str = ResourceMatch.EXACT,
    alone: bool = False,
    tier: str = "",
    categories: Sequence[str] = (),
) -> Saved[Resource]:
    """List a resource of a system, or change it. Making it less guarded waits for another."""
    check_alone(alone)
    system = locked(System, "system", pk=system_id)
    permissions.check_can_change_system(system, by)
    fields = {"name": name, "match": match, "tier": tier, "categories": list(categories)}
    return _save_resource(system, fields, by, alone=alone)


def _save_resource(
    system: System, fields: dict[str, Any], by: Person, *, alone: bool
) -> Saved[Resource]:
    key = {"name": fields["name"], "match": fields.get("match", ResourceMatch.EXACT)}
    resource = found(Resource, "resource", system=system, **key)
    created = resource is None
    resource = resource or Resource(system=system, **key)
    before = _guarded(system, **key)
    changed = assign(resource, _only(fields, ("tier", "categories")))
    if not created and not changed:
        return Saved(resource)
    check(resource)
    after = {"tier": resource.effective_tier, "categories": resource.effective_categories}
    if not alone and (sentences := rules.widened_place(before, after)):
        change = _propose_resource(resource, sentences, before, by)
        return Saved(resource, proposed=(change,))
    keep(resource, by)
    _record_resource("resource_saved", resource, by, changed)
    catalogue_changed.send(sender=Resource, systems=(system.slug,), by=by)
    return Saved(resource, created=created, changed=tuple(changed))


def _guarded(system: System, name: str, match: str, *, without: bool = False) -> dict[str, Any]:
    """How what falls under such an entry is guarded now; `without` it, if so asked."""
    listed = [
        {
            "name": one.name,
            "match": one.match,
            "tier": one.effective_tier,
            "categories": one.effective_categories,
        }
        for one in system.resources.select_related("system").all()
        # Names that merely start so never fall under an exact entry.
        if (match == ResourceMatch.EXACT or one.match == ResourceMatch.PREFIX)
        and not (without and (one.name, one.match) == (name, match))
    ]
    place = {"tier": system.effective_tier, "categories": system.categories, "resources": listed}
    tier, categories = tiers.place_of(place, name)
    return {"tier": tier, "categories": list(categories)}


def _record_resource(did: str, resource: Resource, by: Person, changed: Changes) -> None:
    record(
        did,
        by=by,
        resource=f"system:{resource.system.slug}",
        changes=changed,
        more={"resource": resource.name, "match": resource.match},
    )


def _target(resource: Resource) -> str:
    return f"{resource.system.slug}/{resource.match}:{resource.name}"[:255]


def _propose_resource(
    resource: Resource, sentences: list[str], before: dict[str, Any], by: Person
) -> ProposedChange:
    return changes.propose(
        kind=RESOURCE_KIND,
        target=_target(resource),
        summary=f"{resource}: {' '.join(sentences)}",
        before=plain_guard(before),
        after={
            "system": resource.system.slug,
            "name": resource.name,
            "match": resource.match,
            "tier": str(resource.tier),
            "categories": list(resource.categories),
        },
        by=by,
    )


def plain_guard(guard: Mapping[str, Any]) -> dict[str, Any]:
    """Tier and categories as they are kept and compared."""
    return {"tier": str(guard["tier"]), "categories": sorted(guard["categories"])}


def apply_resource(change: ProposedChange, by: Person) -> None:
    """List the resource as proposed."""
    fields = dict(change.after)
    system = locked(System, "system", slug=fields.pop("system"))
    if plain_guard(_guarded(system, fields["name"], fields["match"])) != change.before:
        raise ChangeOutdated()
    _save_resource(system, fields, by, alone=True)


@transaction.atomic
def remove_resource(
    *, resource_id: int, by: Person, alone: bool = False
) -> tuple[ProposedChange, ...]:
    """Take a resource off the list. Empty if done; the proposal where it needs another."""
    check_alone(alone)
    resource = locked(Resource, "resource", pk=resource_id)
    permissions.check_can_change_system(resource.system, by)
    before = {"tier": resource.effective_tier, "categories": resource.effective_categories}
    after = _guarded(resource.system, resource.name, resource.match, without=True)
    if alone or not (sentences := rules.widened_place(before, after)):
        _remove_resource(resource, by)
        return ()
    change = changes.propose(
        kind=REMOVAL_KIND,
        target=_target(resource),
        summary=f"{resource} is taken off the list. {' '.join(sentences)}",
        before=plain_guard(before),
        after={
            "system": resource.system.slug,
            "name": resource.name,
            "match": resource.match,
        },
        by=by,
    )
    return (change,)


def _remove_resource(resource: Resource, by: Person) -> None:
    _record_resource("resource_removed", resource, by, {"tier": (resource.tier, None)})
    remove(resource, by)
    catalogue_changed.send(sender=Resource, systems=(resource.system.slug,), by=by)


def apply_removal(change: ProposedChange, by: Person) -> None:
    """Take the resource off the list as proposed."""
    key = {"name": change.after["name"], "match": change.after["match"]}
    resource = locked(Resource, "resource", system__slug=change.after["system"], **key)
    before = {"tier": resource.effective_tier, "categories": resource.effective_categories}
    if plain_guard(before) != change.before:
        raise ChangeOutdated()
    _remove_resource(resource, by)


@transaction.atomic
def add_agreement(
    *,
    system_id: int,
    kind: str,
    reference: str,
    signed_on: date,
    by: Person,
    expires_on: date | None = None,
) -> Agreement:
    """Note what was signed with a system's provider. The same one again is one."""
    system = locked(System, "system", pk=system_id)
    permissions.check_can_change_system(system, by)
    key = {"kind": kind, "reference": reference, "signed_on": signed_on}
    agreement = Agreement.objects.filter(system=system, **key).first()
    agreement = agreement or Agreement(system=system, **key)
    if agreement.pk and agreement.expires_on == expires_on:
        return agreement
    agreement.expires_on = expires_on
    keep(agreement, by)
    record(
        "agreement_added",
        by=by,
        resource=f"system:{system.slug}",
        more={name: plain(value) for name, value in key.items()}
        | {"expires_on": plain(expires_on)},
    )
    return agreement


@transaction.atomic
def save_resource_type(
    *, slug: str, attributes: Mapping[str, Any], by: Person
) -> Saved[ResourceType]:
    """Declare a kind of subject or resource with the attributes that policies may ask."""
    permissions.check_can_change_resource_types(by)
    _check_attributes(attributes)
    row = found(ResourceType, "resource type", slug=slug)
    created = row is None
    row = row or ResourceType(slug=slug)
    changed = assign(row, {"attributes": dict(attributes)})
    if not created and not changed:
        return Saved(row)
    keep(row, by)
    record("resource_type_saved", by=by, resource=f"type:{slug}", changes=changed)
    return Saved(row, created=created, changed=tuple(changed))


def _check_attributes(attributes: Mapping[str, Any]) -> None:
    """Each is `{"type": …, "source": …}` from the closed lists."""
    for name, spec in attributes.items():
        known = (
            isinstance(spec, dict)
            and spec.get("type") in ATTRIBUTE_TYPES
            and spec.get("source", AttributeSource.LOADED) in AttributeSource.values
            and spec.keys() <= {"type", "source"}
        )
        if not known or not name.isidentifier() or not name.isascii():
            sentence = (
                f"Attribute {name!r} must be a plain name with a type of "
                f"{', '.join(sorted(ATTRIBUTE_TYPES))} and a source of loaded or caller."
            )
            raise Invalid(sentence, fields={"attributes": [sentence]})


@transaction.atomic
def save_entity(
    *, type_slug: str, entity_id: str, attributes: Mapping[str, Any], by: Person
) -> Saved[ResourceEntity]:
    """Load one thing of a resource type with its attributes."""
    permissions.check_can_change_resource_types(by)
    kind = locked(ResourceType, "resource type", slug=type_slug)
    _check_values(kind, attributes)
    row = found(ResourceEntity, "entity", type=kind, entity_id=entity_id)
    created = row is None
    row = row or ResourceEntity(type=kind, entity_id=entity_id)
    changed = assign(row, {"attributes": dict(attributes)})
    if not created and not changed:
        return Saved(row)
    check(row)
    row.save()
    record(
        "entity_saved",
        by=by,
        resource=f"type:{type_slug}",
        changes=changed | {"identity": (None, entity_id)},
    )
    return Saved(row, created=created, changed=tuple(changed))


def _check_values(kind: ResourceType, attributes: Mapping[str, Any]) -> None:
    declared = kind.attributes_from(AttributeSource.LOADED)
    for name, value in attributes.items():
        if name not in declared or not _is_of(declared[name], value):
            wanted = declared.get(name, "nothing: it is not declared as loaded")
            sentence = f"Attribute {name!r} of {kind.slug} takes {wanted}."
            raise Invalid(sentence, fields={"attributes": [sentence]})


def _is_of(wanted: str, value: Any) -> bool:
    if wanted == "long":
        return isinstance(value, int) and not isinstance(value, bool)
    if wanted == "set":
        return isinstance(value, list) and all(isinstance(each, str) for each in value)
    return isinstance(value, bool if wanted == "bool" else str)


@transaction.atomic
def remove_entity(*, type_slug: str, entity_id: str, by: Person) -> None:
    """Unload a thing; nothing happens where there is none."""
    permissions.check_can_change_resource_types(by)
    rows = ResourceEntity.objects.filter(type__slug=type_slug, entity_id=entity_id)
    if rows.delete()[0]:
        record(
            "entity_removed",
            by=by,
            resource=f"type:{type_slug}",
            changes={"identity": (entity_id, None)},
        )
