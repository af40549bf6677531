"""Load the made-up company into a database that is marked as a demo."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from django.db import connection
from psycopg.conninfo import make_conninfo

from governance.kernel.errors import GovernanceError
from lifecycle.demo.loading import load_demo


class Command(BaseCommand):
    help = "Load Halvern Mutual, a made-up company, and a month of its agents' traffic."

    def handle(self, *args: Any, **options: Any) -> None:
        loader = os.environ.get("MUSTER_LOADER_URL", "")
        if not loader:
            raise CommandError("MUSTER_LOADER_URL is not set. `./muster up --demo` sets it.")
        parameters = connection.get_connection_params()
        migrator = make_conninfo(
            **{
                name: parameters[name]
                for name in ("host", "port", "dbname", "user", "password")
                if parameters.get(name)
            }
        )
        folder = Path(settings.MUSTER_DATA)
        try:
            decisions = load_demo(migrator=migrator, loader=loader, folder=folder)
        except GovernanceError as error:
            raise CommandError(error.message) from error
        self.stdout.write(f"Loaded Halvern Mutual with {decisions:,} decisions of a month.")
