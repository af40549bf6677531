"""./muster doctor: what of this installation is well, what is not, and what that means."""

from __future__ import annotations

import sys
from typing import Any

from django.core.management.base import BaseCommand

from audit import protection
from governance import health
from registry import selectors, vault

NOT_WELL = 1


class Command(BaseCommand):
    help = "Say what of this installation is well and what is not. Exit code 1 if anything is not."

    def handle(self, *args: Any, **options: Any) -> None:
        found = {**health.states(), "record": protected(), **vaults()}
        width = max(map(len, found)) + 2
        for name, state in found.items():
            self.stdout.write(f"{name:<{width}}{state}")
        for sentence in remarks():
            self.stdout.write(f"note: {sentence}")
        if any(state != health.OK for state in found.values()):
            sys.exit(NOT_WELL)


def protected() -> str:
    """Whether the catalogue protects the record as it should."""
    return " ".join(protection.faults()) or health.OK


def vaults() -> dict[str, str]:
    """Each vault by the scheme of its references; asked here alone, as some lie far away."""
    return {f"{scheme}://": fault or health.OK for scheme, fault in vault.health().items()}


def remarks() -> list[str]:
    """What is no fault, but somebody should know."""
    told = []
    if selectors.is_demo():
        told.append("this is a demo; its people and agents are made up.")
    if not selectors.has_separation_of_duties():
        told.append(
            "fewer than two people are in security, so nothing that widens can be agreed to."
        )
    return told
