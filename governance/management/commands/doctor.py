"""./muster doctor: what of this installation is well, what is not, and what to do about it."""

from __future__ import annotations

import sys
from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from governance.doctor import report, telling

NOT_WELL = 1


class Command(BaseCommand):
    help = "Say what of this installation is well and what is not. Exit code 1 if anything failed."
    # They are among what it looks at, and must not keep it from looking at the rest.
    requires_system_checks = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--json", action="store_true", help="for programs")

    def handle(self, *args: Any, **options: Any) -> None:
        found = report.findings()
        told = telling.as_json if options["json"] else telling.as_text
        self.stdout.write(told(found))
        if not telling.is_well(found):
            sys.exit(NOT_WELL)
