"""What goes wrong in authorization. A deny is none of these: it is an answer."""

from __future__ import annotations

from governance.kernel.errors import Conflict, GovernanceError, Invalid, NotFound, Unavailable


class NotRecorded(Unavailable):
    """This decision could not be recorded, so there is none. Do not go on; ask again."""

    code = "not_recorded"


class BadRequest(Invalid):
    """The request is not one that Muster can decide."""

    code = "bad_request"


class MethodNotAllowed(GovernanceError):
    """This address does not answer to that method."""

    code = "method_not_allowed"
    status = 405

    def __init__(self, *, allowed: tuple[str, ...]) -> None:
        super().__init__()
        self.allowed = allowed


class UnknownDecision(NotFound):
    """There is no such decision, or another caller asked for it."""

    code = "unknown_decision"


class AlreadyReported(Conflict):
    """The outcome of this decision was reported already."""

    code = "outcome.already_reported"


class OutcomeSecret(Invalid):
    """The outcome holds what looks like a credential, and credentials are never recorded."""

    code = "outcome.secret"


class BadPolicy(Invalid):
    """This policy cannot be used as it stands."""

    code = "bad_policy"


class PolicyDecided(Conflict):
    """This version is not waiting for a decision any more."""

    code = "policy_decided"


class PreviewRunning(Conflict):
    """This preview runs already. Wait for its result."""

    code = "preview_running"
