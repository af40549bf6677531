"""What is not covered: tools without a policy, roles without a holder, rights without a use.

Every list comes from a fixed number of queries. What the record tells is looked for in the last
90 days at the most, and never further back than the record reaches: `since` says from when on.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TypeVar

from django.db.models import Exists, OuterRef

from audit import uses
from audit.errors import SearchTooSlow
from authz import slices
from authz.engine.policies import Statement, groups_of
from authz.engine.world import World, compile_world
from authz.enums import PolicyState
from authz.models import Policy, Role
from governance.kernel import clock
from registry.enums import AgentState
from registry.models import AllowlistEntry
from registry.reserved import TOOL

DAYS = 90
Row = TypeVar("Row")

LIVE = (AgentState.ACTIVE, AgentState.SUSPENDED)


@dataclass(frozen=True, slots=True)
class Ungoverned:
    """A tool that no policy governs: a role alone is enough. `agents` may call it."""

    tool: str
    system: str
    effect: str
    agents: int


@dataclass(frozen=True, slots=True)
class UnusedEntry:
    """An agent may call a tool, and no call of it was let through since."""

    agent: str
    tool: str


@dataclass(frozen=True, slots=True)
class UnusedGrant:
    """A role grants a tool, and none of those who hold it was let through with it since."""

    role: str
    tool: str
    holders: int


@dataclass(frozen=True, slots=True)
class Unfired:
    """A policy in force that had a part in no decision since."""

    slug: str
    version: int
    log_only: bool
    activated_at: datetime | None


@dataclass(frozen=True, slots=True)
class Ungranted:
    """An agent's row names a tool that no role of the agent grants: every call is refused."""

    agent: str
    tool: str
    granted_by: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Coverage:
    """What is not covered. `since` is when the record begins, at most 90 days ago.

    A part that the record could not tell in time is None: that is not known, and not nothing.
    """

    since: datetime
    reaches_back: bool
    recorded_from: datetime | None
    ungoverned: tuple[Ungoverned, ...]
    unheld: tuple[str, ...]
    unused_entries: tuple[UnusedEntry, ...] | None
    unused_grants: tuple[UnusedGrant, ...] | None
    unfired: tuple[Unfired, ...] | None
    ungranted: tuple[Ungranted, ...]

    @property
    def total(self) -> int:
        """How many things are worth a look."""
        return sum(
            len(part or ())
            for part in (
                self.ungoverned,
                self.unheld,
                self.unused_entries,
                self.unused_grants,
                self.unfired,
                self.ungranted,
            )
        )


def coverage(*, now: datetime | None = None) -> Coverage:
    """Everything that is not covered now."""
    now = now or clock.now()
    recorded_from = uses.reaches_back_to()
    wanted = now - timedelta(days=DAYS)
    since = max(wanted, recorded_from or now)
    (read,) = slices.read([slices.WORLD])
    world = compile_world(read.document or {})
    entries = list(
        AllowlistEntry.objects.filter(agent__state__in=LIVE)
        .order_by("agent__slug", "tool__name")
        .values_list("agent__slug", "tool__name")
    )
    return Coverage(
        since=since,
        reaches_back=recorded_from is not None and recorded_from <= wanted,
        recorded_from=recorded_from,
        ungoverned=_ungoverned(world, entries),
        unheld=_unheld(),
        unused_entries=_in_time(lambda: _unused_entries(entries, since)),
        unused_grants=_in_time(lambda: _unused_grants(since)),
        unfired=_in_time(lambda: _unfired(world, since)),
        ungranted=_ungranted(),
    )


def _in_time(found: Callable[[], tuple[Row, ...]]) -> tuple[Row, ...] | None:
    try:
        return found()
    except SearchTooSlow:
        return None


def _ungoverned(world: World, entries: Iterable[tuple[str, str]]) -> tuple[Ungoverned, ...]:
    callers: dict[str, int] = {}
    for _, tool in entries:
        callers[tool] = callers.get(tool, 0) + 1
    return tuple(
        Ungoverned(name, str(tool["system"]), str(tool["effect"]), callers.get(name, 0))
        for name, tool in sorted(world.tools.items())
        # An agent's own credentials are its own without a policy saying so.
        if name != TOOL and not world.policies.governs(name, groups_of(tool) | {name})
    )


def _unheld() -> tuple[str, ...]:
    roles = Role.objects.filter(agents__isnull=True, people__isnull=True)
    return tuple(roles.order_by("slug").values_list("slug", flat=True))


def _unused_entries(entries: Sequence[tuple[str, str]], since: datetime) -> tuple[UnusedEntry, ...]:
    used = uses.last_uses_by_agents(entries, since=since)
    return tuple(UnusedEntry(*entry) for entry in entries if entry not in used)


def _unused_grants(since: datetime) -> tuple[UnusedGrant, ...]:
    granted = Role.objects.exclude(tools=None).values_list("slug", "tools__name")
    agents = _holders("agents__slug")
    people = _holders("people__pid")
    grants = sorted(granted)
    by_agents = uses.last_uses_by_agents(_pairs(grants, agents), since=since)
    by_people = uses.last_uses_by_people(_pairs(grants, people), since=since)
    used = by_agents.keys() | by_people.keys()
    return tuple(
        UnusedGrant(role, tool, len(holders))
        for role, tool in grants
        if (holders := agents.get(role, set()) | people.get(role, set()))
        and not any((holder, tool) in used for holder in holders)
    )


def _holders(field: str) -> dict[str, set[str]]:
    held: dict[str, set[str]] = {}
    rows = Role.objects.exclude(**{field: None}).values_list("slug", field)
    for role, holder in rows:
        held.setdefault(role, set()).add(holder)
    return held


def _pairs(
    grants: Iterable[tuple[str, str]], holders: dict[str, set[str]]
) -> list[tuple[str, str]]:
    return sorted({(holder, tool) for role, tool in grants for holder in holders.get(role, ())})


def _unfired(world: World, since: datetime) -> tuple[Unfired, ...]:
    rows = Policy.objects.filter(state=PolicyState.ACTIVE).order_by("slug")
    concerned = _concerned(world)
    fired = uses.last_fired(concerned.items(), since=since)
    return tuple(
        Unfired(row.slug, row.version, row.log_only, row.activated_at)
        for row in rows
        if row.uid not in fired
    )


def _concerned(world: World) -> dict[str, list[str]]:
    """Every policy in force with the tools whose calls it can have a part in."""
    found: dict[str, set[str]] = {}
    for statement in world.policies.statements:
        found.setdefault(statement.policy, set()).update(_tools(world, statement))
    return {policy: sorted(tools) for policy, tools in found.items()}


def _tools(world: World, statement: Statement) -> Iterable[str]:
    if statement.actions is None:
        return world.tools
    return [
        name
        for name, tool in world.tools.items()
        if not statement.actions.isdisjoint(groups_of(tool) | {name})
    ]


def _ungranted() -> tuple[Ungranted, ...]:
    granting = Role.objects.filter(tools=OuterRef("tool"), agents=OuterRef("agent"))
    entries = (
        AllowlistEntry.objects.exclude(agent__state=AgentState.DECOMMISSIONED)
        .filter(~Exists(granting))
        .order_by("agent__slug", "tool__name")
        .values_list("agent__slug", "tool__name")
    )
    roles: dict[str, list[str]] = {}
    for role, tool in Role.objects.exclude(tools=None).values_list("slug", "tools__name"):
        roles.setdefault(tool, []).append(role)
    return tuple(
        Ungranted(agent, tool, tuple(sorted(roles.get(tool, ())))) for agent, tool in entries
    )
