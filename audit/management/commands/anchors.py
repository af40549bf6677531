"""`./muster anchors`: which there are, what each took last, and whether one can be reached."""

from __future__ import annotations

import json
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from audit.anchors import configured, selectors, services
from audit.anchors.selectors import State
from audit.sealing.selectors import latest_checkpoint
from governance.kernel.errors import GovernanceError


class Command(BaseCommand):
    help = "Anchors: places outside that are told each checkpoint."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("word", nargs="?", default="list", choices=["list", "try", "last"])
        parser.add_argument("name", nargs="?", help="the anchor, for try and last")

    def handle(self, *args: Any, **options: Any) -> None:
        word, name = options["word"], options["name"]
        if word != "list" and not name:
            raise CommandError(f"Which anchor? ./muster anchors {word} NAME")
        try:
            {"list": self._list, "try": self._try, "last": self._last}[word](name)
        except GovernanceError as error:
            raise CommandError(error.message) from error

    def _list(self, _: str) -> None:
        found = selectors.standing()
        for state in found.anchors:
            anchor, where = state.anchor, "outside" if state.anchor.outside else "inside"
            parts = (anchor.name, anchor.kind, where, anchor.where, _took(state))
            self.stdout.write("  ".join(parts))
        self.stdout.write(found.sentence)

    def _try(self, name: str) -> None:
        """Hand it the newest checkpoint now. Only the sweep notes what anchors took."""
        latest = latest_checkpoint()
        if latest is None:
            raise CommandError("Nothing is sealed yet, so there is nothing to hand over.")
        receipt = services.hand_over(configured.find(name), latest)
        self.stdout.write(f"{name} took the checkpoint of {latest.size} entries:")
        self.stdout.write(json.dumps(receipt, indent=1))

    def _last(self, name: str) -> None:
        anchor, taken = configured.find(name), selectors.last()
        if anchor.name not in taken:
            raise CommandError(f"{name} took nothing yet. Try it: ./muster anchors try {name}")
        self.stdout.write(json.dumps(taken[anchor.name].receipt, indent=1))


def _took(state: State) -> str:
    if state.last is None:
        return "nothing yet"
    return f"{state.last.size} entries at {state.last.at:%Y-%m-%d %H:%M:%S}Z"
