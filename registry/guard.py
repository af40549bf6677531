"""No row, no key: the one guard over rows. Tokens, decisions and leases all ask it.

The decision asks `governance.kernel.row.row_refusal` with the facts of its snapshot; it is the
same rule.
"""

from __future__ import annotations

from typing import Any, TypeVar

from django.db import models

from governance.kernel import row
from governance.kernel.errors import Unavailable
from registry.errors import AgentNotActive
from registry.models import Agent, Person

Row = TypeVar("Row", bound=models.Model)

_SENTENCES = {
    row.NOT_ACTIVE: "{agent} is not active, so it gets nothing. Its owner {owner} can say why.",
    row.OWNER_LEFT: "{agent} has no owner any more: {owner} has left. It needs another one.",
}


def refusal(agent: Agent) -> str | None:
    """The code for which this agent gets nothing; None if its row is active.

    The caller reads the row, with its owner, in the transaction that depends on the answer.
    """
    return row.row_refusal(agent.state, agent.owner.employment)


def require_active(agent: Agent) -> None:
    """Raise `AgentNotActive`, whose code says why, unless the agent's row is active."""
    if code := refusal(agent):
        sentence = _SENTENCES[code].format(agent=agent.slug, owner=agent.owner)
        raise AgentNotActive(sentence, code=code)


def held(agent_id: int) -> Agent:
    """The agent with its owner as they are now, and as they stay until the transaction ends.

    A suspension or a leaver that has committed is seen; one that is under way waits. Order:
    person, agent, what is the agent's, as everywhere. Raises `Unavailable`, to be tried again.
    """
    owner = share(Person, Agent.objects.values_list("owner", flat=True).get(pk=agent_id))
    agent = share(Agent, agent_id)
    if agent.owner_id != owner.pk:
        raise Unavailable("The agent changed hands at this moment. Try again.")
    agent.owner = owner
    return agent


def share(model: type[Row], key: Any) -> Row:
    """One row, read FOR SHARE: nobody changes it before the transaction ends."""
    table = model._meta.db_table
    sql = f'SELECT * FROM "{table}" WHERE id = %s FOR SHARE'  # noqa: S608 - a model's own table
    return model._default_manager.raw(sql, [key])[0]
