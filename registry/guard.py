"""No row, no key: the one guard over rows. Tokens, decisions and leases all ask it.

The decision asks `governance.kernel.row.row_refusal` with the facts of its snapshot; it is the
same rule.
"""

from __future__ import annotations

from governance.kernel import row
from registry.errors import AgentNotActive
from registry.models import Agent

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
