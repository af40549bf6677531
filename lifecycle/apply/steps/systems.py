"""Resource types, systems, tools."""

from __future__ import annotations

import datetime
from typing import Any, cast

from lifecycle.apply.plan import Entry, Step
from lifecycle.apply.steps.run import Run, wait
from registry import services
from registry.models import Resource
from registry.services import ResourceFields

SYSTEM = (
    "name",
    "description",
    "environment",
    "tier",
    "categories",
    "country",
    "trust",
    "personal_resource_ids",
    "provider",
    "rate_per_minute",
    "rate_per_hour",
)
TOOL = (
    "title",
    "description",
    "effect",
    "schema",
    "amount_parameter",
    "currency_parameter",
    "count_parameter",
    "recipient_parameter",
    "resource_parameter",
    "secret_parameters",
    "on_taint",
    "gates",
    "cost_minor",
    "currency",
    "amount_is_cost",
)


def save_resource_type(run: Run, step: Step) -> None:
    """The type, then its entities."""
    slug = step.item.label
    if step.differs("attributes") or not step.current:
        attributes = step.item.fields.get("attributes", {})
        services.save_resource_type(slug=slug, attributes=attributes, by=run.by)
    for entry, _ in step.entries("entities"):
        if entry.get("absent"):
            services.remove_entity(type_slug=slug, entity_id=entry["id"], by=run.by)
        else:
            services.save_entity(
                type_slug=slug, entity_id=entry["id"], attributes=entry["attributes"], by=run.by
            )


def save_system(run: Run, step: Step) -> None:
    """The system with its resources, then its agreements."""
    fields: dict[str, Any] = step.changed(SYSTEM)
    if step.differs("owner"):
        fields["owner"] = run.maybe_person(step.item.fields["owner"])
    entries = step.entries("resources")
    if fields or entries or not step.current:
        resources = [
            cast("ResourceFields", dict(entry)) for entry, _ in entries if not entry.get("absent")
        ]
        saved = services.save_system(
            slug=step.item.label, by=run.by, alone=run.alone, resources=resources, **fields
        )
        wait(step, saved.proposed)
    system = run.system(step.item.label)
    for entry, _ in entries:
        if entry.get("absent"):
            _remove_resource(run, step, system.pk, entry)
    for entry, _ in step.entries("agreements"):
        _add_agreement(run, system.pk, entry)


def _remove_resource(run: Run, step: Step, system_id: int, entry: Entry) -> None:
    found = Resource.objects.get(system=system_id, name=entry["name"], match=entry["match"])
    wait(step, services.remove_resource(resource_id=found.pk, by=run.by, alone=run.alone))


def _add_agreement(run: Run, system_id: int, entry: Entry) -> None:
    expires = entry["expires_on"]
    services.add_agreement(
        system_id=system_id,
        kind=entry["kind"],
        reference=entry["reference"],
        signed_on=datetime.date.fromisoformat(entry["signed_on"]),
        expires_on=datetime.date.fromisoformat(expires) if expires else None,
        by=run.by,
    )


def save_tool(run: Run, step: Step) -> None:
    """The tool, with all that it touches."""
    fields: dict[str, Any] = step.changed(TOOL)
    if step.differs("system"):
        fields["system"] = run.system(step.item.fields["system"])
    if step.differs("accesses"):
        fields["accesses"] = [
            {**entry, "system": run.system(entry["system"])}
            for entry in step.item.fields["accesses"]
        ]
    saved = services.save_tool(name=step.item.label, by=run.by, alone=run.alone, **fields)
    wait(step, saved.proposed)
