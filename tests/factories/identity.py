"""Rows in any state, with clients: for tests of who gets a key and a token."""

from datetime import timedelta
from itertools import count

from django.contrib.auth.models import Group

from governance.kernel import clock
from registry.enums import AgentState, Employment
from registry.identity import clients
from registry.identity.clients import Issued
from registry.models import Agent, Gateway, Person

_numbers = count(1)


def make_person(*, groups: tuple[str, ...] = (), name: str = "Person") -> Person:
    number = next(_numbers)
    person = Person.objects.create_user(
        email=f"person{number}@example.org", name=f"{name} {number}"
    )
    for group in groups:
        person.groups.add(Group.objects.get_or_create(name=group)[0])
    return person


def make_agent(*, state: str = AgentState.ACTIVE, owner: Person | None = None) -> Agent:
    """An agent that stands in `state`, however it came there."""
    return Agent.objects.create(
        slug=f"caller-{next(_numbers)}",
        name="Agent",
        purpose="Answers.",
        owner=owner or make_person(name="Owner"),
        state=state,
        rate_per_minute=60,
        rate_per_hour=600,
        spend_cap_minor=10_000,
        activated_at=clock.now(),
    )


def move(agent: Agent, state: str) -> None:
    """Put an agent into a state, past every rule: the guard must hold for any row."""
    Agent.objects.filter(pk=agent.pk).update(state=state)
    agent.refresh_from_db()


def employ(person: Person, employment: str) -> None:
    """Say how a person stands, past every rule."""
    last_day = None
    if employment != Employment.EMPLOYED:
        last_day = (clock.now() - timedelta(days=1)).date()
    Person.objects.filter(pk=person.pk).update(employment=employment, last_day=last_day)
    person.refresh_from_db()


def make_gateway() -> Gateway:
    return Gateway.objects.create(slug=f"gateway-{next(_numbers)}", name="Gateway")


def issue_for_agent(agent: Agent) -> Issued:
    return clients.issue_client(agent=agent, by=agent.owner)


def issue_for_gateway(gateway: Gateway) -> Issued:
    return clients.issue_client(gateway=gateway, by=make_person(groups=("security",)))
