"""What follows when someone leaves, comes back or moves. All of it in the change's transaction."""

from __future__ import annotations

from typing import Any

from lifecycle.leavers import duties, services
from registry.enums import Employment
from registry.models import Agent, Person
from registry.permissions import Actor
from registry.signals import agent_transferred, employment_changed


def connect() -> None:
    """Listen; called once the models are there."""
    employment_changed.connect(on_employment, sender=Person, dispatch_uid="flag a leaver's agents")
    agent_transferred.connect(on_transfer, sender=Agent, dispatch_uid="close what was accepted")


def on_employment(person: Person, before: Employment, by: Actor, **_: Any) -> None:
    """Flag their agents, or stop asking about them; who has left loses every duty and way in."""
    if person.employment == Employment.EMPLOYED:
        services.drop_cases(person, by)
        return
    services.flag_agents(person, by)
    services.ask_others(person, by)
    if person.employment == Employment.LEFT:
        duties.lapse(person, by)


def on_transfer(agent: Agent, by: Person, **_: Any) -> None:
    """By whichever way it was handed over."""
    services.close_of_transferred(agent, by)
