"""What is asked, and by whom, before anything has been looked up."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from authz.engine.types import Input, SubjectKind, Token
from registry.identity.tokens import VerifiedToken

MAX_REASONING = 4000


@dataclass(frozen=True, slots=True)
class Caller:
    """Whoever presented a token: an agent, or a gateway that asks for others."""

    kind: str
    slug: str
    token: Token | None = None

    @property
    def is_gateway(self) -> bool:
        """A gateway names whom it asks for; an agent is its own subject."""
        return self.kind == "gateway"

    @property
    def is_for_another(self) -> bool:
        """Whether the token stands for a user, or for what was handed over."""
        return self.token is not None and bool(self.token.user or self.token.delegation)

    @property
    def key(self) -> str:
        """The slice that holds the caller's own facts."""
        return f"{self.kind}:{self.slug}"


def caller_of(token: VerifiedToken) -> Caller:
    """Whoever presented a verified token, with what it says of whom they act for."""
    acting = token.acting
    return Caller(
        token.kind,
        token.slug,
        Token(token.version, token.jti, acting.user, acting.grant, acting.delegation),
    )


@dataclass(frozen=True, slots=True)
class Ask:
    """One question in one shape, whichever shape it came in. Names are as they were sent.

    `inputs` is what was sent under that name, `read` those of them that name a system; `untrusted`
    are the parameters that the caller took from hostile input; `plan` is one for the session;
    `estimate` is what the call is expected to cost, in minor units of a currency; `approval` is
    the id of the release that the caller says it has, `delegation` that of the link under which it
    acts; `retry` are the digests of a key of the
    caller's and of what it asked under it.
    """

    kind: SubjectKind
    tool: str
    agent: str = ""
    person: str = ""
    user: str = ""
    chain: tuple[str, ...] = ()
    subject_type: str = "agent"
    subject_properties: Mapping[str, Any] = field(default_factory=dict)
    parameters: Mapping[str, Any] = field(default_factory=dict)
    resource_type: str = ""
    resource_id: str = ""
    resource_properties: Mapping[str, Any] = field(default_factory=dict)
    session: str = ""
    prompt_digest: str = ""
    code_reference: str = ""
    reasoning: str = ""
    inputs: Any = None
    read: tuple[Input, ...] = ()
    untrusted: tuple[str, ...] = ()
    plan: Mapping[str, Any] | None = None
    estimate: tuple[int, str] | None = None
    retry: tuple[str, str] | None = None
    approval: str = ""
    delegation: str = ""


def adopted(ask: Ask, caller: Caller) -> Ask:
    """The question with the user and the link that the caller's token stands for, if left out.

    Where it names others, the identity check refuses it.
    """
    token = caller.token
    if token is None or ask.kind is not SubjectKind.AGENT or not caller.is_for_another:
        return ask
    return replace(ask, user=ask.user or token.user, delegation=ask.delegation or token.delegation)
