"""People and gateways."""

from __future__ import annotations

import datetime

from lifecycle.apply.plan import Step, Verb
from lifecycle.apply.steps.run import Run, wait
from registry import permissions, services
from registry.enums import Employment

PLAIN = ("name", "chat_handle", "department", "zone", "calendar", "attributes")


def save_person(run: Run, step: Step) -> None:
    """The person alone: whom they report to may not be there yet.

    Who applies to an empty installation was made as its first administrator before this.
    """
    fields = step.changed(PLAIN)
    if step.verb == Verb.CREATE and step.item.label != run.by.email:
        services.create_person(
            email=step.item.label, by=run.by, alone=run.alone, name=fields.pop("name"), **fields
        )
    elif fields:
        services.update_person(person_id=run.person(step.item.label).pk, by=run.by, **fields)


def finish_person(run: Run, step: Step) -> None:
    """Manager, employment, ids elsewhere."""
    person = run.person(step.item.label)
    if step.differs("manager"):
        manager = run.maybe_person(step.item.fields["manager"])
        services.update_person(person_id=person.pk, by=run.by, manager=manager)
    if step.differs("employment") or step.differs("last_day"):
        _set_employment(run, step, person.pk)
    for entry, _ in step.entries("external_ids"):
        change = (
            services.remove_external_identity
            if entry.get("absent")
            else services.add_external_identity
        )
        change(person_id=person.pk, source=entry["source"], external_id=entry["id"], by=run.by)


def set_groups(run: Run, step: Step) -> None:
    """The groups; whoever applies joins now and leaves last, to have their rights until then."""
    if not step.differs("groups"):
        return
    person = run.person(step.item.label)
    groups = set(step.item.fields["groups"])
    if person.pk == run.by.pk:
        groups |= permissions.groups_of(person)
    saved = services.set_groups(person_id=person.pk, groups=groups, by=run.by, alone=run.alone)
    wait(step, saved.proposed)


def leave_own_groups(run: Run, step: Step) -> None:
    """Take whoever applies out of what they are to leave."""
    if step.item.label == run.by.email and step.differs("groups"):
        groups = step.item.fields["groups"]
        services.set_groups(person_id=run.by.pk, groups=groups, by=run.by)


def _set_employment(run: Run, step: Step, person_id: int) -> None:
    there = {"employment": Employment.EMPLOYED, "last_day": None, **step.current}
    said = {**there, **step.item.fields}
    if (said["employment"], said["last_day"]) == (there["employment"], there["last_day"]):
        return
    last_day = said["last_day"]
    services.set_employment(
        person_id=person_id,
        employment=said["employment"],
        last_day=datetime.date.fromisoformat(last_day) if last_day else None,
        by=run.by,
    )


def save_gateway(run: Run, step: Step) -> None:
    """A gateway; its client is another matter."""
    fields = step.changed(("name", "source", "is_active"))
    services.save_gateway(slug=step.item.label, by=run.by, **fields)
