"""Giving a grant once more, as things are now."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from uuid import UUID

from django.db import transaction

from authz.errors import GrantRefused
from authz.models import Grant
from authz.services.grants import give_grant
from lifecycle.grants import selectors
from registry.models import Person


@transaction.atomic
def give_again(
    *, grant_id: UUID, tools: Collection[str], by: Person, until: datetime | None = None
) -> Grant:
    """Give some or all of an earlier grant anew: what narrows a tool stays, nothing is added.

    Everything is evaluated as it is now. Where the earlier one is live it is replaced, and what
    was handed over on it ends. Raises `NoSuchGrant`, `GrantRefused`, `AgentNotActive`.
    """
    earlier = selectors.own_grant(by, grant_id)
    if beyond := sorted(set(tools) - earlier.tools.keys()):
        raise GrantRefused(
            f"What is given again is what it had, and that was not {', '.join(beyond)[:200]}. "
            f"{earlier.agent.slug} asks for more itself.",
            code="grant_tools",
        )
    wanted = {name: earlier.tools[name] for name in tools}
    return give_grant(agent_id=earlier.agent_id, tools=wanted, by=by, until=until)
