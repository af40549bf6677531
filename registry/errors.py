"""What the register refuses, beyond what it is not allowed to."""

from __future__ import annotations

from governance.kernel.errors import Conflict, Invalid, NotAllowed


class WrongState(Conflict):
    """This cannot be done in the state that the agent is in."""

    code = "wrong_state"


class AlreadyDecided(Conflict):
    """Someone else has decided this already. Load it again to see what they said."""

    code = "already_decided"


class ChangeOpen(Conflict):
    """Another change of the same thing waits for a second person. Have it decided first."""

    code = "change_open"


class ChangeOutdated(Conflict):
    """What this change starts from is no longer so. Reject it and propose it again."""

    code = "change_outdated"


class ReachChanged(Conflict):
    """What the agent reaches has changed since you looked. Read it again before you answer."""

    code = "reach_changed"


class NotCleared(Conflict):
    """Nobody has cleared this agent for what it reaches now. It needs a review first."""

    code = "not_cleared"


class Incomplete(Invalid):
    """Something is missing that every agent needs before it may run."""

    code = "incomplete"


class TooSensitive(Conflict):
    """It reaches restricted data, and nothing is let through there that would be refused."""

    code = "too_sensitive"


class LooksLikeSecret(Invalid):
    """This looks like a secret. Store it in the vault and enter the path to it here."""

    code = "looks_like_secret"


class NotBootstrapping(NotAllowed):
    """A policy was active before, so nobody widens anything alone. Leave --bootstrap out."""

    code = "not_bootstrapping"


class AgentNotActive(NotAllowed):
    """This agent has no active row, so it gets nothing."""

    code = "identity.not_active"


class OwnMatter(NotAllowed):
    """This is your own matter, so someone else must decide it."""
