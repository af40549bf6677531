"""Token exchange (RFC 8693): acting for a person, handing on to another agent, taking up a link.

What is presented decides what comes of it. A person's grant token, with the agent's own as the
actor, becomes one that acts for them. An agent's own token, or one that acts for somebody, becomes
a hand-over where a receiver is named. A hand-over becomes the receiver's. Whoever presents it
proves itself besides, and whatever was issued to another agent is worth nothing to it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID

from authz import timekeeper
from authz.asks import caller_of
from authz.errors import DelegationRefused, NoSuchDelegation
from authz.models import Delegation
from authz.oauth import acting
from authz.oauth.errors import (
    InvalidDetails,
    InvalidGrant,
    InvalidRequest,
    InvalidScope,
    InvalidTarget,
    OAuthError,
    UnauthorizedClient,
)
from authz.oauth.forms import Form
from authz.services.delegations import HandOver, delegate
from governance.kernel import strict_json
from governance.kernel.errors import GovernanceError, Invalid, NotSignedIn
from registry.identity import clients, tokens
from registry.identity.clients import Bearer
from registry.identity.tokens import AGENT, FOR_ITSELF, Acting, IssuedToken, Use, VerifiedToken
from registry.models import Client

GRANT_TYPE = "urn:ietf:params:oauth:grant-type:token-exchange"
ACCESS_TOKEN = "urn:ietf:params:oauth:token-type:access_token"  # noqa: S105 - the name of a type
JWT = "urn:ietf:params:oauth:token-type:jwt"
TYPES = frozenset({ACCESS_TOKEN, JWT})
DETAIL = "muster_tool"
SCOPE = "decide"
MAX_SESSION = 200
_WORDS: Mapping[str, type[OAuthError]] = {
    "receiver": InvalidTarget,
    "not_declared": InvalidTarget,
    "tools": InvalidScope,
}


@dataclass(frozen=True, slots=True)
class Asked:
    """An exchange that was read: what is presented, and to whom it is to be handed, if at all."""

    subject: VerifiedToken
    actor: VerifiedToken | None
    receiver: str


def exchange(bearer: Bearer, form: Form) -> IssuedToken:
    """A token for what is presented. Raises `OAuthError`."""
    if bearer.kind != AGENT:
        raise UnauthorizedClient("Tokens are exchanged by agents.")
    asked = _asked(bearer, form)
    if asked.receiver:
        return _handed_over(bearer, asked, form)
    if form.get("scope", SCOPE) != SCOPE:
        raise InvalidScope()
    if asked.subject.use is Use.GRANT:
        return _on_behalf(bearer, asked)
    if asked.subject.use is Use.HAND_OVER:
        return _taken_up(bearer, asked.subject)
    raise InvalidTarget("Name the agent that receives it as the audience.")


# What is presented


def _asked(bearer: Bearer, form: Form) -> Asked:
    subject = _presented(bearer, form, "subject")
    if subject is None:
        raise InvalidRequest("The parameter subject_token is missing.")
    actor = _presented(bearer, form, "actor")
    if actor is not None and (actor.use is not Use.ACCESS or actor.acting != FOR_ITSELF):
        raise InvalidRequest("The actor_token is the agent's own access token.")
    if form.get("requested_token_type", ACCESS_TOKEN) not in TYPES:
        raise InvalidRequest("The requested_token_type is an access token.")
    return Asked(subject, actor, _receiver(form))


def _receiver(form: Form) -> str:
    """The agent that it is to be handed to, "" where the token is for Muster itself."""
    named = {form[name] for name in ("audience", "resource") if name in form}
    named -= {tokens.audience()}
    if len(named) > 1:
        raise InvalidTarget("The audience and the resource name different ones.")
    return named.pop() if named else ""


def _presented(bearer: Bearer, form: Form, name: str) -> VerifiedToken | None:
    """A token that was presented: valid, of this client, and not ended. None where there is none.

    Raises `InvalidRequest`, as RFC 8693 section 2.2.2 wants it.
    """
    raw = form.get(f"{name}_token")
    if raw is None:
        if f"{name}_token_type" in form:
            raise InvalidRequest(f"The parameter {name}_token is missing.")
        return None
    if form.get(f"{name}_token_type") not in TYPES:
        raise InvalidRequest(f"The {name}_token_type is that of an access token or a JWT.")
    token = acting.verified(raw)
    if token is None:
        raise InvalidRequest(f"The {name}_token is not one that Muster issued, or it is over.")
    if token.client_id != bearer.client.client_id:
        raise InvalidRequest(f"The {name}_token was issued to another agent.")
    try:
        clients.bearer_of(token)
    except NotSignedIn as error:
        raise InvalidRequest(f"The {name}_token is over: {error.message}") from error
    return token


# For a person


def _on_behalf(bearer: Bearer, asked: Asked) -> IssuedToken:
    """A grant token, and the agent's own: one that acts for the person."""
    if asked.actor is None:
        raise InvalidRequest("Send the agent's own access token as the actor_token.")
    grant = acting.live_grant(asked.subject.acting.grant)
    if grant.agent_id != bearer.row.pk:
        raise InvalidGrant("That consent is for another agent.")
    return _issued(bearer, acting.of_grant(grant), grant.until)


def _taken_up(bearer: Bearer, subject: VerifiedToken) -> IssuedToken:
    """What was handed over, by its receiver: one that acts on it."""
    link = acting.live_delegation(subject.acting.delegation)
    if link.receiver_id != bearer.row.pk:
        raise InvalidGrant("That was handed over to another agent.")
    return _issued(bearer, acting.of_delegation(link), link.until)


def _issued(bearer: Bearer, whom: Acting, until: Any) -> IssuedToken:
    issued = acting.issue(
        use=Use.ACCESS,
        client=bearer.client,
        slug=bearer.slug,
        acting=whom,
        scope=SCOPE,
        until=until,
    )
    acting.note(bearer, "token_exchanged", issued, whom)
    return issued


# To another agent


def _handed_over(bearer: Bearer, asked: Asked, form: Form) -> IssuedToken:
    """A link to the receiver, and the token by which it takes it up. Nobody else can."""
    if asked.subject.use is Use.HAND_OVER:
        raise InvalidRequest("Take it up first: exchange it for a token of your own.")
    client = Client.objects.filter(agent__slug=asked.receiver).first()
    if client is None:
        raise InvalidTarget(f"There is no agent {asked.receiver[:60]} that could take it up.")
    link = _delegated(asked, form)
    whom = acting.of_delegation(link)
    issued = acting.issue(
        use=Use.HAND_OVER,
        client=client,
        slug=asked.receiver,
        acting=whom,
        scope=" ".join(sorted(link.tools)),
        until=link.until,
    )
    acting.note(bearer, "token_exchanged", issued, whom)
    return issued


def _delegated(asked: Asked, form: Form) -> Delegation:
    subject, wanted = asked.subject, _wanted(asked, form)
    try:
        return delegate(caller=caller_of(subject), wanted=wanted)
    except DelegationRefused as error:
        raise _WORDS.get(error.code, InvalidGrant)(error.message) from error
    except NoSuchDelegation as error:
        raise InvalidGrant(error.message) from error
    except GovernanceError as error:
        if error.status >= 500:
            raise
        raise InvalidRequest(error.message) from error


def _wanted(asked: Asked, form: Form) -> HandOver:
    whom = asked.subject.acting
    session = form.get("session", "")
    if len(session) > MAX_SESSION:
        raise InvalidRequest(f"The session is longer than {MAX_SESSION} characters.")
    seconds = form.get("expires_in", "")
    if seconds and not (seconds.isdecimal() and seconds.isascii() and 0 < len(seconds) < 7):
        raise InvalidRequest("expires_in is a whole number of seconds.")
    return HandOver(
        receiver=asked.receiver,
        tools=_tools(form),
        until=timekeeper.now() + timedelta(seconds=int(seconds)) if seconds else None,
        user=whom.user,
        parent=UUID(whom.delegation) if whom.delegation else None,
        session=session,
    )


def _tools(form: Form) -> dict[str, Mapping[str, Any]]:
    """The tools to hand over, each with what narrows it: the scope, and details (RFC 9396)."""
    named = [name for name in form.get("scope", "").split(" ") if name]
    details = _details(form)
    if not named and not details:
        raise InvalidScope("Name the tools in the scope, with spaces between them.")
    if named and (beyond := sorted(details.keys() - set(named))):
        raise InvalidScope(f"The details name what the scope does not: {', '.join(beyond)[:200]}.")
    return {name: details.get(name, {}) for name in named or details}


def _details(form: Form) -> dict[str, Mapping[str, Any]]:
    """What narrows each tool: `[{"type": "muster_tool", "tool": "…", "parameters": {…}}]`."""
    if "authorization_details" not in form:
        return {}
    try:
        listed = strict_json.loads(form["authorization_details"].encode())
    except Invalid as error:
        raise _bad_details("it is no JSON") from error
    if not isinstance(listed, list):
        raise _bad_details("it is no list")
    found: dict[str, Mapping[str, Any]] = {}
    for each in listed:
        name, rule = _detail(each)
        if name in found:
            raise _bad_details(f"{name[:60]} stands twice")
        found[name] = rule
    return found


def _detail(each: Any) -> tuple[str, Mapping[str, Any]]:
    if not isinstance(each, dict) or each.get("type") != DETAIL:
        raise _bad_details(f"every entry is an object of the type {DETAIL}")
    if unknown := sorted(each.keys() - {"type", "tool", "parameters"}):
        raise _bad_details(f"{unknown[0][:60]} is not known")
    name, rule = each.get("tool"), each.get("parameters", {})
    if not isinstance(name, str) or not name or not isinstance(rule, dict):
        raise _bad_details("an entry names a tool, and parameters is a JSON Schema")
    return name, rule


def _bad_details(why: str) -> OAuthError:
    return InvalidDetails(f"The authorization_details cannot be read: {why}.")
