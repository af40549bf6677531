"""How a service saves: lock, change the named fields, check, save, record. Or nothing of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from functools import cache, reduce
from operator import and_
from typing import Any, Generic, TypeVar
from uuid import UUID

from django.core.exceptions import NON_FIELD_ERRORS, ValidationError
from django.db import IntegrityError, models, transaction
from django.db.models import Q
from django.db.models.functions import Coalesce

from audit import services as audit
from audit.enums import Kind
from governance.kernel.errors import Conflict, Invalid, NotFound
from registry import selectors
from registry.errors import NotBootstrapping
from registry.models import Agent, Person, ProposedChange, System, Tool
from registry.permissions import Actor

M = TypeVar("M", bound=models.Model)
T = TypeVar("T")

Changes = dict[str, tuple[Any, Any]]
_TRUTH = models.BooleanField()

# Long or free text, which may tell of people: kept in the sealed payload, not in the body.
SEALED_FIELDS = frozenset(
    {
        "attributes", "builder", "chat_handle", "data_subjects", "department", "description",
        "email", "external_id", "identity", "last_day", "manager", "name", "narrowing", "purpose",
        "recipients", "reason", "result_schema", "schema", "scope", "title", "zone", "calendar",
    }
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Saved(Generic[T]):
    """What saving came to: the row, what changed at once, what waits for a second person."""

    row: T
    created: bool = False
    changed: tuple[str, ...] = ()
    proposed: tuple[ProposedChange, ...] = field(default=())


def check_alone(alone: bool) -> None:
    """Widening alone is for a fresh installation only."""
    if alone and not selectors.is_bootstrapping():
        raise NotBootstrapping()


def locked(model: type[M], what: str, **lookup: Any) -> M:
    """The one row, locked until the transaction ends; `NotFound` if there is none.

    Others may go on to refer to it: a row beside it that has its key never waits.
    """
    row = found(model, what, **lookup)
    if row is None:
        raise NotFound(f"There is no such {what}.")
    return row


def found(model: type[M], what: str, **lookup: Any) -> M | None:
    """As `locked`, but None where there is none."""
    rows = model._default_manager.select_for_update(of=("self",), no_key=True)
    return rows.filter(**lookup).first()


def hold_agents_of(person: Person) -> None:
    """Lock a person's agents before the person is written, which reaches the agents too.

    What follows from it (flags, questions) holds them as well; it must not come to that later.
    """
    rows = Agent.objects.select_for_update(of=("self",), no_key=True).filter(owner=person)
    list(rows.order_by("pk").values_list("pk"))


def assign(row: models.Model, fields: Mapping[str, Any]) -> Changes:
    """Set what differs, and say what it was and is."""
    changes: Changes = {}
    for name, value in fields.items():
        after = list(value) if isinstance(value, tuple) else value
        # A foreign key that was never set has no value to get.
        before = getattr(row, name, None)
        if before != after:
            changes[name] = (before, after)
            setattr(row, name, after)
    return changes


def check(row: models.Model, names: Sequence[str] | None = None, *, unique: bool = True) -> None:
    """Run the model's own validation; `Invalid` names the fields.

    Where only the named fields are saved, the others are taken as they stand. Without `unique`
    it may have the key of another row: of the one that it says anew.
    """
    fields = row._meta.fields
    kept = set() if names is None else {each.name for each in fields if each.name not in names}
    try:
        row.clean_fields(exclude=kept)
        row.clean()
        if unique:
            row.validate_unique(exclude=kept)
        for constraint in _constraints_of(type(row)):
            constraint.validate(type(row), row)
    except ValidationError:
        _name_what_is_wrong(row, unique)


def _name_what_is_wrong(row: models.Model, unique: bool) -> None:
    try:
        row.full_clean(validate_unique=unique)
    except ValidationError as error:
        raise as_invalid(error) from error


@cache
def _constraints_of(model: type[models.Model]) -> list[models.BaseConstraint]:
    """Its constraints, with the conditions of all of them as one.

    Django asks the database about one condition after the other, each in a savepoint of its own.
    """
    every = model._meta.constraints
    checks = [each for each in every if isinstance(each, models.CheckConstraint)]
    others = [each for each in every if not isinstance(each, models.CheckConstraint)]
    # What comes to NULL holds, as in the database.
    held = [Q(Coalesce(each.condition, True, output_field=_TRUTH)) for each in checks]
    at_once = [models.CheckConstraint(condition=reduce(and_, held), name="all")] if held else []
    return [*at_once, *others]


def as_invalid(error: ValidationError) -> Invalid:
    """A model's refusal in the shape of ours."""
    by_field = error.message_dict if hasattr(error, "error_dict") else {"": error.messages}
    loose = by_field.pop(NON_FIELD_ERRORS, [])
    sentence = next(iter(loose), "") or "Some fields are not right."
    return Invalid(sentence, fields=by_field)


def keep(row: models.Model, by: Actor, names: list[str] | None = None) -> None:
    """Check and save a row (or the named fields of it), with who did it in its history."""
    check(row, names)
    # What simple-history reads.
    row._history_user = by if isinstance(by, Person) else None  # type: ignore[attr-defined]
    try:
        with transaction.atomic():
            row.save(update_fields=names)
    except IntegrityError as error:
        raise Conflict() from error


def remove(row: models.Model, by: Person) -> None:
    """Delete a row, with who did it in its history."""
    row._history_user = by  # type: ignore[attr-defined]
    row.delete()


def record(
    did: str,
    *,
    by: Actor,
    agent: str = "",
    user: str = "",
    resource: str = "",
    tier: str = "",
    changes: Changes | None = None,
    more: Mapping[str, Any] | None = None,
) -> UUID:
    """Record a change of the register, in the transaction of the change; the entry's id."""
    told = {name: _pair(pair) for name, pair in (changes or {}).items()}
    sealed = {name: pair for name, pair in told.items() if name in SEALED_FIELDS}
    shown = {name: pair for name, pair in told.items() if name not in SEALED_FIELDS}
    return audit.record(
        kind=Kind.REGISTRY,
        actor=by.pid,
        agent=agent,
        user=user,
        resource=resource,
        tier=tier,
        asked={
            "did": did,
            "changed": shown,
            **({"sealed": sorted(sealed)} if sealed else {}),
            **(more or {}),
        },
        payload={"changed": sealed} if sealed else {},
    )


def _pair(pair: tuple[Any, Any]) -> dict[str, Any]:
    before, after = pair
    return {"before": plain(before), "after": plain(after)}


def plain(value: Any) -> Any:
    """A value as JSON: people by pid, things by name, dates as written."""
    if isinstance(value, Person):
        return value.pid
    if isinstance(value, System | Agent):
        return value.slug
    if isinstance(value, Tool):
        return value.name
    if isinstance(value, date | datetime):
        return value.isoformat()
    if isinstance(value, set | frozenset | list | tuple):
        return [plain(each) for each in value]
    return str(value) if isinstance(value, models.TextChoices) else value
