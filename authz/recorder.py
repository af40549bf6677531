"""The one transaction in which decisions become facts.

`authz.decide_batch` compares the revisions that each request was judged by, appends what still
holds, and answers; only after its commit is anything told to a caller. Whatever goes wrong here
is `NotRecorded`: there is no decision then, neither yes nor no.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

import orjson
from django.db import Error, connection, transaction

from audit.services import Row
from authz import timekeeper
from authz.errors import NotRecorded

STATEMENT = "SELECT authz.decide_batch(%s::jsonb)::text"
STATEMENT_TIMEOUT = "3s"


@dataclass(frozen=True, slots=True)
class Judged:
    """One judged request on its way to the record. `now` is the time that it was judged at.

    `flow` raises its run, `rates` is what it counts against (see `authz.runs`), `observed` says
    that the caller goes on whatever is decided. `hold` is what waits where it ends as a hold,
    `approval` the release by which it may go on (see `authz.holding`).
    """

    row: Row
    slices: Mapping[str, int]
    now: datetime | None
    flow: Mapping[str, Any] | None = None
    rates: Mapping[str, Any] | None = None
    observed: bool = False
    hold: Mapping[str, Any] | None = None
    approval: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class Recorded:
    """A decision as it stands on the record; what it says may be narrower than what was judged."""

    id: UUID
    at: datetime
    effect: str
    check: str
    code: str
    settled: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Stale:
    """Judged by facts that have changed since; nothing was recorded."""

    keys: tuple[str, ...]


def record(batch: Sequence[Judged]) -> list[Recorded | Stale]:
    """Record a batch, all that is not stale or none, in a transaction of its own.

    It may not run inside another one: a decision that a later roll-back undoes would have been
    answered already. Raises `NotRecorded`.
    """
    try:
        with transaction.atomic(durable=True), connection.cursor() as cursor:
            cursor.execute("SELECT set_config('statement_timeout', %s, true)", [STATEMENT_TIMEOUT])
            cursor.execute(STATEMENT, [as_json(batch)])
            (text,) = cursor.fetchone()
    except Error as error:
        raise NotRecorded() from error
    answers = read_answers(text)
    if len(answers) != len(batch):
        raise NotRecorded()
    return answers


def read_answers(text: str) -> list[Recorded | Stale]:
    """What the batch function said, in the order of the requests, and its time taken over."""
    answer = orjson.loads(text)
    timekeeper.observe(datetime.fromisoformat(answer["now"]))
    return [_read(each) for each in answer["answers"]]


def as_json(batch: Sequence[Judged]) -> str:
    """The argument of the batch function."""
    return orjson.dumps(
        [
            {
                "row": each.row,
                "slices": dict(each.slices),
                **({"now": each.now.isoformat()} if each.now else {}),
                **({"flow": each.flow} if each.flow else {}),
                **({"rates": each.rates} if each.rates else {}),
                **({"observed": True} if each.observed else {}),
                **({"hold": each.hold} if each.hold else {}),
                **({"approval": each.approval} if each.approval else {}),
            }
            for each in batch
        ]
    ).decode()


def _read(answer: Mapping[str, Any]) -> Recorded | Stale:
    if "stale" in answer:
        return Stale(tuple(answer["stale"]))
    return Recorded(
        id=UUID(answer["id"]),
        at=datetime.fromisoformat(answer["at"]),
        effect=answer["effect"],
        check=answer["check"],
        code=answer["code"],
        settled=answer["settled"],
    )
