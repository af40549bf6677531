"""./muster migrate: Django's own, with less to do on the way."""

from __future__ import annotations

import gc
from typing import Any

from django.core.management.commands import migrate

from governance.migrating import Executor

# The command has no other place to name it.
migrate.MigrationExecutor = Executor  # type: ignore[attr-defined]


class Command(migrate.Command):
    def handle(self, *args: Any, **options: Any) -> None:
        # What was imported stays; each look through it would find nothing to free.
        gc.freeze()
        super().handle(*args, **options)
