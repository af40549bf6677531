"""An agent that somebody lets act for them, and one to which it hands over."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from authz.models import Delegation, Grant, Role
from authz.services import grants
from authz.services.delegations import HandOver, delegate
from registry.enums import IdentityPattern
from registry.models import Agent, AllowlistEntry, Person
from tests.factories.authz import Desk, declare, make_desk, make_person, make_system, make_tool


@dataclass(frozen=True)
class Acting:
    """A desk whose agent acts for `user`, who may do more than it."""

    desk: Desk
    user: Person
    grant: Grant


def acts_for_somebody(**user: Any) -> Acting:
    """The user's roles grant the desk's tool and another one, which the agent's row lacks."""
    desk = make_desk(agent_fields={"pattern": IdentityPattern.HYBRID})
    person = make_person(**user)
    desk.role.people.add(person)
    more = Role.objects.create(slug=f"more-than-{desk.agent.slug}")
    more.tools.add(make_tool(make_system()))
    more.people.add(person)
    return Acting(desk, person, let_act(desk, person))


def let_act(desk: Desk, person: Person) -> Grant:
    """This person's grant to the desk's agent, for its one tool."""
    return grants.give_grant(agent_id=desk.agent.pk, tools={desk.tool.name: {}}, by=person)


def another_for(desk: Desk, **fields: Any) -> Desk:
    """Another desk, whose agent may call the first one's tool as well."""
    other = make_desk(agent_fields=fields)
    AllowlistEntry.objects.create(agent=other.agent, tool=desk.tool)
    desk.role.agents.add(other.agent)
    return other


def hands_over(giver: Desk, receiver: Agent, tool: str, **more: Any) -> Delegation:
    """The giver hands this tool over, as itself or for a user."""
    declare(giver.agent, receiver)
    return delegate(caller=giver.caller, wanted=HandOver(receiver.slug, {tool: {}}, **more))
