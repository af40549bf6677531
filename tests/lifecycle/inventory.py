"""The example inventory, and a register that it was applied to."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from lifecycle.apply.document import read_inventory
from lifecycle.apply.execute import Outcome, apply_inventory
from registry.models import Agent

EXAMPLE = Path(__file__).resolve().parent.parent / "data" / "inventory"
ADMIN, SECOND, OWNER = (f"{name}@inventory.example" for name in ("admin", "second", "owner"))
HEAD = "muster: 1\n"
NEW_AGENT = """
agents:
  - slug: {slug}
    name: New one
    purpose: Reads.
    owner: owner@inventory.example
    allowlist: [{tool}]
    rate_per_minute: 1
    rate_per_hour: 1
    spend_cap_minor: 0
    {more}
"""


def apply_folder(**options: Any) -> Outcome:
    return apply_inventory(read_inventory(str(EXAMPLE)), **options)


def states() -> dict[str, str]:
    return dict(Agent.objects.values_list("slug", "state"))


def waiting(outcome: Outcome) -> dict[str, list[str]]:
    return {step.item.label: step.waits for step in outcome.steps if step.waits}
