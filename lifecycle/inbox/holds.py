"""Holds in the inbox: actions of agents that wait for a human, one by one or alike ones as one."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.conf import settings
from django.contrib.postgres.aggregates import ArrayAgg
from django.db.models import BooleanField, Count, ExpressionWrapper, Min, Q, QuerySet
from django.db.models.expressions import Combinable

from authz import permissions, timekeeper
from authz.enums import HoldState
from authz.held import Held, open_holds
from authz.models import Hold
from governance import unseen
from governance.kernel.errors import NotFound
from governance.kernel.waiting import Waiting
from governance.words import money, number_word
from registry.enums import GroupName
from registry.models import Agent, Person, Tool
from registry.permissions import can, in_group

HOLD = "hold"
BATCH = "batch"
LOOKING = "to show a hold in the inbox"
BEFORE_DAYS = 90
# So many of a batch are opened and listed; the rest follows when these are answered.
MOST = 500

Facts = Mapping[str, Any]

_WHY = {
    "gate.amount": "above the amount that runs alone",
    "gate.amount_unknown": "the amount is not known",
    "gate.records_unknown": "how many records is not known",
    "gate.sum": "a sum that no longer runs alone",
    "gate.records": "many records at once",
    "gate.destructive": "destructive in production",
    "gate.grant": "grants permission",
    "gate.domain": "to a domain never used before",
    "gate.currency": "a currency without a rate",
    "quota.hour": "write quota of the hour used up",
}
_WHY_BY_CHECK = {
    "taint": "after untrusted input",
    "quota": "write quota used up",
    "gate": "needs a human's word",
}


@dataclass(frozen=True, slots=True)
class Row:
    """One parameter as Muster would send it. `main` are those that say what and how much."""

    name: str
    value: Any
    written: str
    kind: str
    main: bool = False

    @property
    def beginning(self) -> str:
        """What of the value is shown without unfolding it."""
        return unseen.beginning(self.written, characters=600, told=30)

    @property
    def short_name(self) -> str:
        """The name, which an agent may have chosen as well."""
        return unseen.beginning(self.name, characters=80, told=6)


def mine(person: Person) -> QuerySet[Hold]:
    """What waits and this person may approve; the rules of `check_can_approve_hold` at once."""
    return _open().filter(_is_mine(person))


def others(person: Person) -> QuerySet[Hold]:
    """What waits for others and this person may see here: their agents', and all for security."""
    return _open().filter(_is_seen(person) & ~_is_mine(person))


def _is_mine(person: Person) -> Q:
    groups = person.group_names
    sources = Tool.objects.filter(system__owner=person).values("name")
    named = Q(groups__overlap=sorted(groups - {GroupName.SOURCE_OWNER}))
    if GroupName.SOURCE_OWNER in groups:
        named |= Q(groups__contains=[GroupName.SOURCE_OWNER], tool__in=sources)
    barred = Q(barred__contains=[person.pid]) | Q(user=person.pid) | _answered_for(person)
    return named & Q(asked_of__contains=[person.pid]) & ~barred


def _is_seen(person: Person) -> Q:
    if in_group(person, GroupName.SECURITY):
        return ~Q(pk__in=[])
    return _answered_for(person) | Q(asked_of__contains=[person.pid])


def _open() -> QuerySet[Hold]:
    now = timekeeper.now()
    return Hold.objects.filter(state=HoldState.OPEN, overdue=False, expires_at__gt=now)


def _answered_for(person: Person) -> Q:
    theirs = Agent.objects.filter(Q(owner=person) | Q(backup_owner=person))
    return Q(agent__in=theirs.values("slug"))


def waiting_for(person: Person) -> list[Waiting]:
    """Holds as the queue lists them; alike ones of an agent are one entry."""
    if not person.may_act:
        return []
    own = _is_mine(person)
    told = ExpressionWrapper(own, output_field=BooleanField())
    rows = _grouped(_open().filter(own | _is_seen(person)), told)
    return [_waiting(row, "" if row["is_mine"] else "Others decide this.") for row in rows]


def _grouped(holds: QuerySet[Hold], told: Combinable) -> list[Facts]:
    rows = (
        holds.order_by()
        .values("agent", "shape", "tool", is_mine=told)
        .annotate(
            many=Count("pk"),
            ids=ArrayAgg("pk"),
            since=Min("made_at"),
            until=Min("expires_at"),
            code=Min("codes"),
        )
    )
    return [dict(row) for row in rows]


def _waiting(row: Facts, why_not: str) -> Waiting:
    many, agent = row["many"], row["agent"]
    single = many == 1
    refused = "it is" if single else f"all {many} are"
    return Waiting(
        key=f"{HOLD}:{row['ids'][0]}" if single else f"{BATCH}:{agent}:{row['shape']}",
        kind=HOLD if single else BATCH,
        title=f"{agent}: {row['tool']}" if single else f"{agent}: {many} × {row['tool']}",
        text=why_held(row["code"]),
        since=row["since"],
        expires_at=row["until"],
        on_expiry=f"Then {refused} refused, and the agent is told.",
        agent=agent,
        why_not=why_not,
    )


def why_held(codes: Sequence[str]) -> str:
    """The causes of a hold as words."""
    said = [_WHY.get(code) or _WHY_BY_CHECK.get(code.partition(".")[0], code) for code in codes]
    return ", ".join(dict.fromkeys(said))


# One


def one(name: str, person: Person, second_factor_at: datetime | None = None) -> dict[str, Any]:
    """Everything that is shown of one hold. Opening it is a reading, and recorded."""
    hold = seen_by(person).filter(pk=uuid_of(name)).first()
    if hold is None:
        raise NotFound()
    (held,) = open_holds([hold], by=person.pid, reason=LOOKING)
    tool = Tool.objects.select_related("system").filter(name=hold.tool).first()
    rows = rows_of(held.parameters, tool)
    return {
        "hold": hold,
        "held": held,
        "tool": tool,
        "rows": rows,
        "amount": next((row.written for row in rows if row.kind.startswith("money")), ""),
        "why_held": why_held(hold.codes),
        "before": before(hold),
        "votes": list(hold.votes.select_related("person")),
        "release_minutes": settings.MUSTER_RELEASE_MINUTES,
        "why_not": why_not_approve(hold, person),
        "why_not_reject": can(permissions.check_can_reject_hold, hold, person),
        "needs_second": needs_second(hold, person, second_factor_at),
        "second": hold.needs_second_factor,
        "editable": not hold.sealed and not held.fault,
    }


def seen_by(person: Person) -> QuerySet[Hold]:
    """What waits and this person sees, whoever decides it."""
    return mine(person) | others(person)


def uuid_of(name: str) -> UUID:
    """The id that a key names. `NotFound` where it is none."""
    try:
        return UUID(name)
    except ValueError as error:
        raise NotFound() from error


def why_not_approve(hold: Hold, person: Person) -> str:
    """The sentence for which this person may not approve; a missing second factor is no such."""
    now = timekeeper.now()
    return permissions.may_approve(hold, person, now, now)


def needs_second(hold: Hold, person: Person, at: datetime | None) -> bool:
    """Whether this person must prove themself again before they approve."""
    now = timekeeper.now()
    refused = bool(permissions.may_approve(hold, person, at, now))
    return refused and not why_not_approve(hold, person)


def rows_of(parameters: Facts, tool: Tool | None) -> list[Row]:
    """The parameters: how much and to whom first, the others by name."""
    first = _main_of(tool)
    currency = currency_of(parameters, tool)
    rows = [_row(name, value, tool, currency) for name, value in parameters.items()]
    return sorted(
        rows, key=lambda row: (first.index(row.name) if row.name in first else 9, row.name)
    )


def _main_of(tool: Tool | None) -> list[str]:
    if tool is None:
        return []
    named = (tool.amount_parameter, tool.recipient_parameter, tool.count_parameter)
    return [name for name in named if name]


def currency_of(parameters: Facts, tool: Tool | None) -> str:
    """The currency of a call's amount."""
    if tool is None:
        return ""
    said = parameters.get(tool.currency_parameter) if tool.currency_parameter else None
    return str(said) if said else tool.currency


def _row(name: str, value: Any, tool: Tool | None, currency: str) -> Row:
    main = name in _main_of(tool)
    if tool and name == tool.amount_parameter and is_minor(tool, name) and _is_whole(value):
        return Row(name, value, money(value, currency), f"money, {value} minor, {currency}", main)
    return Row(name, value, written(value), kind_of(value), main)


def is_minor(tool: Tool, name: str) -> bool:
    """Whether the schema says that this number counts minor units."""
    spec = (tool.schema.get("properties") or {}).get(name)
    return isinstance(spec, dict) and spec.get("x-muster-unit") == "minor"


def _is_whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def written(value: Any) -> str:
    """A value as it would be sent."""
    if isinstance(value, str):
        return value
    return json.dumps(value, ensure_ascii=False)


def kind_of(value: Any) -> str:
    """The type of a value, in a word."""
    if isinstance(value, str):
        return f"text, {len(value)}"
    words = ((bool, "yes or no"), (int | float, "number"), (Mapping, "object"), (list, "list"))
    return next((word for kind, word in words if isinstance(value, kind)), "nothing")


def before(hold: Hold) -> dict[str, Any]:
    """What became of holds of the same shape in the last months, and the newest refusals."""
    since = hold.made_at - timedelta(days=BEFORE_DAYS)
    alike = Hold.objects.filter(shape=hold.shape, decided_at__gte=since).exclude(pk=hold.pk)
    counted = Counter(alike.order_by().values_list("state", flat=True))
    refused = alike.filter(state=HoldState.REJECTED).order_by("-decided_at")[:3]
    return {
        "total": counted.total(),
        "said": ", ".join(f"{many} {state}" for state, many in sorted(counted.items())),
        "refused": list(refused),
        "days": BEFORE_DAYS,
    }


# Alike ones


def batch(name: str, person: Person) -> dict[str, Any]:
    """Alike holds of one agent: what is the same in all, what differs, and each of them."""
    agent, _, shape = name.partition(":")
    holds = list(seen_by(person).filter(agent=agent, shape=shape).order_by("made_at", "pk"))
    if not holds:
        raise NotFound()
    opened = open_holds(holds[:MOST], by=person.pid, reason=LOOKING)
    tool = Tool.objects.select_related("system").filter(name=holds[0].tool).first()
    same, differing = compared(opened)
    return {
        "holds": holds,
        "count": len(holds),
        "said": number_word(len(holds)),
        "more": max(0, len(holds) - MOST),
        "tool": tool,
        "same": rows_of(same, tool),
        "differing": differing,
        "opened": [(held, _cells(held, differing, tool)) for held in opened],
        "words": words_of(opened),
        "why_held": why_held(holds[0].codes),
        "until": min(hold.expires_at for hold in holds),
        "before": before(holds[0]),
        "why_not": why_not_approve(holds[0], person),
        "why_not_reject": can(permissions.check_can_reject_hold, holds[0], person),
        "second": holds[0].needs_second_factor,
    }


def compared(opened: Sequence[Held]) -> tuple[dict[str, Any], list[str]]:
    """The parameters that are the same in all, and the names of those that differ."""
    readable = [held.parameters for held in opened if not held.fault]
    if not readable:
        return {}, []
    names = sorted({name for each in readable for name in each})
    same = {
        name: readable[0][name]
        for name in names
        if all(name in each and each[name] == readable[0].get(name) for each in readable)
    }
    return same, [name for name in names if name not in same]


def _cells(held: Held, names: Sequence[str], tool: Tool | None) -> list[str]:
    rows = {row.name: row.written for row in rows_of(held.parameters, tool)}
    return [rows.get(name, "") for name in names]


def words_of(opened: Sequence[Held]) -> list[tuple[str, int]]:
    """What the agent said, each text once, with how often."""
    return Counter(held.reasoning for held in opened if held.reasoning).most_common(3)
