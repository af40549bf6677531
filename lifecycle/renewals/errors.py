"""What a renewal refuses."""

from __future__ import annotations

from governance.kernel.errors import Conflict, Invalid


class NotAsked(Conflict):
    """Nothing is asked about this agent now. Its page says when it is due."""

    code = "not_asked"


class SeenOtherwise(Conflict):
    """The agent has changed since you read this. Read it again, then answer."""

    code = "row_changed"


class WidensNothing(Invalid):
    """A renewal takes away or leaves as it is. Ask for more on the agent's page."""

    code = "widens"


class ExtendedAlready(Conflict):
    """This renewal was extended once already. Answer it, or let it end."""

    code = "extended_already"


class NotExtended(Invalid):
    """A renewal is extended to a day after the one it is due on, by 30 days at most."""

    code = "not_extended"
