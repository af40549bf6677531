"""./muster export: the register as the inventory that `apply` reads."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from lifecycle.apply.export import export_text
from lifecycle.apply.kinds import KINDS


class Command(BaseCommand):
    help = "Write the register as an inventory. No secret is ever part of it."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--kind", action="append", choices=list(KINDS), help="only this kind; may be repeated"
        )
        parser.add_argument("--output", metavar="FILE", help="write there instead of printing")

    def handle(self, *args: Any, **options: Any) -> None:
        text = export_text(options["kind"] or KINDS)
        if options["output"]:
            Path(options["output"]).write_text(text)
        else:
            self.stdout.write(text, ending="")
