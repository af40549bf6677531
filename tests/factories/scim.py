"""Sources of people, and directories that speak to them as the real ones do."""

import json
from itertools import count
from typing import Any

from django.test import Client

from governance.kernel import clock
from lifecycle.models import Source, SourceKind
from lifecycle.scim import tokens

USER = "urn:ietf:params:scim:schemas:core:2.0:User"
GROUP = "urn:ietf:params:scim:schemas:core:2.0:Group"
ENTERPRISE = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"
OURS = "urn:ietf:params:scim:schemas:extension:muster:2.0:User"
PATCH = "urn:ietf:params:scim:api:messages:2.0:PatchOp"

_numbers = count(1)


def make_source(**fields: Any) -> tuple[Source, str]:
    """An open SCIM source and its token."""
    token = tokens.new_token()
    slug = fields.pop("slug", f"directory-{next(_numbers)}")
    given = {
        "kind": SourceKind.SCIM,
        "title": slug,
        "token_digest": tokens.digest_of(token),
        "created_at": clock.now(),
    }
    return Source.objects.create(slug=slug, **(given | fields)), token


class Directory:
    """Speaks SCIM to the application, in process."""

    def __init__(self, token: str, **extra: Any) -> None:
        self.token = token
        self.client = Client(enforce_csrf_checks=True, **extra)

    def ask(self, method: str, path: str, body: Any = None, **headers: str) -> Any:
        sent = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body)
        return self.client.generic(
            method,
            f"/scim/v2{path}",
            sent,
            content_type="application/scim+json",
            headers={"Authorization": f"Bearer {self.token}", **headers},
        )

    def get(self, path: str, **query: str) -> Any:
        return self.client.get(
            f"/scim/v2{path}", query, headers={"Authorization": f"Bearer {self.token}"}
        )

    def create(self, user_name: str, **more: Any) -> dict[str, Any]:
        """A user as made; fails where it was not."""
        body = {"schemas": [USER], "userName": user_name, "active": True, **more}
        answer = self.ask("POST", "/Users", body)
        assert answer.status_code == 201, answer.content
        made: dict[str, Any] = answer.json()
        return made

    def patch(self, path: str, *operations: dict[str, Any], **headers: str) -> Any:
        return self.ask("PATCH", path, {"schemas": [PATCH], "Operations": operations}, **headers)


def make_directory(**fields: Any) -> Directory:
    return Directory(make_source(**fields)[1])
