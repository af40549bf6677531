"""How OpenAPI tells of the session. Not beside it: REST framework loads that before this can be."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from drf_spectacular.extensions import OpenApiAuthenticationExtension
from drf_spectacular.openapi import AutoSchema
from rest_framework.permissions import SAFE_METHODS

from registry.api.authentication import CommandLine, PersonSession
from registry.identity.rest import AgentToken


class DescribedSession(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]
    """A cookie; what writes needs the CSRF token too."""

    target_class = PersonSession
    name = ["session", "csrf"]

    def get_security_requirement(self, auto_schema: AutoSchema) -> dict[str, list[Any]]:
        reads = auto_schema.method in SAFE_METHODS
        return {"session": []} if reads else {"session": [], "csrf": []}

    def get_security_definition(self, auto_schema: AutoSchema) -> list[dict[str, Any]]:
        return [
            {"type": "apiKey", "in": "cookie", "name": settings.SESSION_COOKIE_NAME},
            {"type": "apiKey", "in": "header", "name": "X-CSRFToken"},
        ]


class DescribedToken(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]
    """An agent's or a gateway's own access token."""

    target_class = AgentToken
    name = "token"

    def get_security_definition(self, auto_schema: AutoSchema) -> dict[str, Any]:
        return {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"}


class DescribedCommandLine(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]
    """The token of a person's command line, by the device authorization grant."""

    target_class = CommandLine
    name = "command_line"

    def get_security_definition(self, auto_schema: AutoSchema) -> dict[str, Any]:
        return {"type": "http", "scheme": "bearer"}
