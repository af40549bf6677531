"""Reads about people: the register as a file meets it, where someone is known from, lists."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, datetime

from django.db.models import Case, F, QuerySet, When

from governance.kernel import business_days, clock
from lifecycle.models import ImportRow, RowKind
from lifecycle.people.planning import Known
from registry.enums import Employment
from registry.models import ExternalIdentity, Person

_COLUMNS = (
    "pk", "name", "email", "department", "zone", "manager", "manager_name", "employment",
    "last_day",
)  # fmt: skip

FIRST_SHOWN = (
    RowKind.WRONG,
    RowKind.LEFT,
    RowKind.RETURNS,
    RowKind.LEAVING,
    RowKind.JOINS,
    RowKind.CHANGES,
    RowKind.MISSING,
    RowKind.UNCHANGED,
)


def to_look_at(rows: QuerySet[ImportRow]) -> QuerySet[ImportRow]:
    """What a person must look at first; nobody who stays as they are."""
    weight = Case(*(When(kind=kind, then=at) for at, kind in enumerate(FIRST_SHOWN)))
    return rows.exclude(kind=RowKind.UNCHANGED).order_by(weight, "line", "place")


def today_in(zone: str) -> date:
    """Which day it is there now."""
    return business_days.date_in(zone, clock.now())


def _known(rows: QuerySet[Person], source: str) -> Iterator[Known]:
    told = list(rows.annotate(manager_name=F("manager__name")).values(*_COLUMNS))
    named = ExternalIdentity.objects.filter(source=source, person__in=[each["pk"] for each in told])
    ids = dict(named.order_by("-pk").values_list("person_id", "external_id"))
    for each in told:
        each["manager_name"] = each["manager_name"] or ""
        yield Known(**each, external_id=ids.get(each["pk"], ""))


class WholeRegister:
    """Everyone at once, for a whole file: two queries, however many rows there are."""

    def __init__(self, source: str) -> None:
        self._by_pk = {each.pk: each for each in _known(Person.objects.all(), source)}
        self._by_email = {each.email.lower(): each for each in self._by_pk.values()}
        rows = ExternalIdentity.objects.filter(source=source)
        self._by_id = dict(rows.values_list("external_id", "person_id"))

    def by_id(self, external_id: str) -> Known | None:
        return self._by_pk.get(self._by_id.get(external_id, 0))

    def by_email(self, email: str) -> Known | None:
        return self._by_email.get(email.lower())

    def by_pk(self, pk: int) -> Known | None:
        return self._by_pk.get(pk)

    def named(self) -> list[Known]:
        """Whom this source named before."""
        return [each for each in self._by_pk.values() if each.external_id]

    @property
    def employed(self) -> int:
        """How many work here."""
        return sum(not each.has_left for each in self._by_pk.values())


class RegisterNow:
    """The register at this moment, for one row."""

    def __init__(self, source: str) -> None:
        self.source = source

    def by_id(self, external_id: str) -> Known | None:
        return self._one(identities__source=self.source, identities__external_id=external_id)

    def by_email(self, email: str) -> Known | None:
        return self._one(email__iexact=email)

    def by_pk(self, pk: int) -> Known | None:
        return self._one(pk=pk)

    def _one(self, **lookup: object) -> Known | None:
        return next(_known(Person.objects.filter(**lookup), self.source), None)


def last_day_over(now: datetime) -> list[str]:
    """Who is leaving, and whose last day is over where they are; the earliest first."""
    rows = Person.objects.filter(employment=Employment.LEAVING).order_by("last_day", "pk")
    told = rows.values_list("pid", "last_day", "zone")
    return [pid for pid, day, zone in told if is_over(day, zone, now)]


def is_over(last_day: date | None, zone: str, now: datetime) -> bool:
    """Whether this day has ended in that zone."""
    return last_day is not None and last_day < business_days.date_in(zone, now)
