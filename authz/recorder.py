"""The one transaction in which decisions become facts.

`authz.decide_batch` compares the revisions that each request was judged by, appends what still
holds, and answers; only after its commit is anything told to a caller. Whatever goes wrong here
is `NotRecorded`: there is no decision then, neither yes nor no.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

import orjson
from django.db import Error, connection, transaction

from audit.sealing import receipts
from audit.sealing.receipts import Receipt
from audit.services import Row
from authz import timekeeper
from authz.counting import Count
from authz.errors import NotRecorded

STATEMENT = "SELECT authz.decide_batch(%s::jsonb)::text"
STATEMENT_TIMEOUT = "3s"
# In the place of stale facts: the caller's key stands for another question.
TAKEN = "taken"


@dataclass(frozen=True, slots=True)
class Judged:
    """One judged request on its way to the record. `now` is the time that it was judged at.

    `flow` raises its run (see `authz.runs`), `count` is what it counts against (see
    `authz.counting`), `sums` what it adds to under a gate, `observed` says that the caller goes on
    whatever is decided. `hold` is what waits where it ends as a hold, `approval` the release by
    which it may go on (see `authz.holding`). `retry` is the caller's key for asking again.
    """

    row: Row
    slices: Mapping[str, int]
    now: datetime | None
    flow: Mapping[str, Any] | None = None
    count: Count | None = None
    sums: Sequence[Mapping[str, Any]] = ()
    observed: bool = False
    hold: Mapping[str, Any] | None = None
    approval: Mapping[str, Any] | None = None
    retry: Mapping[str, str] | None = None


@dataclass(frozen=True, slots=True)
class Recorded:
    """A decision as it stands on the record; what it says may be narrower than what was judged.

    `stopped` says that its agent must be suspended now. There is no receipt where the past is told
    again.
    """

    id: UUID
    at: datetime
    effect: str
    check: str
    code: str
    settled: Mapping[str, Any] = field(default_factory=dict)
    stopped: bool = False
    receipt: Receipt | None = None


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


def read_answers(text: str, *, committed: bool = True) -> list[Recorded | Stale]:
    """What the batch function said, in the order of the requests, and its time taken over.

    What it recorded is signed for, all at once. Only what is committed may be: a receipt for an
    entry that is rolled back would prove a loss that never was.
    """
    answer = orjson.loads(text)
    timekeeper.observe(datetime.fromisoformat(answer["now"]))
    answers = answer["answers"]
    leaves = [each["leaf"] for each in answers if "leaf" in each]
    signed = iter(receipts.sign_batch(leaves, answer["now"]) if committed else [])
    return [_read(each, next(signed, None) if "leaf" in each else None) for each in answers]


def as_json(batch: Sequence[Judged]) -> str:
    """The argument of the batch function: every name of a slice or a counter once."""
    facts = _numbered(key for each in batch for key in each.slices)
    counters = _numbered(sorted({cell.key for each in batch if each.count for cell in each.count}))
    return orjson.dumps(
        {
            "facts": list(facts),
            "counters": list(counters),
            "requests": [_request(each, facts, counters) for each in batch],
        }
    ).decode()


def _numbered(names: Iterable[str]) -> dict[str, int]:
    """Each name and its place, as SQL counts."""
    return {name: place for place, name in enumerate(dict.fromkeys(names), 1)}


_PARTS = ("flow", "observed", "hold", "approval", "retry", "sums")


def _request(each: Judged, facts: Mapping[str, int], counters: Mapping[str, int]) -> dict[str, Any]:
    asked: dict[str, Any] = {
        "row": each.row,
        "slices": [facts[key] for key in each.slices],
        "revisions": list(each.slices.values()),
    }
    asked |= {name: value for name in _PARTS if (value := getattr(each, name))}
    if each.now:
        asked["now"] = each.now.isoformat()
    if each.count is not None:
        asked |= each.count.document(counters)
    return asked


def _read(answer: Mapping[str, Any], receipt: Receipt | None) -> Recorded | Stale:
    if "stale" in answer:
        return Stale(tuple(answer["stale"]))
    if answer.get("again") is False:
        return Stale((TAKEN,))
    return Recorded(
        id=UUID(answer["id"]),
        at=datetime.fromisoformat(answer["at"]),
        effect=answer["effect"],
        check=answer["check"],
        code=answer["code"],
        settled=answer["settled"],
        stopped="stopped" in answer,
        receipt=receipt,
    )
