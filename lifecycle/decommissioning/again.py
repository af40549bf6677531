"""Registering an agent again that has ended: a new row, which only looks like the old one.

Its name is another one, since a name is never given twice. No key, signature, credential or
approval comes along; what it reaches is cleared anew.
"""

from __future__ import annotations

from typing import Any

from django.db import transaction
from django.forms.models import model_to_dict

from audit import services as audit
from audit.enums import Kind
from governance.kernel import clock
from lifecycle.decommissioning import reading, rules
from lifecycle.decommissioning.errors import NotOver
from lifecycle.forms import AgentForm
from lifecycle.models import Succession
from registry.models import Agent, Person


def check_over(agent: Agent) -> None:
    """Only what has begun to end has a successor: until then it is started again, or changed."""
    if agent.state not in reading.ENDED:
        raise NotOver(f"{agent.slug} is {agent.state_word}, so it is not registered again.")


def initial_of(agent: Agent) -> dict[str, Any]:
    """What the form of a new row is filled with from an old one."""
    facts = model_to_dict(agent, fields=AgentForm.Meta.fields)
    backup = agent.backup_owner
    caps = {name: getattr(agent, f"{name}_minor") for name in ("spend_cap", "spend_cap_month")}
    return {
        **facts,
        "slug": free_slug(agent.slug),
        "backup_owner": backup.pk if backup and backup.may_act else None,
        "tools": list(agent.allowlist.values_list("tool", flat=True)),
        "roles": list(agent.roles.values_list("pk", flat=True)),
        **{name: None if cap is None else f"{cap / 100:.2f}" for name, cap in caps.items()},
    }


def free_slug(slug: str) -> str:
    """The next free name after an old one."""
    taken = {each.lower() for each in Agent.objects.values_list("slug", flat=True)}
    return rules.next_slug(slug, taken)


@transaction.atomic
def link(*, earlier: Agent, later: Agent, by: Person) -> Succession:
    """Say on both rows, and on the record, that one is registered after the other."""
    check_over(earlier)
    made = Succession.objects.create(earlier=earlier, later=later, by=by, at=clock.now())
    for agent, did in ((later, "registered_again_after"), (earlier, "registered_again_as")):
        other = earlier if agent is later else later
        audit.record(
            kind=Kind.REGISTRY,
            actor=by.pid,
            agent=agent.slug,
            resource=f"agent:{agent.slug}",
            asked={"did": did, "other": other.slug},
        )
    return made
