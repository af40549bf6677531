"""`./muster rotate_token_key`: sign access tokens with a new key from now on."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand
from django.db import transaction

from audit.enums import Kind
from audit.services import record
from governance.kernel import keys as kernel_keys
from registry.identity.keys import OVERLAP_SECONDS, draft_signing_key, keep_signing_key


class Command(BaseCommand):
    help = "Make a new key for access tokens. Running processes notice; older keys verify on."

    def handle(self, *args: Any, **options: Any) -> None:
        folder = kernel_keys.folder()
        draft = draft_signing_key(folder)
        with transaction.atomic():
            record(
                kind=Kind.ADMIN,
                actor="system:command",
                asked={"did": "token_key_rotated", "kid": draft.kid},
            )
            # After the record: what could not be recorded never signs.
            keep_signing_key(folder, draft)
        hours = OVERLAP_SECONDS // 3600
        self.stdout.write(
            f"{draft.kid} signs from now on. Older keys verify for {hours} hours more."
        )
