"""A small register to decide in: a tool with a schema, a role, an agent that may call it."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import count
from typing import Any

from django.contrib.auth.models import Group
from django.db import connection

from authz.asks import Ask, Caller
from authz.engine.types import SubjectKind, Token
from authz.enums import PolicyState
from authz.models import Hold, Policy, Role
from governance.kernel import clock
from registry.enums import AgentState, IdentityPattern
from registry.identity import tokens
from registry.models import (
    Agent,
    AllowlistEntry,
    Client,
    ExternalIdentity,
    Gateway,
    Person,
    SubAgent,
    System,
    Tool,
)

_numbers = count(1)

REFUND_SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {
        "claim": {"type": "string"},
        "amount": {"type": "integer", "minimum": 0, "x-muster-unit": "minor"},
        "note": {},
        "pin": {"type": "string", "minLength": 4},
    },
    "required": ["claim"],
    "additionalProperties": False,
}


@dataclass(frozen=True)
class Desk:
    """An active agent, its tool, and the callers that may ask for it."""

    owner: Person
    system: System
    tool: Tool
    role: Role
    agent: Agent
    client: Client
    gateway: Gateway
    gateway_client: Client

    @property
    def caller(self) -> Caller:
        return caller_of(self.client)

    @property
    def gateway_caller(self) -> Caller:
        return caller_of(self.gateway_client)

    def ask(self, **changed: Any) -> Ask:
        asked: dict[str, Any] = {
            "kind": SubjectKind.AGENT,
            "tool": self.tool.name,
            "agent": self.agent.slug,
            "parameters": {"claim": "CL-1", "amount": 500},
        }
        return Ask(**(asked | changed))

    def body(self, **changed: Any) -> dict[str, Any]:
        """An evaluation request of the agent about itself."""
        return {
            "subject": {"type": "agent", "id": self.agent.slug},
            "action": {
                "name": self.tool.name,
                "properties": {"claim": "CL-1", "amount": 500},
            },
            "resource": {"type": self.system.slug, "id": "CL-1"},
        } | changed


def make_person(*, groups: Sequence[str] = (), **fields: Any) -> Person:
    number = next(_numbers)
    given = {"email": f"someone{number}@example.org", "name": f"Someone {number}"} | fields
    person = Person.objects.create_user(**given)
    for group in groups:
        person.groups.add(Group.objects.get_or_create(name=group)[0])
    return person


def make_system(**fields: Any) -> System:
    slug = f"claims-{next(_numbers)}"
    return System.objects.create(**({"slug": slug, "name": slug, "tier": "internal"} | fields))


def make_tool(system: System, **fields: Any) -> Tool:
    given = {
        "name": f"refund{next(_numbers)}.issue",
        "effect": "write",
        "schema": REFUND_SCHEMA,
        "amount_parameter": "amount",
        "resource_parameter": "claim",
    }
    return Tool.objects.create(system=system, **(given | fields))


def observed(until: str = "2099-01-01T00:00Z") -> dict[str, Any]:
    """Fields of a row that two people agreed to observe, until then."""
    return {
        "observe_until": until,
        "observe_by": make_person(),
        "observe_agreed_by": make_person(),
        "observe_agreed_at": datetime.fromisoformat(until) - timedelta(days=30),
    }


def make_agent(owner: Person, **fields: Any) -> Agent:
    slug = f"refund-desk-{next(_numbers)}"
    given = {
        "slug": slug,
        "name": slug,
        "purpose": "Pays refunds.",
        "state": AgentState.ACTIVE,
        "pattern": IdentityPattern.SERVICE,
        "rate_per_minute": 60,
        "rate_per_hour": 600,
        "spend_cap_minor": 10_000,
        "activated_at": clock.now(),
    }
    return Agent.objects.create(owner=owner, **(given | fields))


def declare(agent: Agent, *others: Agent, **fields: Any) -> None:
    """Let an agent hand over to these; `fields` are what it takes in of their answers."""
    for other in others:
        SubAgent.objects.create(agent=agent, sub_agent=other, **fields)


def make_gateway(**fields: Any) -> Gateway:
    slug = f"edge-{next(_numbers)}"
    return Gateway.objects.create(**({"slug": slug, "name": slug} | fields))


def make_client(**of: Any) -> Client:
    return Client.objects.create(client_id=f"client-{next(_numbers)}", **of)


def name_person(person: Person, source: str, external_id: str) -> ExternalIdentity:
    return ExternalIdentity.objects.create(person=person, source=source, external_id=external_id)


def make_policy(text: str, *, slug: str = "", **fields: Any) -> Policy:
    """A policy in force, however it came to be."""
    given = {"state": PolicyState.ACTIVE, "activated_at": clock.now()} | fields
    return Policy.objects.create(slug=slug or f"policy-{next(_numbers)}", text=text, **given)


def make_desk(
    *,
    tool_fields: dict[str, Any] | None = None,
    agent_fields: dict[str, Any] | None = None,
    system_fields: dict[str, Any] | None = None,
    gateway_fields: dict[str, Any] | None = None,
) -> Desk:
    """Everything that one allowed call needs."""
    owner, system = make_person(), make_system(**(system_fields or {}))
    tool = make_tool(system, **(tool_fields or {}))
    agent, gateway = (
        make_agent(owner, **(agent_fields or {})),
        make_gateway(**(gateway_fields or {})),
    )
    AllowlistEntry.objects.create(agent=agent, tool=tool)
    role = Role.objects.create(slug=f"refunds-{next(_numbers)}")
    # As `add` does, without the role's history, which takes as much as all the rest.
    Role.tools.through.objects.create(role=role, tool=tool)
    Role.agents.through.objects.create(role=role, agent=agent)
    return Desk(
        owner,
        system,
        tool,
        role,
        agent,
        make_client(agent=agent),
        gateway,
        make_client(gateway=gateway),
    )


def caller_of(client: Client) -> Caller:
    """Whoever holds a token of this client."""
    kind, slug = _whose(client)
    return Caller(kind, slug, Token(client.version, f"jti-{next(_numbers)}"))


def bearer(client: Client) -> str:
    """An Authorization header with a token of this client."""
    kind, slug = _whose(client)
    issued = tokens.issue_token(
        client_id=client.client_id, kind=kind, slug=slug, version=client.version, scope="decide"
    )
    return f"Bearer {issued.token}"


def age(hold: Hold, left: str = "-1 second") -> None:
    """Let the time of a hold be over, or nearly, as only the clock does."""
    with connection.cursor() as cursor:
        cursor.execute("SET ROLE NONE")
        cursor.execute("ALTER TABLE authz_hold DISABLE TRIGGER guard")
        cursor.execute(
            "UPDATE authz_hold SET made_at = now() - interval '2 days',"
            " expires_at = clock_timestamp() + %s::interval WHERE id = %s",
            [left, hold.pk],
        )
        cursor.execute("ALTER TABLE authz_hold ENABLE TRIGGER guard")
        cursor.execute("SET ROLE muster_web")


def _whose(client: Client) -> tuple[str, str]:
    return ("agent", client.agent.slug) if client.agent else ("gateway", client.gateway.slug)
