"""The badge of an agent for a README or a pipeline: its state and its dates, and nothing else.

A README is read by whoever may read it, and its pictures are fetched by a proxy that signs in
nowhere. So a badge has a key of its own in its address: it opens this alone, its owner makes
another one at any time, and a wrong key is answered as an agent that there is not.
"""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass
from datetime import date, datetime

from django.db import transaction

from audit import services as audit
from audit.enums import Kind
from governance.kernel import clock
from governance.kernel.randomness import take
from lifecycle.models import BadgeKey
from registry import permissions
from registry.enums import AgentState
from registry.models import Agent, Person
from registry.services.agents import today_of
from registry.services.saving import locked

LABEL = "muster"
GOOD, NEAR, BAD, QUIET = "brightgreen", "yellow", "red", "lightgrey"
# How the colours of shields.io look in our own picture.
COLOURS = {GOOD: "#2f6f3e", NEAR: "#8a6100", BAD: "#a3232b", QUIET: "#5c5c5c"}
NEAR_DAYS = 14
STATES = {
    AgentState.DRAFT: (QUIET, "not live"),
    AgentState.IN_REVIEW: (QUIET, "not live"),
    AgentState.SUSPENDED: (BAD, "suspended"),
    AgentState.DECOMMISSIONING: (QUIET, "ended"),
    AgentState.DECOMMISSIONED: (QUIET, "ended"),
}
# Width of a letter in our own picture, and the room beside the words.
_LETTER, _ROOM = 6.6, 12


@dataclass(frozen=True, slots=True)
class Badge:
    """What a badge says."""

    message: str
    colour: str

    def document(self) -> dict[str, object]:
        """As shields.io reads an endpoint."""
        said = {"label": LABEL, "message": self.message, "color": self.colour}
        return {"schemaVersion": 1, **said, "isError": self.colour == BAD, "cacheSeconds": 300}

    def picture(self) -> dict[str, object]:
        """What the template of the picture is filled with."""
        left = round(len(LABEL) * _LETTER + _ROOM)
        right = round(len(self.message) * _LETTER + _ROOM)
        return {
            "label": LABEL,
            "message": self.message,
            "fill": COLOURS[self.colour],
            "left": left,
            "right": right,
            "width": left + right,
            "label_x": left / 2,
            "message_x": left + right / 2,
        }


def badge_of(agent: Agent, now: datetime) -> Badge:
    """State and dates of an agent, the most pressing first."""
    if agent.state in STATES:
        colour, message = STATES[AgentState(agent.state)]
        return Badge(message, colour)
    return of_dates(agent.renewal_due, agent.review_due, today_of(agent.owner, now))


def of_dates(renewal: date | None, review: date | None, today: date) -> Badge:
    """What the dates of an active agent come to."""
    if renewal and renewal < today:
        return Badge(f"renewal overdue since {renewal:%Y-%m-%d}", BAD)
    if review and review < today:
        return Badge(f"review overdue since {review:%Y-%m-%d}", BAD)
    if renewal and (renewal - today).days <= NEAR_DAYS:
        return Badge(f"active, renewal due {renewal:%Y-%m-%d}", NEAR)
    if renewal:
        return Badge(f"active, renewed until {renewal:%Y-%m-%d}", GOOD)
    return Badge("active", GOOD)


@transaction.atomic
def make_key(*, agent_id: int, by: Person) -> str:
    """A new key for an agent's badge. It is given this once; the earlier one ends at once."""
    agent = locked(Agent, "agent", pk=agent_id)
    permissions.check_can_renew_agent(agent, by)
    key = take(16).hex()
    made = {"digest": digest_of(key), "made_at": clock.now(), "made_by": by}
    BadgeKey.objects.update_or_create(agent=agent, defaults=made)
    audit.record(
        kind=Kind.REGISTRY,
        actor=by.pid,
        agent=agent.slug,
        resource=f"agent:{agent.slug}",
        asked={"did": "badge_key_made"},
    )
    return key


def digest_of(key: str) -> str:
    """What is kept of a key."""
    return hashlib.sha256(f"muster badge {key}".encode()).hexdigest()


def opens(agent: Agent, key: str) -> bool:
    """Whether this key opens the badge of this agent."""
    found = BadgeKey.objects.filter(agent=agent).first()
    return found is not None and hmac.compare_digest(found.digest, digest_of(key))
