"""The first check: who asks, who acts, for whom, and whether all of them may at all."""

from __future__ import annotations

from authz.engine.case import Case, document, passed, refused
from authz.engine.types import Check, Document, Json, Mode, Step, Token
from governance.kernel.row import LEFT, row_refusal

READ = "read"


def identity(case: Case) -> Step:
    """Whether it is known who asks and who acts, and whether both may at all."""
    judge = _agent_refusal if case.is_agent else _person_refusal
    refusal = _caller_refusal(case) or judge(case)
    flags = _flags(case) if case.is_agent else []
    if refusal is None:
        return passed(Check.IDENTITY, **({"flags": flags} if flags else {}))
    if refusal.code == "identity.pattern":
        flags = [*flags, "outside_pattern"]
    if not flags:
        return refusal
    return Step(refusal.check, refusal.status, refusal.code, {**refusal.detail, "flags": flags})


def _caller_refusal(case: Case) -> Step | None:
    """What is wrong with the client that asks: its row, then its token."""
    holder = case.agent
    if case.request.gateway:
        holder = document(case.snapshot.gateway)
        if holder is None or holder["slug"] != case.request.gateway:
            return refused(case, "identity.unknown_gateway")
        if holder["active"] is not True:
            return refused(case, "identity.gateway_inactive", gateway=case.request.gateway)
    elif not case.is_agent and case.mode is not Mode.SIMULATE:
        return refused(case, "identity.gateway_required")
    return None if case.mode is Mode.SIMULATE else _token_refusal(case, holder)


def _token_refusal(case: Case, holder: Document | None) -> Step | None:
    token = case.request.token
    if token is None:
        return refused(case, "identity.token_missing")
    if holder is None:
        return None
    if token.client_version != holder["client_version"]:
        return refused(case, "identity.token_outdated")
    if token.jti in holder["revoked"]:
        return refused(case, "identity.token_revoked")
    return _acting_refusal(case, token)


def _acting_refusal(case: Case, token: Token) -> Step | None:
    """A token that stands for a user, or for a link, is good for a call of exactly that."""
    request = case.request
    if not (token.user or token.delegation):
        return None
    if token.user != request.user or (request.user_claimed and not request.user):
        return refused(case, "identity.token_user")
    if token.delegation != request.delegation:
        return refused(case, "identity.token_delegation")
    if token.grant and case.grant is not None and case.grant["id"] != token.grant:
        return refused(case, "identity.token_grant")
    return None


def _person_refusal(case: Case) -> Step | None:
    if case.person is None:
        return refused(case, "identity.unknown_person")
    if case.person["employment"] == LEFT:
        return refused(case, "identity.person_left")
    return None


def _agent_refusal(case: Case) -> Step | None:
    agent = case.agent
    if agent is None:
        return refused(case, "identity.unknown_agent")
    code = row_refusal(agent["state"], agent["owner_employment"])
    if code is not None:
        return refused(case, code, state=agent["state"])
    return _user_refusal(case) or _pattern_refusal(case, str(agent["pattern"]))


def _user_refusal(case: Case) -> Step | None:
    if not case.carries_user:
        return None
    if case.user is None:
        return refused(case, "identity.unknown_user")
    if case.user["employment"] == LEFT:
        return refused(case, "identity.user_left")
    return None


def _pattern_refusal(case: Case, pattern: str) -> Step | None:
    if keeps_pattern(case, pattern):
        return None
    return refused(case, "identity.pattern", pattern=pattern, carrying=carrying(case))


def keeps_pattern(case: Case, pattern: str) -> bool:
    """Whether the call carries a user, or none, as this identity pattern says."""
    wanted = _wants_user(case, pattern)
    return wanted is None or wanted == case.carries_user


def carrying(case: Case) -> str:
    """How a sentence says whether the call carries a user."""
    return "with" if case.carries_user else "without"


def _wants_user(case: Case, pattern: str) -> bool | None:
    """Whether a call in this pattern carries a user; None where the tool is not known."""
    if pattern == "hybrid":
        return None if case.tool is None else case.tool["effect"] != READ
    return {"service": False, "impersonation": True}[pattern]


def _flags(case: Case) -> list[str]:
    """What is not as the row says, and yet no refusal."""
    agent, request = case.agent, case.request
    if agent is None:
        return []
    found = {
        "prompt_digest_differs": _differs(request.prompt_digest, agent.get("prompt_digest")),
        "code_reference_differs": _differs(request.code_reference, agent.get("code_reference")),
        "owner_leaving": agent["owner_employment"] == "leaving",
    }
    return [flag for flag, raised in found.items() if raised]


def _differs(presented: str, registered: Json) -> bool:
    return bool(presented and registered and presented != registered)
