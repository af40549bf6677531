"""What `./muster restore` says of itself on the record. Nobody needs to call it by hand."""

from __future__ import annotations

import json
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from lifecycle.restoring import Restored, declare


class Command(BaseCommand):
    help = "Put a restoration on the record, and stop every agent where entries are gone."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("facts", help="because, copied_at, entries and signed, as JSON")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            facts = Restored(**json.loads(options["facts"]))
        except (TypeError, ValueError) as error:
            raise CommandError(f"These are not the facts of a restoration: {error}") from error
        stopped = declare(facts)
        self.stdout.write(f"The restoration is on the record; {stopped} agents were stopped.")
