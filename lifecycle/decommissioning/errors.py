"""What is refused about the end of an agent."""

from __future__ import annotations

from governance.kernel.errors import Conflict, NotAllowed, NotFound


class DependentsWait(Conflict):
    """Others rely on this agent and do not know yet that it ends. Order its end, and they are
    told."""

    code = "dependents_wait"


class AlreadyOrdered(Conflict):
    """The end of this agent is ordered already. It waits for those who rely on it."""

    code = "already_ordered"


class NothingOrdered(Conflict):
    """The end of this agent is not ordered, or it has begun: then nobody takes it back."""

    code = "nothing_ordered"


class NotEnded(NotFound):
    """This agent has not ended, so there is nothing to show of its end."""

    code = "not_ended"


class NothingToAcknowledge(NotAllowed):
    """You do not rely on this agent, and no agent of yours does."""

    code = "nothing_to_acknowledge"


class NotOver(Conflict):
    """Only an agent that has ended is registered again."""

    code = "not_over"
