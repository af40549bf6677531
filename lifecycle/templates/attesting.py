"""The owner's word for a row, which its template may have given in advance."""

from __future__ import annotations

from django.db import transaction

from lifecycle.templates.selectors import covering
from registry import services as register
from registry.models import Agent, Person
from registry.services.saving import locked


@transaction.atomic
def attest(*, agent_id: int, by: Person, reach_digest: str = "") -> Agent:
    """The owner's one step: live by its template's approval where that covers the row as it is.

    Everything else is the owner's own word, as `registry.services.attest_agent`.
    """
    agent = locked(Agent, "agent", pk=agent_id)
    template = covering(agent, register.fresh_reach(agent))
    if template is None:
        return register.attest_agent(agent_id=agent_id, by=by, reach_digest=reach_digest)
    return register.clear_by_template(
        agent_id=agent_id,
        by=by,
        approved_tier=str(template.approved_tier),
        template=template.uid,
        reach_digest=reach_digest,
    )
