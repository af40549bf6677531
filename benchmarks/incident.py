"""How long the page of an incident takes, from each kind of handle, on a record that is filled.

`./muster bench trail` asks for it after the trail, in the same process, which has the web's rights.
Handles come from entries all over the record, and from those that are most frequent in it: the
busiest agents, users, tools, resources and systems, of a day, of a month, and of all that there is.
Each page is made as a browser asks for it, to the last byte. The first page of all loads templates
and code and is left out.
"""

from __future__ import annotations

import math
import time
import warnings
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import uuid4

from django.conf import settings
from django.contrib.auth.models import Group
from django.test import Client
from django.test.utils import override_settings

from audit.incident import ALWAYS, Span, Subject, edges, window
from audit.models import Record
from audit.selectors import AuditScope
from benchmarks import processor
from compliance.incident.pages import query
from registry.enums import GroupName
from registry.models import Agent, Person, System, Tool

LIMIT_MS = 1000
SAMPLES = 40
# The most frequent are told from so many entries, and so many of each column are asked for.
SAMPLED, BUSIEST = 400, 6
AGENTS_OF_AN_OWNER = 30
DAY, MONTH = timedelta(days=1), timedelta(days=30)
HEADS = (
    f"{'handle':<34}{'pages':>6}{'entries':>9}{'p50 ms':>9}{'p95 ms':>9}{'most ms':>9}{'cpu ms':>8}"
)
# What stands once in the line of each entry.
_ENTRY = b'<td class="c-main nowrap">'
_EVERYTHING = AuditScope(everything=True)
_NAMED = {
    "agent": "an agent",
    "user": "a user",
    "tool": "a tool",
    "resource": "a resource",
    "session": "a run",
}
_FREQUENT = ("agent", "user", "tool", "resource")
Asked = dict[str, list[str]]


@dataclass(frozen=True, slots=True)
class Row:
    """One kind of handle: how many entries a page had at most, and how long it took."""

    question: str
    pages: int
    entries: int
    milliseconds: tuple[float, ...]
    processor: float

    def at(self, share: float) -> float:
        """The time under which this share of the pages stayed."""
        ordered = sorted(self.milliseconds)
        return round(ordered[max(math.ceil(share * len(ordered)) - 1, 0)], 1)

    @property
    def kept(self) -> bool:
        return self.at(0.95) < LIMIT_MS

    def __str__(self) -> str:
        times = "".join(f"{self.at(share):>9.1f}" for share in (0.5, 0.95, 1))
        counts = f"{self.question:<34}{self.pages:>6}{self.entries:>9,}"
        return f"{counts}{times}{self.processor:>8.0f}"


def measure(samples: int = SAMPLES) -> Iterator[Row]:
    """Each kind of handle, with and without a span, and all together. The record must hold some."""
    # No static files were collected for a process that serves nobody.
    plain = {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"}
    storages = {**settings.STORAGES, "staticfiles": plain}
    warnings.filterwarnings("ignore", "No directory at")
    with override_settings(ALLOWED_HOSTS=["testserver"], STORAGES=storages):
        _register()
        auditor, owner = _reader(GroupName.AUDITOR), _reader()
        _give(owner)
        rows: list[Row] = []
        for who, asked in ((auditor, _asked(samples)), (owner, _of_owner(samples))):
            for row in _rows(_signed_in(who), asked):
                rows.append(row)
                yield row
        yield together(rows)


def together(rows: Sequence[Row]) -> Row:
    """All pages of these rows as one."""
    pages = sum(row.pages for row in rows)
    return Row(
        "all",
        pages,
        max(row.entries for row in rows),
        tuple(each for row in rows for each in row.milliseconds),
        sum(row.processor * row.pages for row in rows) / pages,
    )


# Which pages


def _asked(samples: int) -> Asked:
    """What an auditor asks for: entries all over the record, then what is most frequent in it."""
    whole = edges(Subject(), scope=_EVERYTHING)
    if whole is None or whole.since is None or whole.until is None:
        raise RuntimeError("Nothing is recorded. Fill the record first.")
    records = list(_spread(samples, whole.since, whole.until))
    kinds: Asked = {
        "a record": [query(f"record:{one.id}", ALWAYS) for one in records],
        **{f"{_NAMED[name]}, last day": _of(name, records) for name in _NAMED},
        **{f"{_NAMED[name]}, a day back then": _of(name, records, DAY) for name in _NAMED},
        "everything of a day": [query("everything", _until(one, DAY)) for one in records],
    }
    busy = _busiest(list(_spread(SAMPLED, whole.since, whole.until)))
    for name, keys in busy.items():
        kinds[f"busiest {name}s, last day"] = [query(key, ALWAYS) for key in keys]
        kinds[f"busiest {name}s, a month"] = [
            query(key, _until(one, MONTH)) for key in keys for one in records[::6]
        ]
        kinds[f"busiest {name}s, all of it"] = [query(key, whole) for key in keys]
    return kinds


def _of_owner(samples: int) -> Asked:
    """What someone asks for who sees some agents alone."""
    whole = edges(Subject(), scope=_EVERYTHING) or ALWAYS
    agents = [f"agent-{number * number}" for number in range(AGENTS_OF_AN_OWNER)]
    records = [
        record
        for agent in agents[:samples]
        for record in window(Subject("agent", (agent,)), ALWAYS, scope=_EVERYTHING, most=1).records
    ]
    busy = _busiest(records)
    return {
        "an owner: a record": [query(f"record:{one.id}", ALWAYS) for one in records],
        **{
            f"an owner: {_NAMED[name]}, a day": _of(name, records, DAY)
            for name in ("agent", "user", "resource", "session")
        },
        "an owner: systems, all of it": [query(key, whole) for key in busy["system"]],
        "an owner: everything of a day": [query("everything", _until(one, DAY)) for one in records],
    }


def _spread(samples: int, since: datetime, until: datetime) -> Iterator[Record]:
    """Entries at even distances over the whole record."""
    for number in range(samples):
        end = Span(None, since + (until - since) * (number + 1) / samples)
        yield from window(Subject(), end, scope=_EVERYTHING, most=1).records


def _of(column: str, records: Sequence[Record], wide: timedelta | None = None) -> list[str]:
    found = {
        str(getattr(one, column)): _until(one, wide) if wide else ALWAYS for one in records
    }  # fmt: skip
    return [query(f"{column}:{value}", span) for value, span in found.items() if value]


def _until(record: Record, wide: timedelta) -> Span:
    return Span(record.at - wide, record.at)


def _busiest(records: Sequence[Record]) -> dict[str, list[str]]:
    """The handles that come most often among these entries; systems by their tools."""
    found = {
        column: Counter(str(getattr(one, column)) for one in records) for column in _FREQUENT
    }  # fmt: skip
    found["system"] = Counter(
        f"system-{tool[6:]}" for one in records if (tool := one.tool.partition(".")[0])
    )
    for counted in found.values():
        counted.pop("", None)
    return {
        name: [f"{name}:{value}" for value, _ in counted.most_common(BUSIEST)]
        for name, counted in found.items()
    }


# Who asks, and what there is to be asked about


def _reader(*groups: GroupName) -> Person:
    person = Person.objects.create_user(email=f"bench-{uuid4().hex[:12]}@example.org", name="Bench")
    person.groups.add(*(Group.objects.get_or_create(name=name)[0] for name in groups))
    return person


def _signed_in(person: Person) -> Client:
    client = Client()
    client.force_login(person)
    return client


def _register() -> None:
    """The systems and tools of `benchmarks/trail_fill.py`, where they are not there yet."""
    System.objects.bulk_create(
        (System(slug=f"system-{n}", name=f"System {n}", country="IE") for n in range(40)),
        ignore_conflicts=True,
    )
    systems = {each.slug: each for each in System.objects.all()}
    Tool.objects.bulk_create(
        (
            Tool(name=f"system{n % 40}.do_{n}", system=systems[f"system-{n % 40}"], effect="read")
            for n in range(400)
        ),
        ignore_conflicts=True,
    )


def _give(owner: Person) -> None:
    """Thirty of the agents, the busiest among them."""
    slugs = [f"agent-{number * number}" for number in range(AGENTS_OF_AN_OWNER)]
    Agent.objects.bulk_create(
        (Agent(slug=slug, name=slug, purpose="Is measured.", owner=owner) for slug in slugs),
        ignore_conflicts=True,
    )
    Agent.objects.filter(slug__in=slugs).update(owner=owner)


# How long


def _rows(client: Client, asked: Asked) -> Iterator[Row]:
    for name, each in asked.items():
        if each:
            _page(client, each[0])
            yield _measured(client, name, each)


def _measured(client: Client, name: str, asked: Sequence[str]) -> Row:
    times, most, before = [], 0, processor.milliseconds()
    for each in asked:
        began = time.perf_counter()
        page = _page(client, each)
        times.append((time.perf_counter() - began) * 1000)
        most = max(most, page.count(_ENTRY))
    used = (processor.milliseconds() - before) / len(asked)
    return Row(name, len(times), most, tuple(times), used)


def _page(client: Client, asked: str) -> bytes:
    answer = client.get(f"/incident/?{asked}", secure=True)
    if answer.status_code != 200:
        raise RuntimeError(f"{asked} was answered {answer.status_code}.")
    return answer.content
