"""The authorization request (RFC 6749 section 4.1.1, RFC 7636): read, and answered by redirect.

Nobody is sent to an address before it is known to be one of the agent's. Whatever else is wrong
is told there, with the state and the issuer (RFC 9207).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlencode, urlsplit

from django.http import QueryDict

from authz.oauth.errors import (
    InvalidRequest,
    InvalidScope,
    InvalidTarget,
    NobodyToSendBack,
    OAuthError,
    UnsupportedResponseType,
)
from registry.enums import IdentityPattern
from registry.identity import tokens
from registry.identity.clients import why_not_active
from registry.models import Agent, Client

RESPONSE_TYPE = "code"
METHOD = "S256"
SILENT = "none"
MAX_STATE = 500
MAX_TOOLS = 100
PROMPTS = frozenset({"", SILENT, "consent"})
_CHALLENGE = re.compile(r"[A-Za-z0-9_-]{43}")
_NOT_FOR_DESCRIPTIONS = re.compile(r"[^\x20-\x21\x23-\x5b\x5d-\x7e]")


@dataclass(frozen=True, slots=True)
class Way:
    """Which agent asks, and where the answer goes. `state` comes back as it was sent."""

    client: Client
    agent: Agent
    redirect_uri: str
    state: str

    @property
    def origin(self) -> str:
        """Scheme, host and port of where the answer goes."""
        parts = urlsplit(self.redirect_uri)
        return f"{parts.scheme}://{parts.netloc}"

    def back(self, answer: Mapping[str, str]) -> str:
        """The address that carries the answer back."""
        said = {**answer, "state": self.state, "iss": tokens.issuer()}
        query = urlencode({name: value for name, value in said.items() if value})
        return f"{self.redirect_uri}{'&' if '?' in self.redirect_uri else '?'}{query}"

    def refused(self, error: OAuthError) -> str:
        """The address that tells the agent why it gets nothing."""
        description = _NOT_FOR_DESCRIPTIONS.sub("?", error.message)
        return self.back({"error": error.code, "error_description": description})


@dataclass(frozen=True, slots=True)
class Wanted:
    """What an agent asks a person for: these tools, by name, and how it proves that it asked."""

    tools: tuple[str, ...]
    challenge: str
    is_silent: bool = False


def read_way(query: QueryDict) -> Way:
    """Who asks and where the answer goes. Raises `NobodyToSendBack`: the person is told alone."""
    client_id, redirect_uri = _single(query, "client_id"), _single(query, "redirect_uri")
    known = Client.objects.select_related("agent__owner").filter(client_id=client_id[:64])
    client = known.first() if client_id and "\0" not in client_id else None
    if client is None or client.agent is None:
        raise NobodyToSendBack("No agent on the register goes by that client id.")
    agent = client.agent
    if redirect_uri not in agent.redirect_uris:
        raise NobodyToSendBack(
            f"{agent.slug} sent you here with an address to return to that its row does not name. "
            f"Its owner {agent.owner} can declare it."
        )
    if sentence := why_not_active(agent):
        raise NobodyToSendBack(sentence)
    if agent.pattern == IdentityPattern.SERVICE:
        raise NobodyToSendBack(f"{agent.slug} acts for nobody: its identity pattern is service.")
    state = query.get("state", "")
    return Way(client, agent, redirect_uri, state if _is_state(state) else "")


def read_wanted(query: QueryDict) -> Wanted:
    """What is asked for. Raises `OAuthError`, to be told to the agent."""
    given = {name: _only(query, name) for name in query}
    if given.get("response_type") != RESPONSE_TYPE:
        raise UnsupportedResponseType()
    if not _is_state(given.get("state", "")):
        raise InvalidRequest(f"The state is longer than {MAX_STATE} characters, or no plain text.")
    if given.get("code_challenge_method") != METHOD:
        raise InvalidRequest("Send code_challenge_method=S256 (RFC 7636).")
    if not _CHALLENGE.fullmatch(given.get("code_challenge", "")):
        raise InvalidRequest("Send a code_challenge of 43 characters (RFC 7636).")
    if given.get("resource", tokens.audience()) != tokens.audience():
        raise InvalidTarget()
    if given.get("prompt", "") not in PROMPTS:
        raise InvalidRequest("The prompt is none or consent.")
    return Wanted(_tools(given), given["code_challenge"], given.get("prompt") == SILENT)


def _tools(given: Mapping[str, str]) -> tuple[str, ...]:
    """The names of tools in the scope, each once, as they came."""
    named = tuple(dict.fromkeys(name for name in given.get("scope", "").split(" ") if name))
    if not named:
        raise InvalidScope("Name the tools in the scope, with spaces between them.")
    if len(named) > MAX_TOOLS:
        raise InvalidScope(f"At most {MAX_TOOLS} tools at once.")
    return named


def _single(query: QueryDict, name: str) -> str:
    try:
        return _only(query, name)
    except InvalidRequest as error:
        raise NobodyToSendBack(error.message) from error


def _only(query: QueryDict, name: str) -> str:
    values = query.getlist(name)
    if len(values) > 1:
        raise InvalidRequest("A parameter stands twice.")
    return values[0] if values else ""


def _is_state(text: str) -> bool:
    """What can be sent back as it came (RFC 6749 appendix A.5)."""
    return len(text) <= MAX_STATE and text.isascii() and (not text or text.isprintable())
