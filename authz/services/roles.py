"""Roles: what they grant, and who holds them.

A grant is a tool that someone gets through a role. Taking grants away takes effect at once; what
gives someone more than they had waits for a second person.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from django.db import models, transaction

from authz import permissions
from authz.models import Role
from authz.services.policies import check_name
from authz.services.recording import record
from authz.signals import role_changed
from governance.kernel.errors import Invalid
from registry import changes
from registry.enums import AgentState
from registry.models import Agent, Person, ProposedChange, Tool
from registry.services.saving import Saved, check_alone, found, keep, locked
from registry.signals import row_changed

GRANTS_KIND = "role.grants"
HOLDING_KIND = "agent.roles"
# Agents in these states get nothing from a role yet: their review looks at it.
NOT_LIVE = frozenset({AgentState.DRAFT, AgentState.IN_REVIEW})

# A role's three sets, and by what their members are named.
_NAMES = {"tools": "name", "agents": "slug", "people": "pid"}
_SINGULAR = {"tools": "tool", "agents": "agent", "people": "person"}

Members = Mapping[str, set[str]]


@transaction.atomic
def save_role(
    *,
    slug: str,
    by: Person,
    alone: bool = False,
    description: str | None = None,
    tools: Iterable[Tool] | None = None,
    agents: Iterable[Agent] | None = None,
    people: Iterable[Person] | None = None,
) -> Saved[Role]:
    """Create or change a role. Sets that are given are the whole wanted sets."""
    permissions.check_can_change_roles(by)
    check_alone(alone)
    check_name(slug)
    role = found(Role, "role", slug=slug)
    created = role is None
    role = _described(role or Role(slug=slug), description, by)
    given = {"tools": tools, "agents": agents, "people": people}
    wanted = {name: _named(name, rows) for name, rows in given.items() if rows is not None}
    return _changed(role, wanted, by, created=created, alone=alone)


@transaction.atomic
def change_role(
    *,
    slug: str,
    by: Person,
    add: Mapping[str, Iterable[str]] | None = None,
    remove: Mapping[str, Iterable[str]] | None = None,
) -> Saved[Role]:
    """Add to a role's `tools` (names), `agents` (slugs) and `people` (pids), or take away.

    Starts from what the role has now, so that two people who change it do not undo each other.
    """
    permissions.check_can_change_roles(by)
    role = locked(Role, "role", slug=slug)
    had = _members(role)
    wanted = {
        name: (had[name] | _known(role, name, (add or {}).get(name, ())))
        - set((remove or {}).get(name, ()))
        for name in {*(add or {}), *(remove or {})}
    }
    return _changed(role, wanted, by)


def _known(role: Role, name: str, names: Iterable[str]) -> set[str]:
    wanted = set(names)
    known = set(_rows(role, name, wanted).values_list(_NAMES[name], flat=True))
    if missing := sorted(wanted - known):
        sentence = f"There is no {_SINGULAR[name]} {', '.join(missing)[:120]}. Correct the name."
        raise Invalid(sentence, fields={name: [sentence]})
    return known


def _changed(
    role: Role, wanted: Members, by: Person, *, created: bool = False, alone: bool = False
) -> Saved[Role]:
    """Take away at once, add what gives nobody more, and propose the rest."""
    had = _members(role)
    removed = {name: had[name] - names for name, names in wanted.items() if had[name] - names}
    added = {name: names - had[name] for name, names in wanted.items() if names - had[name]}
    _remove(role, removed)
    waiting = {} if alone else _widening(role, added)
    at_once = {name: names for name, names in added.items() if name not in waiting}
    _add(role, at_once)
    if created or removed or at_once:
        record(
            "role_created" if created else "role_changed",
            by=by,
            resource=f"role:{role.slug}",
            told={"added": _plain(at_once), "removed": _plain(removed)},
        )
        role_changed.send(sender=Role, role=role, by=by)
    return Saved(
        role,
        created=created,
        changed=tuple(sorted({*removed, *at_once})),
        proposed=(_propose(role, waiting, by),) if waiting else (),
    )


def _described(role: Role, description: str | None, by: Person) -> Role:
    if role.pk is None or (description is not None and description != role.description):
        role.description = description or ""
        keep(role, by)
    return role


def _named(name: str, rows: Iterable[models.Model]) -> set[str]:
    return {str(getattr(row, _NAMES[name])) for row in rows}


def _members(role: Role) -> dict[str, set[str]]:
    return {
        name: set(getattr(role, name).values_list(field, flat=True))
        for name, field in _NAMES.items()
    }


def _rows(role: Role, name: str, names: Iterable[str]) -> models.QuerySet[Any]:
    model = getattr(role, name).model
    rows: models.QuerySet[Any] = model.objects.filter(**{f"{_NAMES[name]}__in": list(names)})
    return rows


def _add(role: Role, added: Members) -> None:
    for name, names in added.items():
        getattr(role, name).add(*_rows(role, name, names))


def _remove(role: Role, removed: Members) -> None:
    for name, names in removed.items():
        getattr(role, name).remove(*_rows(role, name, names))


def _widening(role: Role, added: Members) -> dict[str, set[str]]:
    """Of what is added, the sets by which someone would get more than they have."""
    now = _members(role)
    widens = {
        "tools": bool(now["people"]) or _are_live(now["agents"]),
        "people": bool(now["tools"] or added.get("tools")),
        "agents": bool(now["tools"] or added.get("tools"))
        and _are_live(added.get("agents", set())),
    }
    return {name: names for name, names in added.items() if widens[name]}


def _are_live(slugs: Iterable[str]) -> bool:
    return Agent.objects.filter(slug__in=list(slugs)).exclude(state__in=NOT_LIVE).exists()


def _plain(members: Members) -> dict[str, list[str]]:
    return {name: sorted(names) for name, names in members.items()}


def _propose(role: Role, waiting: Members, by: Person) -> ProposedChange:
    counted = ", ".join(f"{len(names)} {name}" for name, names in sorted(waiting.items()))
    return changes.propose(
        kind=GRANTS_KIND,
        target=role.slug,
        summary=f"{role.slug}: {counted} more",
        before=_plain(_members(role)),
        after=_plain(waiting),
        by=by,
    )


def apply_grants(change: ProposedChange, by: Person) -> None:
    """Add what was agreed to. What is gone from the register meanwhile stays gone."""
    role = locked(Role, "role", slug=change.target)
    added = {name: set(names) for name, names in change.after.items()}
    _add(role, added)
    record(
        "role_changed",
        by=by,
        resource=f"role:{role.slug}",
        told={"added": _plain(added), "removed": {}, "proposed_by": change.proposed_by.pid},
    )
    role_changed.send(sender=Role, role=role, by=by)


def interested_in_grants(change: ProposedChange) -> set[str]:
    """Who would get more: those people, and the owners of those agents."""
    role = Role.objects.filter(slug=change.target).first()
    agents = {*change.after.get("agents", ()), *change.before.get("agents", ())}
    owners = set(Agent.objects.filter(slug__in=agents).values_list("owner__pid", flat=True))
    people = set(change.after.get("people", ()))
    if "tools" in change.after and role is not None:
        people |= set(role.people.values_list("pid", flat=True))
    return owners | people


@transaction.atomic
def set_agent_roles(
    *, agent_id: int, roles: Iterable[Role], by: Person, alone: bool = False
) -> Saved[Agent]:
    """Have an agent hold exactly these roles.

    While it is not live its review will look at them, so they are its at once. Afterwards more
    roles wait for security.
    """
    check_alone(alone)
    agent = locked(Agent, "agent", pk=agent_id)
    permissions.check_can_change_roles_of(agent, by)
    wanted, had = {role.slug for role in roles}, _roles_of(agent)
    added, removed = wanted - had, had - wanted
    at_once = added if alone or agent.state in NOT_LIVE else set()
    _hold(agent, added=at_once, removed=removed, by=by)
    waiting = added - at_once
    return Saved(
        agent,
        changed=("roles",) if at_once or removed else (),
        proposed=(_propose_holding(agent, waiting, by),) if waiting else (),
    )


def facts_for_review(agent: Agent) -> dict[str, list[str]]:
    """What whoever signs an agent reads besides its row."""
    return {"roles": sorted(_roles_of(agent))}


def _roles_of(agent: Agent) -> set[str]:
    return set(Role.objects.filter(agents=agent).values_list("slug", flat=True))


def _hold(agent: Agent, *, added: set[str], removed: set[str], by: Person) -> None:
    for role in Role.objects.filter(slug__in=added):
        role.agents.add(agent)
    for role in Role.objects.filter(slug__in=removed):
        role.agents.remove(agent)
    if added or removed:
        record(
            "agent_roles_changed",
            by=by,
            agent=agent.slug,
            told={"added": sorted(added), "removed": sorted(removed)},
        )
        row_changed.send(sender=Agent, agent=agent, changed=("roles",), by=by)


def _propose_holding(agent: Agent, waiting: set[str], by: Person) -> ProposedChange:
    return changes.propose(
        kind=HOLDING_KIND,
        target=agent.slug,
        agent=agent.slug,
        summary=f"{agent.slug}: roles {', '.join(sorted(waiting))}",
        before={"roles": sorted(_roles_of(agent))},
        after={"roles": sorted(waiting)},
        by=by,
    )


def apply_holding(change: ProposedChange, by: Person) -> None:
    """Give an agent the roles that were agreed to."""
    agent = locked(Agent, "agent", slug=change.target)
    _hold(agent, added=set(change.after["roles"]) - _roles_of(agent), removed=set(), by=by)


def interested_in_holding(change: ProposedChange) -> set[str]:
    """The agent's owner and whoever stands in for them."""
    agents = Agent.objects.filter(slug=change.target)
    pids = agents.values_list("owner__pid", "backup_owner__pid")
    return {pid for pair in pids for pid in pair if pid}
