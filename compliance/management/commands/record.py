"""`./muster record drop MONTH --export FOLDER`: carry out what two people ordered."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import DatabaseError

from audit.dropping.export import path_of
from compliance.retention import dropping
from governance.kernel.errors import GovernanceError


class Command(BaseCommand):
    help = "The record: drop a month whose time is over, as two people ordered, exported first."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("word", choices=["drop"])
        parser.add_argument("month", help="the month, as 2019-03")
        parser.add_argument("--export", required=True, type=Path, help="the folder for its file")

    def handle(self, *args: Any, **options: Any) -> None:
        folder: Path = options["export"]
        if not folder.is_dir():
            raise CommandError(f"There is no folder {folder}. Make it first.")
        try:
            month = dropping.month_named(options["month"])
            done = dropping.carry_out(month, folder)
        except GovernanceError as error:
            raise CommandError(error.message) from error
        except (DatabaseError, OSError) as error:
            raise CommandError(f"Nothing was dropped: {error}".strip()) from error
        self.stdout.write(
            f"{month:%Y-%m} is dropped: {done.entries} entries, at {done.at:%Y-%m-%d %H:%M:%S}Z.\n"
            f"Declared by record {done.record}.\n"
            f"Its file: {path_of(folder, month)}, SHA-256 {done.digest}.\n"
            "Keep that file: it alone says what was in these entries."
        )
