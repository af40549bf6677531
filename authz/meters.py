"""What decisions are counted and timed by. Labels have few values: never a name of anyone."""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter as Counting
from collections import deque
from collections.abc import Iterator
from typing import TypeVar

from prometheus_client import Counter, Histogram

from authz.engine.types import Decision
from governance.kernel.meters import REGISTRY

Taken = TypeVar("Taken")

NONE = "none"
OBSERVE = "observe"
BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)

DECISIONS = Counter(
    "muster_decisions",
    "Decisions on the record, by effect (or observe) and by the check that decided.",
    ["effect", "check"],
    registry=REGISTRY,
)
ANSWERS = Counter(
    "muster_decision_answers",
    "Answers to who asked for decisions, by HTTP status; 503 is one that was not recorded.",
    ["status"],
    registry=REGISTRY,
)
SECONDS = Histogram(
    "muster_decision_seconds",
    "From the whole question to its answer, recorded, in seconds.",
    buckets=BUCKETS,
    registry=REGISTRY,
)


# What happened since it was last written down. An append is all that a decision waits for: to
# write into a shared file takes a hundred times as long.
_decided: deque[tuple[str, str]] = deque()
_answered: deque[tuple[int, float]] = deque()
MOST_WAITING = 5_000


def count(decision: Decision) -> None:
    """One decision that stands on the record."""
    effect = decision.effect.value if decision.observe is None else OBSERVE
    _decided.append((effect, decision.check or NONE))
    if len(_decided) > MOST_WAITING:
        write_down()


def answered(status: int, seconds: float) -> None:
    """One answer, and how long the question waited for it."""
    _answered.append((status, seconds))
    if len(_answered) > MOST_WAITING:
        write_down()


def write_down() -> None:
    """Put what happened into the meters; before they are read, and every few seconds."""
    for (effect, check), many in Counting(_taken(_decided)).items():
        DECISIONS.labels(effect, check).inc(many)
    answers = list(_taken(_answered))
    for status, many in Counting(status for status, _ in answers).items():
        ANSWERS.labels(str(status)).inc(many)
    # As `observe` does for one: the bucket that it falls into, and the sum.
    for place, many in Counting(bisect_left(BUCKETS, took) for _, took in answers).items():
        SECONDS._buckets[place].inc(many)
    SECONDS._sum.inc(sum(took for _, took in answers))


def _taken(waiting: deque[Taken]) -> Iterator[Taken]:
    """Each once, whoever else takes at the same time."""
    while True:
        try:
            yield waiting.popleft()
        except IndexError:
            return
