"""What goes wrong in authorization. A deny is none of these: it is an answer."""

from __future__ import annotations

from typing import TYPE_CHECKING

from governance.kernel.errors import (
    Conflict,
    GovernanceError,
    Invalid,
    NotAllowed,
    NotFound,
    NotSignedIn,
    Unavailable,
)

if TYPE_CHECKING:
    from authz.decide import Answer


class NotRecorded(Unavailable):
    """This decision could not be recorded, so there is none. Do not go on; ask again."""

    code = "not_recorded"


class BadRequest(Invalid):
    """The request is not one that Muster can decide."""

    code = "bad_request"


class BadPageToken(BadRequest):
    """This page token belongs to another question or caller. Ask again without one."""

    code = "bad_page_token"


class SearchNotAllowed(NotAllowed):
    """An agent's own token asks what that agent may do. Everything else is asked by gateways."""

    code = "search_not_allowed"


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


class TokenEnded(NotSignedIn):
    """The token is not valid any more. Get a new one."""

    code = "token_ended"


class NoSuchSession(NotFound):
    """There is no such session, or it belongs to another agent."""

    code = "unknown_session"


class NotClean(NotAllowed):
    """An agent cannot open a clean session itself. Have a gateway open it, or leave `clean` out."""

    code = "session.not_clean"


class SessionEnded(Conflict):
    """This session has ended. Open a new one."""

    code = "session.ended"


class SessionTainted(Conflict):
    """Untrusted input was read already, so a plan comes too late. Plan a new, clean session."""

    code = "session.tainted"


class PolicyCasesFail(Conflict):
    """Cases of this policy fail, so it cannot come into force. Correct the text or the cases."""

    code = "policy_cases_fail"


class PolicyNotEditable(Conflict):
    """Only a draft can be changed. Begin a new draft from this version."""

    code = "policy_not_editable"


class DraftMoved(Conflict):
    """Someone else saved or sent this draft after you opened it. Compare, then save again."""

    code = "draft_moved"


class PreviewRunning(Conflict):
    """This preview runs already. Wait for its result."""

    code = "preview_running"


class UnknownPrice(GovernanceError):
    """What this cost cannot be worked out. Ask security to set its price, and report again."""

    code = "unknown_price"
    status = 409


class UnknownHold(NotFound):
    """There is no such hold, or you may not see it."""

    code = "unknown_hold"


class HoldDecided(Conflict):
    """This was decided already, or its time is over. Nothing more can be done about it."""

    code = "hold_decided"


class HoldUnreadable(Conflict):
    """What this hold is about cannot be read any more, so nobody can approve it. Reject it."""

    code = "hold_unreadable"


class OtherParameters(Conflict):
    """Someone changed the parameters since you looked. Load it again and look at them."""

    code = "hold_changed"


class BadEdit(Invalid):
    """The call may not be changed like this."""

    code = "bad_edit"


class SecondFactorNeeded(NotAllowed):
    """This takes your second factor, used within the last 15 minutes. Confirm it, then approve."""

    code = "second_factor"


class AlreadyApproved(Conflict):
    """You have approved this already. It waits for someone else's approval."""

    code = "hold_already_approved"


class AccessRequestError(GovernanceError):
    """A refusal in the words of AuthZEN's Access Request and Approval profile."""

    code = "access_request"
    word = ""

    @property
    def problem_type(self) -> str:
        """The problem type that the profile defines."""
        return f"urn:openid:authzen:access-request:error:{self.word}"


class NotRequestable(AccessRequestError):
    """That decision is no held one, so nobody can be asked about it."""

    code, word, status = "access_request.not_requestable", "not_requestable", 400


class ExpiredDenial(AccessRequestError):
    """The time to ask about that decision is over. Ask for a decision again."""

    code, word, status = "access_request.expired_denial", "expired_denial", 410


class InvalidBinding(AccessRequestError):
    """This is not what that decision was about. Send subject, action and resource as they were."""

    code, word, status = "access_request.invalid_denial_binding", "invalid_denial_binding", 400


class DuplicateRequest(AccessRequestError):
    """This Idempotency-Key was used for another request. Use a new one."""

    code, word, status = "access_request.duplicate_request", "duplicate_request", 409


class UnknownTask(AccessRequestError):
    """There is no such access request, or it is another caller's."""

    code, word, status = "access_request.unknown_task", "unknown_task", 404


class InvalidTaskState(AccessRequestError):
    """This access request is decided already, so it cannot be cancelled."""

    code, word, status = "access_request.invalid_task_state", "invalid_task_state", 409


class CallbackNotRegistered(Invalid):
    """The callback endpoint is not the one that is registered for this client."""

    code = "callback_not_registered"


class RetryTaken(Conflict):
    """Another question was asked under this Idempotency-Key. Ask this one under another."""

    code = "idempotency_key_taken"


class LeasesForAgents(NotAllowed):
    """A credential is given to its agent alone, on the agent's own token."""

    code = "lease.agents_only"


class LeaseRefused(NotAllowed):
    """The decision on this credential was no. It says why, and what would make it yes."""

    def __init__(self, message: str, *, code: str, answer: Answer) -> None:
        super().__init__(message, code=code)
        self.answer = answer


class NoSuchGrant(NotFound):
    """There is no such grant, or it is not yours."""

    code = "no_such_grant"


class GrantRefused(NotAllowed):
    """This grant cannot be given."""

    code = "grant_refused"


class NoSuchDelegation(NotFound):
    """There is no such delegation, or it was not handed to this agent."""

    code = "no_such_delegation"


class NotYourDelegation(NotAllowed):
    """Only an agent of its chain ends a delegation."""

    code = "not_your_delegation"


class DelegationRefused(NotAllowed):
    """This cannot be handed over."""

    code = "delegation_refused"


class DelegationEnded(Conflict):
    """This delegation has ended, so no answer to it counts. Nothing was taken in."""

    code = "delegation_ended"
