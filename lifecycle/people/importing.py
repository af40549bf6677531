"""A file of people: kept as it was read, shown, and applied exactly as it was shown.

The sweep `people` applies an import row by row, each person in a transaction of their own, so
that a worker which is killed leaves nobody half changed and the next one goes on.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from datetime import date, timedelta
from typing import Any, cast

from django.conf import settings
from django.db import IntegrityError, transaction

from governance.kernel import clock
from governance.kernel.errors import Conflict, GovernanceError, Invalid, NotAllowed, NotFound
from lifecycle import tasks
from lifecycle.models import ImportRow, ImportState, PeopleImport, RowKind, RowState
from lifecycle.people import planning, reading, sources
from lifecycle.people.errors import ImportOutdated, ImportOver, ManyLeavers
from lifecycle.people.planning import Manager, Planned
from lifecycle.people.reading import Row, Sheet
from lifecycle.people.selectors import RegisterNow, WholeRegister, today_in
from registry import permissions, services
from registry.enums import Employment
from registry.models import Person
from registry.permissions import Automatic
from registry.services.joining import Facts
from registry.services.saving import found, locked, record

LASTS = timedelta(hours=24)
CHANGED_SINCE = "This is not what was shown any more: the register has changed. Import it again."


@transaction.atomic
def keep_preview(*, raw: bytes, file_name: str, source: str, by: Person) -> PeopleImport:
    """Read a file, and keep what it comes to for a day. Nothing of it is done yet."""
    permissions.check_can_change_people(by)
    sheet = reading.read_people(raw)
    if not sheet.rows:
        raise Invalid("There is nobody in this file.", code="bad_file")
    now = clock.now()
    kept = PeopleImport.objects.create(
        source=sources.file_source(slug=source, by=by),
        file_name=_plain(file_name),
        unread=list(sheet.unread),
        made_by=by,
        made_at=now,
        expires_at=now + LASTS,
    )
    _plan(kept, sheet, by)
    return kept


def _plain(name: str) -> str:
    return "".join(each for each in name if each.isprintable())[:120] or "a file"


def _plan(kept: PeopleImport, sheet: Sheet, by: Person) -> None:
    """Keep what each row comes to, in the place of what was kept before."""
    planned = _planned(kept, sheet, by)
    kept.rows.all().delete()
    ImportRow.objects.bulk_create(
        [_row(kept, place, each) for place, each in enumerate(planned)], batch_size=1000
    )
    kept.counts = {**Counter(str(each.kind) for each in planned)}
    kept.save(update_fields=["counts"])


def _planned(kept: PeopleImport, sheet: Sheet, by: Person) -> list[Planned]:
    register = WholeRegister(kept.source.slug)
    return planning.plan_file(sheet.rows, register, register.named(), today=today_in, own=by.pk)


def _row(kept: PeopleImport, place: int, planned: Planned) -> ImportRow:
    return ImportRow(
        of=kept,
        place=place,
        line=planned.line,
        kind=planned.kind,
        person_id=planned.person,
        external_id=planned.external_id,
        said=_as_json(planned.said),
        fingerprint=planned.fingerprint,
        changes=[list(each) for each in planned.changes],
        told=list(planned.told),
        problem=planned.problem[:300],
        unreadable=planned.unreadable,
    )


def _as_json(said: Mapping[str, Any]) -> dict[str, Any]:
    return {
        name: value.isoformat() if isinstance(value, date) else value
        for name, value in said.items()
    }


def _as_said(kept: Mapping[str, Any]) -> dict[str, Any]:
    said = dict(kept)
    if said.get("last_day"):
        said["last_day"] = date.fromisoformat(said["last_day"])
    return said


# Saying yes, or no


@transaction.atomic
def begin_import(
    *, import_id: int, by: Person, whole: bool = False, returns: bool = False, typed: str = ""
) -> PeopleImport:
    """Have what was shown be done. `typed` is how many leave, where that must be typed.

    Raises `ImportOutdated` where it would be shown otherwise now; `look_again` shows that.
    """
    permissions.check_can_change_people(by)
    kept = open_preview(import_id, by)
    if not _stands(kept, by):
        raise ImportOutdated()
    _check_whole(kept, whole=whole)
    _check_leavers(leavers_of(kept, whole=whole), kept, typed)
    kept.state, kept.whole, kept.returns = ImportState.APPLYING, whole, returns
    kept.applied_by, kept.applied_at = by, clock.now()
    try:
        with transaction.atomic():
            kept.save()
    except IntegrityError as error:
        raise Conflict("Another file of this source is being applied. Wait for its end.") from error
    kinds = kinds_applied(kept)
    due = kept.rows.filter(kind__in=kinds).update(state=RowState.DUE)
    _record("people_import_begun", kept, by, rows=due, counts=kept.counts)
    transaction.on_commit(lambda: tasks.set_off("people"))
    return kept


def open_preview(import_id: int, by: Person) -> PeopleImport:
    """The import, locked, while it may be applied by whoever made it or another operator."""
    kept = found(PeopleImport, "import", pk=import_id)
    if kept is None:
        raise NotFound("There is no such import.")
    if kept.state != ImportState.PREVIEW or kept.expires_at <= clock.now():
        raise ImportOver()
    if kept.made_by_id != by.pk:
        raise NotAllowed(f"Only {kept.made_by}, who looked at it, may apply it. Upload it again.")
    return kept


def kinds_applied(kept: PeopleImport) -> list[RowKind]:
    """What of it is done: what was ticked, and what needs no tick."""
    kinds = list(planning.APPLIED)
    kinds += [RowKind.MISSING] if kept.whole else []
    return kinds + ([RowKind.RETURNS] if kept.returns else [])


def leavers_of(kept: PeopleImport, *, whole: bool) -> int:
    """How many have left once it is applied, who work here now."""
    many = int(kept.counts.get(RowKind.LEFT, 0))
    return many + (int(kept.counts.get(RowKind.MISSING, 0)) if whole else 0)


def must_be_typed(leavers: int) -> bool:
    """Whether so many leave that their number must be typed."""
    working = Person.objects.exclude(employment=Employment.LEFT).count()
    return planning.has_many_leavers(leavers, working)


def _check_whole(kept: PeopleImport, *, whole: bool) -> None:
    if whole and (wrong := kept.counts.get(RowKind.WRONG, 0)):
        raise Invalid(
            f"{wrong} of its rows cannot be read, so nobody is taken as gone for not standing in "
            "it. Mend them first.",
            code="whole_with_errors",
        )


def _check_leavers(leavers: int, kept: PeopleImport, typed: str) -> None:
    if must_be_typed(leavers) and typed.strip() != str(leavers):
        raise ManyLeavers(f"{leavers} people leave by this file. Type {leavers} to go on.")


def _stands(kept: PeopleImport, by: Person) -> bool:
    """Whether the register still makes of every row what was shown."""
    now = {each.line: each.fingerprint for each in _again(kept, by) if each.line}
    shown = kept.rows.exclude(line=0).exclude(kind=RowKind.WRONG)
    return all(now[line] == print_ for line, print_ in shown.values_list("line", "fingerprint"))


def _again(kept: PeopleImport, by: Person) -> list[Planned]:
    return _planned(kept, _sheet(kept), by)


def _sheet(kept: PeopleImport) -> Sheet:
    """The file as it was read, from its rows."""
    rows = kept.rows.exclude(line=0).order_by("line")
    return Sheet(tuple(_read_again(row) for row in rows))


def _read_again(row: ImportRow) -> Row:
    said = _as_said(row.said)
    said.pop("manager_is", None)
    # What a person must mend in the file stays wrong; what the register refused is looked at anew.
    return Row(row.line, said, (row.problem,) if row.unreadable else ())


@transaction.atomic
def look_again(*, import_id: int, by: Person) -> PeopleImport:
    """Show what the file comes to now that the register has changed."""
    permissions.check_can_change_people(by)
    kept = open_preview(import_id, by)
    _plan(kept, _sheet(kept), by)
    return kept


@transaction.atomic
def drop_import(*, import_id: int, by: Person) -> PeopleImport:
    """Put a preview aside. What the file said of people is forgotten."""
    permissions.check_can_change_people(by)
    kept = open_preview(import_id, by)
    kept.state = ImportState.DROPPED
    kept.save(update_fields=["state"])
    kept.rows.all().delete()
    return kept


# Doing it, one person at a time; for the sweep


def due_rows() -> list[int]:
    """The rows that are to be applied, in their order."""
    rows = ImportRow.objects.filter(state=RowState.DUE).order_by("of", "place")
    return list(rows.values_list("pk", flat=True))


def apply_row(row_id: int) -> bool:
    """Do what was shown for one person, or say why not. Another worker's row is left to it."""
    rows = ImportRow.objects.select_for_update(skip_locked=True, of=("self",), no_key=True)
    row = rows.select_related("of__source", "of__applied_by").filter(pk=row_id).first()
    if row is None or row.state != RowState.DUE:
        return False
    try:
        with transaction.atomic():
            row.person = _apply(row)
        row.state = RowState.DONE
    except GovernanceError as error:
        row.state, row.problem = RowState.REFUSED, error.sentences[:300]
    row.save(update_fields=["state", "problem", "person"])
    return True


def _apply(row: ImportRow) -> Person:
    by = row.of.applied_by
    assert by is not None  # noqa: S101  the database holds that somebody applied it
    permissions.check_can_change_people(by)
    if row.person_id:
        locked(Person, "person", pk=row.person_id)
    if row.kind == RowKind.MISSING:
        return _gone(row)
    manager = _check_stands(row)
    if row.kind == RowKind.RETURNS:
        assert row.person_id is not None  # noqa: S101  who is back was here
        services.set_employment(person_id=row.person_id, employment=Employment.EMPLOYED, by=by)
    facts = _facts(row, manager)
    _check_address(row, facts, by)
    return _sync(row, facts)


def _check_address(row: ImportRow, facts: Facts, by: Person) -> None:
    """A file is one person's word, as their own hand is."""
    if row.person_id is None or "email" not in facts:
        return
    person = Person.objects.get(pk=row.person_id)
    if facts["email"].lower() != person.email.lower():
        permissions.check_can_change_address(person, by)


def _gone(row: ImportRow) -> Person:
    known = RegisterNow(row.of.source.slug).by_id(row.external_id)
    if known is None or known.pk != row.person_id or known.has_left:
        raise ImportOutdated(CHANGED_SINCE)
    return _sync(row, Facts(active=False))


def _check_stands(row: ImportRow) -> Person | None:
    """Look whether it would be shown so still; returns the manager that it names."""
    register, said = RegisterNow(row.of.source.slug), _as_said(row.said)
    manager = None
    if chosen := said.pop("manager_is", None):
        known = register.by_pk(chosen[0]) if chosen[0] else register.by_id(chosen[1])
        if known is None or known.has_left:
            raise ImportOutdated("Their manager was not taken up, or has left. Import it again.")
        manager = Manager(known.pk, known.external_id, known.name)
    now = planning.plan_one(row.line, said, register, manager=manager, today=today_in)
    if now.fingerprint != row.fingerprint:
        raise ImportOutdated(CHANGED_SINCE)
    return Person.objects.get(pk=manager.pk) if manager and manager.pk else None


def _facts(row: ImportRow, manager: Person | None) -> Facts:
    said = _as_said(row.said)
    facts: dict[str, Any] = {name: said[name] for name in planning.FIELDS if name in said}
    if manager is not None:
        facts["manager"] = manager
    joins = row.kind in {RowKind.JOINS, RowKind.RETURNS}
    return cast(Facts, facts | planning.facts_of(said, joins=joins))


def _sync(row: ImportRow, facts: Facts) -> Person:
    return services.sync_person(
        source=row.of.source.slug,
        external_id=row.external_id,
        facts=facts,
        by=Automatic(f"people_import:{row.of_id}"),
    ).person


def due_ends() -> list[int]:
    """Imports that are being applied; once none of their rows is due, they are at their end."""
    rows = PeopleImport.objects.filter(state=ImportState.APPLYING).order_by("applied_at")
    return list(rows.values_list("pk", flat=True))


def end_import(import_id: int) -> bool:
    """Close an import none of whose rows is due any more."""
    kept = locked(PeopleImport, "import", pk=import_id)
    if kept.state != ImportState.APPLYING or kept.rows.filter(state=RowState.DUE).exists():
        return False
    kept.state, kept.ended_at = ImportState.DONE, clock.now()
    kept.counts |= {state: kept.rows.filter(state=state).count() for state in ENDS}
    kept.save(update_fields=["state", "ended_at", "counts"])
    assert kept.applied_by is not None  # noqa: S101  the database holds that somebody applied it
    _record("people_import_ended", kept, kept.applied_by, counts=kept.counts)
    return True


ENDS = (str(RowState.DONE), str(RowState.REFUSED))


def due_forgetting() -> list[int]:
    """Imports whose rows are kept no longer: over, or never applied."""
    now = clock.now()
    limit = now - timedelta(days=settings.MUSTER_IMPORT_DAYS)
    rows = PeopleImport.objects.filter(rows__isnull=False).distinct()
    over = rows.filter(state=ImportState.DONE, ended_at__lt=limit)
    stale = rows.filter(state=ImportState.PREVIEW, expires_at__lt=now)
    return list(over.values_list("pk", flat=True)) + list(stale.values_list("pk", flat=True))


def forget_import(import_id: int) -> bool:
    """Delete what the file said of people. That it was, and what it came to, stays."""
    kept = locked(PeopleImport, "import", pk=import_id)
    if kept.state == ImportState.PREVIEW:
        kept.state = ImportState.DROPPED
        kept.save(update_fields=["state"])
    return bool(kept.rows.all().delete()[0])


def _record(did: str, kept: PeopleImport, by: Person, **more: Any) -> None:
    told = {"import": kept.pk, "whole": kept.whole, "returns": kept.returns, **more}
    record(did, by=by, resource=f"source:{kept.source.slug}", more=told)
