"""The steps inside Muster, in their order. Each does or checks its part and says what holds.

They run in the transaction that activates the row, with the row locked: what one of them raises
undoes the activation.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from audit import services as audit
from audit.enums import Kind
from authz.models import Role
from governance.kernel.errors import Invalid
from registry.errors import Incomplete
from registry.identity import clients
from registry.models import Agent
from registry.permissions import Actor

MOST_NAMED = 5


@dataclass(frozen=True, slots=True)
class Inside:
    """One step inside. `do(agent, by)` returns the sentence that its page shows."""

    name: str
    title: str
    do: Callable[[Agent, Actor], str]


def _identity(agent: Agent, by: Actor) -> str:
    client = clients.make_client(agent=agent, by=by)
    return f"Its client id is {client.client_id}. Identity: {agent.get_pattern_display()}."


def _credentials(agent: Agent, by: Actor) -> str:
    named = list(agent.credentials.values_list("reference", flat=True))
    own = "Its secret is made when its owner asks to see it."
    if not named:
        return f"{own} It names no other credential."
    return f"{own} It names {_listed(named)}."


def _roles(agent: Agent, by: Actor) -> str:
    roles = list(Role.objects.filter(agents=agent).order_by("slug"))
    tools = {entry.tool.name for entry in agent.allowlist.select_related("tool")}
    granted = set(Role.objects.filter(agents=agent).values_list("tools__name", flat=True))
    held = f"It holds {_listed([role.slug for role in roles])}." if roles else "It holds no role."
    lacking = sorted(tools - granted)
    return f"{held} No role of it grants {_listed(lacking)}." if lacking else held


def _allowlist(agent: Agent, by: Actor) -> str:
    tools = [entry.tool.name for entry in agent.allowlist.select_related("tool")]
    return f"It may call {_listed(tools)}." if tools else "It may call nothing yet."


def _limits(agent: Agent, by: Actor) -> str:
    if agent.spend_cap_minor is None or not agent.rate_per_minute or not agent.rate_per_hour:
        raise Incomplete()
    cap = f"{agent.spend_cap_minor / 100:,.2f} {agent.currency}"
    return f"{agent.rate_per_minute:,} a minute, {agent.rate_per_hour:,} an hour, {cap} a day."


def _gates(agent: Agent, by: Actor) -> str:
    entries = agent.allowlist.select_related("tool")
    gated = [entry.tool.name for entry in entries if entry.gates or entry.tool.gates]
    if not gated:
        return "No tool of it asks a human by a rule of its own."
    return f"A human is asked by the rules of {_listed(gated)}."


def _renewal(agent: Agent, by: Actor) -> str:
    if agent.renewal_due is None or agent.review_due is None:
        raise Invalid(f"{agent.slug} has no renewal date.")
    return (
        f"Renewed by {agent.renewal_due:%Y-%m-%d}, looked at again by {agent.review_due:%Y-%m-%d}."
    )


def _audit(agent: Agent, by: Actor) -> str:
    record = audit.record(
        kind=Kind.REGISTRY,
        actor=by.pid,
        agent=agent.slug,
        resource=f"agent:{agent.slug}",
        asked={"did": "agent_provisioned", "steps": [step.name for step in INSIDE]},
    )
    return f"On the record as {record}."


def _listed(names: list[str]) -> str:
    """The first few of the names, and how many more there are."""
    shown = ", ".join(names[:MOST_NAMED])
    return shown if len(names) <= MOST_NAMED else f"{shown} and {len(names) - MOST_NAMED} more"


INSIDE = (
    Inside("identity", "Identity", _identity),
    Inside("credentials", "Credentials", _credentials),
    Inside("roles", "Roles and policies", _roles),
    Inside("allowlist", "Allowlist", _allowlist),
    Inside("limits", "Limits", _limits),
    Inside("gates", "Gates", _gates),
    Inside("renewal", "Renewal date", _renewal),
    Inside("audit", "Audit", _audit),
)
