"""People who let an agent act for them, and the agent that does."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from authz.asks import Ask
from authz.enums import GrantWay
from authz.models import Grant, Role
from authz.services.grants import give_grant
from governance.kernel import clock
from registry.enums import IdentityPattern
from registry.models import AllowlistEntry, Person, Tool
from tests.factories.authz import Desk, make_desk, make_person, make_tool


@dataclass(frozen=True)
class Acting:
    """An agent that acts for people: `refund` and `read` are its tools, `own` is theirs alone."""

    desk: Desk
    read: Tool
    own: Tool

    @property
    def refund(self) -> Tool:
        return self.desk.tool

    def person(self, **fields: Any) -> Person:
        """Somebody who may do all three themself."""
        person = make_person(**fields)
        self.desk.role.people.add(person)
        Role.objects.get(tools=self.own).people.add(person)
        return person

    def ask(self, person: Person, **changed: Any) -> Ask:
        """A refund in this person's name."""
        return self.desk.ask(user=person.pid, **changed)

    def ask_read(self, person: Person) -> Ask:
        return self.ask(person, tool=self.read.name, parameters={"claim": "CL-1"})


def acting_desk(**agent_fields: Any) -> Acting:
    fields = {"pattern": IdentityPattern.IMPERSONATION, **agent_fields}
    desk = make_desk(agent_fields=fields, tool_fields={"title": "Pay a refund"})
    read = make_tool(desk.system, effect="read", title="Read a claim")
    AllowlistEntry.objects.create(agent=desk.agent, tool=read)
    desk.role.tools.add(read)
    own = make_tool(desk.system, effect="read", title="Read the books")
    Role.objects.create(slug=f"books-{own.pk}").tools.add(own)
    return Acting(desk, read, own)


def given(acting: Acting, person: Person, **tools: Mapping[str, Any]) -> Grant:
    """The person's word for both tools, or for those that are named `refund` and `read`."""
    named = {"refund": acting.refund.name, "read": acting.read.name}
    wanted = {named[name]: narrowing for name, narrowing in tools.items()}
    every: dict[str, Mapping[str, Any]] = {name: {} for name in named.values()}
    return give_grant(agent_id=acting.desk.agent.pk, tools=wanted or every, by=person)


def given_before(acting: Acting, person: Person, *, days: int, left: int) -> Grant:
    """A grant of so many days ago that lasts so many days still; below nought it is over."""
    now = clock.now()
    return Grant.objects.create(
        id=clock.uuid7(now),
        person=person,
        agent=acting.desk.agent,
        tools={acting.refund.name: {}},
        way=GrantWay.CONSENT,
        given_at=now - timedelta(days=days),
        until=now + timedelta(days=left),
    )
