"""`./muster rotate_token_key`: sign access tokens with a new key from now on."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import transaction

from audit.enums import Kind
from audit.services import record
from governance.kernel import keys as kernel_keys
from registry.identity.keys import OVERLAP_SECONDS, draft_signing_key, keep_signing_key

# A key that waits longer is forgotten, and then somebody makes another.
MOST_MINUTES = 24 * 60


class Command(BaseCommand):
    help = "Make a new key for access tokens. Running processes notice; older keys verify on."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--in",
            dest="minutes",
            type=int,
            default=0,
            help="minutes until it signs; it verifies at once, on every host that has its file",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        minutes: int = options["minutes"]
        if not 0 <= minutes <= MOST_MINUTES:
            raise CommandError(f"--in is from 0 to {MOST_MINUTES} minutes.")
        folder = kernel_keys.folder()
        draft = draft_signing_key(folder, signs_in=minutes * 60)
        with transaction.atomic():
            record(
                kind=Kind.ADMIN,
                actor="system:command",
                asked={"did": "token_key_rotated", "kid": draft.kid},
            )
            # After the record: what could not be recorded never signs.
            keep_signing_key(folder, draft)
        hours = OVERLAP_SECONDS // 3600
        begins = f"in {minutes} minutes" if minutes else "from now on"
        self.stdout.write(f"{draft.kid} signs {begins}. Older keys verify for {hours} hours more.")
