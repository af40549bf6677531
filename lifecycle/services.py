"""Registration: from a filled-in form to an agent that is live."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.db import transaction

from authz import services as authorization
from authz.models import Role
from lifecycle.templates import attesting
from registry import services as register
from registry.identity import clients
from registry.identity.clients import Issued
from registry.models import Agent, Person, Tool, UnregisteredCaller

__all__ = [
    "Issued",
    "Relying",
    "attest_agent",
    "change_agent",
    "new_secret",
    "register_agent",
]


@dataclass(frozen=True)
class Relying:
    """Who relies on an agent, and is told before it ends."""

    people: Sequence[Person] = ()
    agents: Sequence[Agent] = ()


@transaction.atomic
def register_agent(
    *,
    by: Person,
    slug: str,
    facts: Mapping[str, Any],
    tools: Iterable[Tool],
    roles: Sequence[Role] = (),
    adopt: UnregisteredCaller | None = None,
    name: str = "",
    relying: Relying | None = None,
    owner: Person | None = None,
) -> Agent:
    """Draft an agent with its tools and roles, in one step: `by`'s own, unless they name an owner.

    `facts` are fields of the row. With `adopt` the draft is what an unregistered caller becomes.
    """
    name = name or slug.replace("-", " ").capitalize()
    if adopt:
        agent = register.adopt_caller(
            caller_id=adopt.pk,
            slug=slug,
            owner=owner or by,
            by=by,
            name=name,
            purpose=facts["purpose"],
        )
        register.update_agent(agent_id=agent.pk, by=by, **facts)
    else:
        agent = register.draft_agent(slug=slug, name=name, owner=owner or by, by=by, **facts)
    for tool in tools:
        register.set_allowlist_entry(agent_id=agent.pk, tool=tool, by=by)
    authorization.set_agent_roles(agent_id=agent.pk, roles=roles, by=by)
    _set_relying(agent.pk, relying, by)
    agent.refresh_from_db()
    return agent


@transaction.atomic
def change_agent(
    *,
    agent_id: int,
    by: Person,
    facts: Mapping[str, Any],
    tools: Iterable[Tool],
    roles: Sequence[Role],
    relying: Relying | None = None,
) -> int:
    """Save the form of an agent that is on the register.

    Tools that are no longer ticked are taken away at once; those that stay keep their narrowing.
    Returns how many changes wait for a second person.
    """
    saved = register.update_agent(agent_id=agent_id, by=by, **facts)
    proposed = len(saved.proposed)
    wanted = {tool.pk: tool for tool in tools}
    had = {entry.tool_id: entry.tool for entry in saved.row.allowlist.select_related("tool")}
    for gone in had.keys() - wanted.keys():
        register.remove_allowlist_entry(agent_id=agent_id, tool=had[gone], by=by)
    for new in sorted(wanted.keys() - had.keys()):
        added = register.set_allowlist_entry(agent_id=agent_id, tool=wanted[new], by=by)
        proposed += len(added.proposed)
    given = authorization.set_agent_roles(agent_id=agent_id, roles=roles, by=by)
    _set_relying(agent_id, relying, by)
    return proposed + len(given.proposed)


def _set_relying(agent_id: int, relying: Relying | None, by: Person) -> None:
    if relying is not None:
        register.set_dependents(
            agent_id=agent_id, people=relying.people, agents=relying.agents, by=by
        )


@transaction.atomic
def attest_agent(*, agent_id: int, by: Person, reach_digest: str = "") -> Issued:
    """The owner's word, or their template's: live, with its secret, in one step."""
    agent = attesting.attest(agent_id=agent_id, by=by, reach_digest=reach_digest)
    return new_secret(agent_id=agent.pk, by=by)


@transaction.atomic
def new_secret(*, agent_id: int, by: Person) -> Issued:
    """A secret for an active agent: its first, or one that ends what the last one opened."""
    return clients.new_secret(agent=Agent.objects.get(pk=agent_id), by=by)
