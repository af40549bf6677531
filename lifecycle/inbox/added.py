"""What apps above this one bring into the inbox. They register it in `AppConfig.ready`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from governance.kernel.waiting import Waiting
from registry.models import Person


@dataclass(frozen=True, slots=True)
class Added:
    """One kind of entry. `shown(name, person)` is what its article shows, its `template` with it;
    it raises `NotFound` for what does not wait for this person."""

    kind: str
    waiting_for: Callable[[Person], list[Waiting]]
    shown: Callable[[str, Person], dict[str, Any]]


_added: dict[str, Added] = {}


def register(added: Added) -> None:
    """Make a kind known."""
    _added[added.kind] = added


def kinds() -> dict[str, Added]:
    """Every kind that was registered."""
    return _added
