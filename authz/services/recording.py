"""How changes of who may do what are recorded: in the transaction of the change."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from audit import services as audit
from audit.enums import Kind
from registry.models import Person


def record(
    did: str,
    *,
    by: Person,
    agent: str = "",
    resource: str = "",
    told: Mapping[str, Any] | None = None,
    sealed: Mapping[str, Any] | None = None,
) -> None:
    """Record that `by` did this. `told` stays readable for good, `sealed` is payload."""
    audit.record(
        kind=Kind.POLICY,
        actor=by.pid,
        agent=agent,
        resource=resource,
        asked={"did": did, **(told or {})},
        payload={"changed": dict(sealed)} if sealed else {},
    )
