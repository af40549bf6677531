"""Worlds in which grants are over, near their end or used for the first time (promise 22)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from authz.decide import decide
from authz.models import Grant
from lifecycle.models import Notice
from registry.models import Person
from tests.factories.grants import Acting, acting_desk, given, given_before

DUE = 3
Kept = Callable[[], Any]


def _people(acting: Acting) -> list[Person]:
    return [acting.person(zone="UTC") for _ in range(DUE)]


def _told(people: list[Person], code: str) -> int:
    return Notice.objects.filter(person__in=people, code=code).count()


def over() -> Kept:
    """Three grants whose time was over a day ago."""
    acting = acting_desk()
    people = _people(acting)
    for person in people:
        given_before(acting, person, days=90, left=-1)
    mine = Grant.objects.filter(person__in=people)
    return lambda: (
        sorted(mine.values_list("end_cause", flat=True)),
        _told(people, "grant.ended"),
    )


def near() -> Kept:
    """Three grants that end in five days."""
    acting = acting_desk()
    people = _people(acting)
    for person in people:
        given_before(acting, person, days=85, left=5)
    return lambda: _told(people, "grant.near")


def used() -> Kept:
    """Three grants of which an agent has made use, twice each."""
    acting = acting_desk()
    people = _people(acting)
    for person in people:
        given(acting, person)
        decide([acting.ask_read(person), acting.ask(person)], acting.desk.caller)
    return lambda: _told(people, "grant.used")


RECORDING = {"before": "audit.services.record"}
RECORDED = {"after": "audit.services.record"}
WORLDS: dict[str, dict[str, Any]] = {
    "grants": {
        "make": over,
        "after": (["expired"] * DUE, DUE),
        "faults": [
            RECORDING,
            RECORDED,
            {"before": "authz.services.grants.expire_grants"},
            {"after": "authz.services.grants.expire_grants"},
        ],
        "told": ("access", "grant_ended", DUE),
    },
    "grants/near": {"make": near, "after": DUE},
    "grants/used": {"make": used, "after": DUE, "commits": True},
}
