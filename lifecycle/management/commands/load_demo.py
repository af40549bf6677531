"""Load the made-up company into a database that is marked as a demo."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from governance.kernel.errors import GovernanceError
from lifecycle.demo.loading import load_demo


class Command(BaseCommand):
    help = "Load Halvern Mutual, a made-up company, and a month of its agents' traffic."

    def handle(self, *args: Any, **options: Any) -> None:
        loader = os.environ.get("MUSTER_LOADER_URL", "")
        migrator = os.environ.get("MUSTER_MIGRATOR_URL", "")
        if not loader or not migrator:
            raise CommandError(
                "Only `./muster up --demo` has the logins that loading a demo takes."
            )
        folder = Path(settings.MUSTER_DATA)
        try:
            decisions = load_demo(migrator=migrator, loader=loader, folder=folder)
        except GovernanceError as error:
            raise CommandError(error.message) from error
        self.stdout.write(f"Loaded Halvern Mutual with {decisions:,} decisions of a month.")
