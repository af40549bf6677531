"""What happens in the register that a directory's groups follow."""

from __future__ import annotations

from typing import Any

from lifecycle.scim import effects
from registry.models import ClaimedGroup
from registry.signals import claimed_group_agreed


def connect() -> None:
    """Listen; called once the models are there."""
    claimed_group_agreed.connect(put_members_in, dispatch_uid="put members of a group in")


def put_members_in(sender: Any, row: ClaimedGroup, **_: Any) -> None:
    """Two people agreed what a directory's group means here."""
    effects.settle_agreed(row.source, row.claim)
