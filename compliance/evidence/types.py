"""What a query answers: figures, exceptions one by one, samples. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import TYPE_CHECKING
from uuid import UUID

if TYPE_CHECKING:
    from compliance.evidence.look import Look

Cell = str | int | float | None
# One of what is counted, where it is not the same word without its last letter.
ONE = {
    "agents and callers": "agent or caller",
    "agents that touch personal data": "agent that touches personal data",
    "ends of agents": "end of an agent",
    "entries": "entry",
    "flows of personal data": "flow of personal data",
    "keys of live agents": "key of a live agent",
    "live agents and signatures": "live agent or signature",
    "live agents that are watched": "live agent that is watched",
    "live agents that touch personal data": "live agent that touches personal data",
    "live agents whose data asks for it": "live agent whose data asks for it",
    "policies in force": "policy in force",
    "questions about a leaver's agent": "question about a leaver's agent",
    "systems that agents reach": "system that agents reach",
    "tools that live agents may call": "tool that live agents may call",
}


@dataclass(frozen=True, slots=True)
class Figure:
    """One number. `link` is where its rows are; without one they are the query's own rows."""

    key: str
    label: str
    value: int | float | None
    unit: str = ""
    link: str = ""


@dataclass(frozen=True, slots=True)
class Exceptional:
    """One thing that is not as the control asks, and what to do about it."""

    what: str
    agent: str = ""
    since: datetime | date | None = None
    until: datetime | date | None = None
    calls: int | None = None
    record: UUID | str = ""
    link: str = ""


@dataclass(frozen=True, slots=True)
class Sampled:
    """One entry of the record that was looked at, and whether it is as it was written."""

    record: str
    at: datetime
    kind: str
    agent: str
    tool: str
    effect: str
    check: str
    leaf: str
    whole: bool


@dataclass(frozen=True, slots=True)
class Evidence:
    """The answer of one query.

    `about` is how many things were looked at, `of` what they are; 0 means that there was nothing
    to look at, and `none` says so in a sentence.
    """

    about: int
    of: str
    none: str
    figures: Sequence[Figure] = ()
    exceptions: Sequence[Exceptional] = ()
    sample: Sequence[Sampled] = ()

    @property
    def looked_at(self) -> str:
        """How many things were looked at, in words."""
        one = ONE.get(self.of, self.of.removesuffix("s"))
        return f"{self.about:,} {one if self.about == 1 else self.of}"


Ask = Callable[..., Evidence]


@dataclass(frozen=True, slots=True)
class Query:
    """A named question. `version` rises with every change of what its figures mean.

    `annex` is where the rows behind its figures are listed.
    """

    id: str
    version: int
    title: str
    asks: Ask
    annex: str = ""
    takes: frozenset[str] = frozenset()


_queries: dict[str, Query] = {}


def query(
    query_id: str, *, title: str, version: int = 1, annex: str = "", takes: Sequence[str] = ()
) -> Callable[[Ask], Ask]:
    """Make a function a query under a name of its own."""

    def register(asks: Ask) -> Ask:
        if query_id in _queries and _queries[query_id].asks.__module__ != asks.__module__:
            raise LookupError(f"there are two queries {query_id}")
        _queries[query_id] = Query(query_id, version, title, asks, annex, frozenset(takes))
        return asks

    return register


def queries() -> Mapping[str, Query]:
    """Every query by its name."""
    return dict(_queries)


@dataclass(frozen=True, slots=True)
class Table:
    """One annex: rows of plain cells, the same ones in the same order whenever it is asked."""

    name: str
    title: str
    note: str
    columns: Sequence[str]
    rows: Callable[[Look], Iterator[Sequence[Cell]]]
