"""What a list of people comes to for each of them, against the register. Pure.

It foretells what `registry.services.sync_person` does: the same rules say who is meant, and
`employment_after` whether they go.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import Any, Protocol

import rfc8785

from lifecycle.models.people import RowKind
from lifecycle.people import reading
from lifecycle.people.reading import Row
from registry.enums import Employment
from registry.services.joining import OWN_ID, Facts, employment_after

FIELDS = ("name", "email", "department", "zone")
# What is done where a person says yes to the whole, and what needs a word of its own.
APPLIED = (RowKind.JOINS, RowKind.CHANGES, RowKind.LEAVING, RowKind.LEFT)

Said = Mapping[str, Any]
Today = Callable[[str], date]
Change = list[str]


@dataclass(frozen=True, slots=True)
class Known:
    """Someone on the register; `external_id` is empty where this source does not name them."""

    pk: int
    name: str
    email: str
    department: str
    zone: str
    manager: int | None
    manager_name: str
    employment: str
    last_day: date | None
    external_id: str = ""

    @property
    def has_left(self) -> bool:
        return self.employment == Employment.LEFT


class Register(Protocol):
    """Who is known, by what a file may call them."""

    def by_id(self, external_id: str) -> Known | None: ...
    def by_email(self, email: str) -> Known | None: ...
    def by_pk(self, pk: int) -> Known | None: ...


@dataclass(frozen=True, slots=True)
class Manager:
    """Whom a row names as manager: someone known, or someone who joins by the same file."""

    pk: int | None
    external_id: str
    name: str


@dataclass(frozen=True, slots=True)
class Planned:
    """What one row comes to. `changes` are field, before and after, as they are shown."""

    line: int
    kind: RowKind
    said: Said
    external_id: str = ""
    person: int | None = None
    changes: tuple[Change, ...] = ()
    told: tuple[str, ...] = ()
    problem: str = ""
    # Wrong in itself, whatever the register holds.
    unreadable: bool = False

    @property
    def fingerprint(self) -> str:
        """Of what is shown, but for names of managers, which may change in the same file."""
        changes = [[name] if name == "manager" else [name, *rest] for name, *rest in self.changes]
        shown = [str(self.kind), self.external_id, self.person, changes]
        return hashlib.sha256(rfc8785.dumps(shown)).hexdigest()


class _Wrong(Exception):
    """Nobody can be meant by this row, or more than one."""


# A whole file


def plan_file(
    rows: Sequence[Row], register: Register, here: Iterable[Known], *, today: Today, own: int
) -> list[Planned]:
    """Every row, managers before those whom they manage; then who is not in the file.

    `here` is whom this source named before; `own` the person who looks.
    """
    in_file = _InFile(rows, register)
    planned = [_planned(row, register, in_file, today, own) for row in rows]
    named = {each.person for each in planned} | in_file.people
    missing = [each for each in here if not each.has_left and each.pk not in {*named, own}]
    return [*in_file.in_order(planned), *(_missing(each, today) for each in missing)]


def _planned(row: Row, register: Register, in_file: _InFile, today: Today, own: int) -> Planned:
    if row.problems:
        problem = " ".join(row.problems)[:300]
        return Planned(row.line, RowKind.WRONG, row.said, problem=problem, unreadable=True)
    manager, told = in_file.manager_of(row)
    planned = plan_one(row.line, row.said, register, manager=manager, today=today)
    if planned.kind == RowKind.LEFT and planned.person == own:
        problem = "This is you. Someone else has to say that you have left."
        return replace(planned, kind=RowKind.WRONG, problem=problem)
    return replace(planned, told=(*planned.told, *told))


def _missing(known: Known, today: Today) -> Planned:
    change = _employment(known, Employment.LEFT, today(known.zone))
    return Planned(
        0, RowKind.MISSING, {}, known.external_id, known.pk, tuple(change), ("Not in the file.",)
    )


class _InFile:
    """The people of a file among each other: who manages whom, and so who comes first."""

    def __init__(self, rows: Sequence[Row], register: Register) -> None:
        self.register = register
        self.by: dict[str, Row] = {}
        for row in rows:
            for name in ("id", "email"):
                if name in row.said:
                    self.by.setdefault(str(row.said[name]), row)
        found = (register.by_id(said) or register.by_email(said) for said in self.by)
        self.people = {each.pk for each in found if each}

    def manager_of(self, row: Row) -> tuple[Manager | None, tuple[str, ...]]:
        said = str(row.said.get("manager", ""))
        if not said:
            return None, ()
        known = self._known(said)
        there = self.by.get(said.lower() if "@" in said else said)
        if there is row or (known and known.has_left) or not (known or there):
            return None, (f"The manager {said} is not known here, and is left as before.",)
        if known:
            return Manager(known.pk, known.external_id, known.name), ()
        return _joining(there), ()

    def _known(self, said: str) -> Known | None:
        if "@" in said:
            return self.register.by_email(said.lower())
        return self.register.by_id(said)

    def in_order(self, planned: list[Planned]) -> list[Planned]:
        """Those whom nobody in the file manages first; a circle stays as it stood."""
        above = {row.line: self._line_above(row) for row in self.by.values()}
        return sorted(planned, key=lambda each: (_depth(each.line, above), each.line))

    def _line_above(self, row: Row) -> int:
        said = str(row.said.get("manager", ""))
        there = self.by.get(said.lower() if "@" in said else said)
        return there.line if there else 0


def _joining(row: Row | None) -> Manager | None:
    if row is None or row.problems:
        return None
    external_id = str(row.said.get("id") or row.said["email"])
    name = str(row.said.get("name") or row.said.get("email") or external_id)
    return Manager(None, external_id, name)


def _depth(line: int, above: Mapping[int, int]) -> int:
    seen: set[int] = set()
    while (line := above.get(line, 0)) and line not in seen:
        seen.add(line)
    return len(seen)


# One row


def plan_one(
    line: int, said: Said, register: Register, *, manager: Manager | None, today: Today
) -> Planned:
    """What one readable row comes to now."""
    try:
        external_id, known, told = _meant(said, register)
        changes = _changes(said, known, register, manager)
    except _Wrong as wrong:
        return Planned(line, RowKind.WRONG, said, problem=str(wrong))
    if manager is not None:
        said = {**said, "manager_is": [manager.pk, manager.external_id]}
    planned = Planned(line, RowKind.JOINS, said, external_id, known.pk if known else None)
    kind, moved, more = _moves(said, known, changes, today)
    if kind == RowKind.UNCHANGED:
        moved = changes = ()
    return replace(planned, kind=kind, changes=(*changes, *moved), told=(*told, *more))


def _moves(
    said: Said, known: Known | None, changes: tuple[Change, ...], today: Today
) -> tuple[RowKind, tuple[Change, ...], tuple[str, ...]]:
    """Whether they come, go or stay: the kind of row, what of that changes, what to know."""
    if known is None:
        return _new(said, today)
    employment, last_day = _after(said, known, today)
    moved = tuple(_employment(known, employment, last_day))
    return _kind(known, employment, moved, changes), moved, ()


def _meant(said: Said, register: Register) -> tuple[str, Known | None, tuple[str, ...]]:
    """Who is meant, as `sync_person` finds them: by the id, at first sight by the address."""
    external_id, email = str(said.get("id", "")), str(said.get("email", ""))
    if OWN_ID.match(external_id):
        raise _Wrong("This id is one of Muster's. Use the id that your HR system has.")
    if known := register.by_id(external_id or email):
        return external_id or email, known, ()
    holder = register.by_email(email) if email else None
    if not external_id:
        return _by_email(email, holder)
    if holder is None:
        return external_id, None, ()
    if holder.has_left:
        return external_id, None, (_NO_INHERITANCE,)
    if holder.external_id:
        raise _Wrong(f"{holder.name} has this address, and this source knows them by another id.")
    return external_id, holder, ()


_NO_INHERITANCE = "Someone who left had this address. Nothing of theirs goes to the newcomer."


def _by_email(email: str, holder: Known | None) -> tuple[str, Known | None, tuple[str, ...]]:
    if holder is None:
        return email, None, ()
    if holder.external_id:
        return holder.external_id, holder, ()
    if holder.has_left:
        raise _Wrong(
            f"{holder.name}, who left, had this address. Give the file a column id, or say on "
            "their page that they are back."
        )
    return email, holder, ()


def _changes(
    said: Said, known: Known | None, register: Register, manager: Manager | None
) -> tuple[Change, ...]:
    changes: list[Change] = []
    for name in FIELDS:
        before = str(getattr(known, name)) if known else ""
        if name in said and said[name] != before:
            changes.append([name, before, str(said[name])])
    if any(change[0] == "email" for change in changes):
        _check_address(str(said["email"]), known, register)
    if manager and known and manager.pk == known.pk:
        raise _Wrong("Nobody is their own manager.")
    if manager and not (known and manager.pk and known.manager == manager.pk):
        changes.append(["manager", known.manager_name if known else "", manager.name])
    if known and not known.external_id:
        changes.append(["known by", "", str(said.get("id") or said.get("email"))])
    return tuple(changes)


def _check_address(email: str, known: Known | None, register: Register) -> None:
    holder = register.by_email(email)
    if holder and not holder.has_left and (known is None or holder.pk != known.pk):
        raise _Wrong(f"{holder.name} works here and has the address {email}.")


def _new(said: Said, today: Today) -> tuple[RowKind, tuple[Change, ...], tuple[str, ...]]:
    day = today(str(said.get("zone", "UTC")))
    facts = facts_of(said, joins=True)
    employment, last_day = employment_after(Employment.EMPLOYED, None, facts, day)
    if employment == Employment.LEFT:
        return RowKind.UNCHANGED, (), (_NEVER_KNOWN,)
    moved = (["last day", "", last_day.isoformat()],) if last_day else ()
    return RowKind.JOINS, moved, ()


_NEVER_KNOWN = "They left before Muster knew them, so nobody is taken up."


def _after(said: Said, known: Known, today: Today) -> tuple[Employment, date | None]:
    facts = facts_of(said, joins=known.has_left)
    day = today(str(said.get("zone", known.zone)))
    return employment_after(Employment(known.employment), known.last_day, facts, day)


def facts_of(said: Said, *, joins: bool) -> Facts:
    """What a row says of someone's employment. `joins`: they are not employed so far."""
    facts = Facts()
    if said.get("status") == reading.LEFT:
        facts["active"] = False
    elif joins and (said.get("status") in {reading.EMPLOYED, reading.LEAVING}):
        facts["active"] = True
    if "last_day" in said:
        facts["last_day"] = said["last_day"]
    return facts


def _employment(known: Known, employment: str, last_day: date | None) -> list[Change]:
    changes: list[Change] = []
    if employment != known.employment:
        changes.append(["employment", known.employment, str(employment)])
    if last_day != known.last_day:
        days = [day.isoformat() if day else "" for day in (known.last_day, last_day)]
        changes.append(["last day", *days])
    return changes


def _kind(
    known: Known, employment: Employment, moved: tuple[Change, ...], changes: tuple[Change, ...]
) -> RowKind:
    if known.has_left and employment != Employment.LEFT:
        return RowKind.RETURNS
    if not known.has_left and employment == Employment.LEFT:
        return RowKind.LEFT
    if moved and employment == Employment.LEAVING:
        return RowKind.LEAVING
    return RowKind.CHANGES if moved or changes else RowKind.UNCHANGED


# Leavers, so many at once that a person should stop


MOST_LEAVERS = 20
MOST_SHARE = 0.1
FEW = 3


def has_many_leavers(leavers: int, employed: int) -> bool:
    """Whether so many leave by a file that whoever applies it must type how many."""
    return leavers > MOST_LEAVERS or (leavers >= FEW and leavers > employed * MOST_SHARE)
