"""A small register, filled through its own services."""

from itertools import count
from typing import Any

from django.contrib.auth.models import Group

from registry import services
from registry.clearing import BASES
from registry.enums import AgentState, GroupName
from registry.models import Agent, Clearance, Person, System, Tool
from registry.permissions import Automatic

_numbers = count(1)
SWEEP = Automatic("sweep")

SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {
        "account": {"type": "string"},
        "amount": {"type": "integer", "minimum": 0, "maximum": 1000},
        "pin": {"type": "string"},
    },
    "required": ["account"],
    "additionalProperties": False,
}


def make_person(*groups: GroupName, **fields: Any) -> Person:
    """Someone with a chat handle, in these groups."""
    number = next(_numbers)
    given = {"name": f"Person {number}", "email": f"p{number}@example.org", "chat_handle": "@p"}
    person = Person.objects.create_user(**(given | fields))
    if groups:
        person.groups.set([Group.objects.get_or_create(name=str(name))[0] for name in groups])
    return person


def security() -> Person:
    return make_person(GroupName.SECURITY)


def make_system(by: Person | None = None, **fields: Any) -> System:
    slug = fields.pop("slug", f"system-{next(_numbers)}")
    given = {"name": slug, "tier": "internal"} | fields
    return services.save_system(slug=slug, by=by or security(), **given).row


def make_tool(system: System | None = None, **fields: Any) -> Tool:
    name = fields.pop("name", f"tool{next(_numbers)}.call")
    given = {"system": system or make_system(), "effect": "read", "schema": SCHEMA} | fields
    return services.save_tool(name=name, by=security(), **given).row


def make_draft(owner: Person | None = None, tool: Tool | None = None, **fields: Any) -> Agent:
    """A complete draft that may call one tool, of an internal system unless said otherwise."""
    owner = owner or make_person()
    slug = fields.pop("slug", f"agent-{next(_numbers)}")
    given = {
        "name": slug,
        "purpose": "Answers questions.",
        "rate_per_minute": 10,
        "rate_per_hour": 100,
        "spend_cap_minor": 500,
    }
    agent = services.draft_agent(slug=slug, owner=owner, by=owner, **(given | fields))
    services.set_allowlist_entry(agent_id=agent.pk, tool=tool or make_tool(), by=owner)
    return Agent.objects.get(pk=agent.pk)


def sign_everything(agent: Agent) -> None:
    """Have everyone whose word it needs give it, each another person, and let it go live."""
    signers = {"security": security, "dpo": lambda: make_person(GroupName.DPO)}
    for step in services.still_unsigned(agent):
        for slug in step.systems or ("",):
            system = System.objects.filter(slug=slug).select_related("owner").first()
            owner = system.owner if system else None
            named = owner if owner and GroupName.SOURCE_OWNER in owner.group_names else None
            by = named or signers.get(step.role, security)()
            basis = Clearance.Basis(str(BASES[step.role]))
            services.clear_agent(agent_id=agent.pk, by=by, basis=basis, system=system)
    services.activate_agent(agent_id=agent.pk, by=security())


def make_agent(state: AgentState = AgentState.ACTIVE, tier: str = "internal", **of: Any) -> Agent:
    """An agent that came to `state` the way that agents do."""
    tool = of.pop("tool", None) or make_tool(make_system(tier=tier))
    agent = make_draft(tool=tool, **of)
    owner = agent.owner
    if state == AgentState.DRAFT:
        return agent
    services.submit_for_review(agent_id=agent.pk, by=owner)
    if state in {AgentState.ACTIVE, AgentState.SUSPENDED}:
        if tier in {"public", "internal"}:
            services.attest_agent(agent_id=agent.pk, by=owner)
        else:
            sign_everything(agent)
    if state == AgentState.SUSPENDED:
        services.suspend_agent(agent_id=agent.pk, by=SWEEP, reason="Made so.")
    if state in {AgentState.DECOMMISSIONING, AgentState.DECOMMISSIONED}:
        services.begin_decommissioning(agent_id=agent.pk, by=SWEEP, reason="Made so.")
    if state == AgentState.DECOMMISSIONED:
        services.finish_decommissioning(agent_id=agent.pk, by=SWEEP)
    return Agent.objects.get(pk=agent.pk)
