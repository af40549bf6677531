"""Rows with tools that matter, each with a role that grants them: something to attack."""

from collections.abc import Mapping
from itertools import count
from typing import Any

from authz import services as authorization
from registry import services
from registry.models import Agent, Person, System, Tool
from tests.factories.registry import make_person, make_system, make_tool, security

_numbers = count(1)

AMOUNT: dict[str, Any] = {"type": "integer", "minimum": 1}
TEXT: dict[str, Any] = {"type": "string", "maxLength": 4000}


def schema_of(**properties: Any) -> dict[str, Any]:
    """An object that needs exactly these."""
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }


def paying_tool(system: System | None = None, **amount: Any) -> Tool:
    """Pays to a claim; `amount` are bounds of its amount."""
    return make_tool(
        system or make_system(),
        effect="financial",
        amount_parameter="amount",
        schema=schema_of(
            claim={"type": "string", "pattern": "^CL-[0-9]{5}$"}, amount=AMOUNT | amount
        ),
    )


def fetching_tool(system: System | None = None) -> Tool:
    """Reads the page at an address."""
    return make_tool(
        system or make_system(tier="public", trust="untrusted"),
        effect="read",
        resource_parameter="url",
        schema=schema_of(url={"type": "string", "format": "uri"}),
    )


def mailing_tool(system: System | None = None) -> Tool:
    """Writes to anyone outside."""
    return make_tool(
        system or make_system(tier="public"),
        effect="external_communication",
        recipient_parameter="to",
        schema=schema_of(to={"type": "string", "format": "email"}, body=TEXT),
    )


def reading_tool(system: System) -> Tool:
    """Reads a record."""
    return make_tool(
        system, effect="read", schema=schema_of(record={"type": "string", "maxLength": 40})
    )


def make_row(
    *tools: Tool,
    owner: Person | None = None,
    narrowings: Mapping[str, Any] | None = None,
    **of: Any,
) -> Agent:
    """A draft that may call these tools, with a role that grants them."""
    owner = owner or make_person()
    number = next(_numbers)
    given = {
        "name": f"Row {number}",
        "purpose": "Is attacked.",
        "rate_per_minute": 60,
        "rate_per_hour": 600,
        "spend_cap_minor": 0,
    }
    agent = services.draft_agent(slug=f"row-{number}", owner=owner, by=owner, **(given | of))
    for tool in tools:
        narrowing = (narrowings or {}).get(tool.name)
        services.set_allowlist_entry(agent_id=agent.pk, tool=tool, by=owner, narrowing=narrowing)
    by = security()
    role = authorization.save_role(slug=f"row-role-{number}", by=by, tools=tools).row
    authorization.set_agent_roles(agent_id=agent.pk, roles=[role], by=owner)
    return Agent.objects.get(pk=agent.pk)
