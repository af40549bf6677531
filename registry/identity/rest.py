"""REST, used by agents and gateways with their own token."""

from __future__ import annotations

from typing import Any

from rest_framework.authentication import BaseAuthentication
from rest_framework.exceptions import AuthenticationFailed
from rest_framework.request import Request

from governance.kernel.errors import NotSignedIn
from registry.devices import tokens as command_line
from registry.identity import tokens
from registry.identity.clients import Bearer, bearer_of
from registry.identity.tokens import VerifiedToken


class TokenBearer:
    """`request.user` of a call that came with an access token."""

    is_authenticated = True
    is_anonymous = False
    is_active = True
    is_staff = False

    def __init__(self, token: VerifiedToken, bearer: Bearer) -> None:
        self.token = token
        self.client = bearer.client
        self.agent = bearer.agent
        self.gateway = bearer.gateway
        self.kind = bearer.kind
        self.slug = bearer.slug

    def __str__(self) -> str:
        return f"{self.kind}:{self.slug}"


class AgentToken(BaseAuthentication):
    """Bearer tokens. The row is read at every call; without one there is nobody."""

    def authenticate(self, request: Request) -> tuple[Any, VerifiedToken] | None:
        if command_line.is_given(request.headers.get("Authorization", "")):
            return None
        try:
            token = tokens.authenticate(request.headers.get("Authorization", ""))
            if token.acting != tokens.FOR_ITSELF:
                raise NotSignedIn(
                    "This token acts for somebody. Use the agent's own.", code="token_acting"
                )
            return TokenBearer(token, bearer_of(token)), token
        except NotSignedIn as error:
            if error.code == "no_token":
                return None
            raise AuthenticationFailed(error.message, code=error.code) from error

    def authenticate_header(self, request: Request) -> str:
        return 'Bearer realm="muster"'
