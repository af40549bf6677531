"""`./muster rotate_vault_key`: wrap every secret of the embedded vault under a new key.

The new key is written first, beside the old one, and wraps from then on. Then each secret is
wrapped again, one transaction each. Last the old key goes, when nothing is wrapped under it any
more. Whatever stops it in between, run it again: it goes on where it was.
"""

from __future__ import annotations

import secrets
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from django.db import connection, transaction

from audit.enums import Kind
from audit.services import record
from governance.kernel.errors import GovernanceError
from registry.models import StoredSecret
from registry.vault import embedded, keyring
from registry.vault.envelope import KEY, vault_key


class Command(BaseCommand):
    help = "Wrap every secret of the embedded vault under a new key. Goes on where it stopped."

    def handle(self, *args: Any, **options: Any) -> None:
        self._check_every_key_is_here()
        if settings.MUSTER_VAULT_KEY:
            self._require_two()
        elif len(keyring.raw_keys()) == 1:
            self._begin()
        else:
            self.stdout.write("A rotation was begun before; going on with it.")
        self.stdout.write(f"{self._rewrap()} secrets are wrapped under the new key.")
        self._end()

    def _check_every_key_is_here(self) -> None:
        if strangers := embedded.unknown_keys():
            raise CommandError(embedded.wrong_key(strangers))

    def _require_two(self) -> None:
        if len(keyring.raw_keys()) == 1:
            raise CommandError(
                "MUSTER_VAULT_KEY holds the key: put a new one before it, with a comma between, "
                "restart every process, and run this again."
            )

    def _begin(self) -> None:
        fresh, old = secrets.token_bytes(KEY), keyring.raw_keys()
        with transaction.atomic():
            _record("vault_key_rotation_begun", key=vault_key(fresh).id)
            # After the record: what could not be recorded never wraps.
            keyring.write((fresh, *old))

    def _rewrap(self) -> int:
        waiting = StoredSecret.objects.exclude(key_id__in=("", keyring.current().id))
        keys = list(waiting.order_by("pk").values_list("pk", flat=True))
        return sum(map(self._rewrap_one, keys))

    def _rewrap_one(self, pk: int) -> bool:
        try:
            with embedded.wrapping():
                return embedded.rewrap(
                    StoredSecret.objects.select_for_update(no_key=True).get(pk=pk)
                )
        except GovernanceError as error:
            # The others go on; the old key stays as long as this one needs it.
            self.stderr.write(f"A secret could not be wrapped again: {error.message}")
            return False

    def _end(self) -> None:
        """Nobody may be wrapping under the old key while it goes."""
        with transaction.atomic():
            with connection.cursor() as cursor:
                cursor.execute("SELECT pg_advisory_xact_lock(%s)", [embedded.KEY_LOCK])
            current = keyring.current().id
            left = StoredSecret.objects.exclude(key_id__in=("", current)).count()
            if left:
                raise CommandError(f"{left} secrets still need the old key. Run this again.")
            _record("vault_key_rotated", key=current)
            if settings.MUSTER_VAULT_KEY:
                self.stdout.write("Take the old key out of MUSTER_VAULT_KEY now.")
            else:
                keyring.write(keyring.raw_keys()[:1])


def _record(did: str, *, key: str) -> None:
    record(kind=Kind.ADMIN, actor="system:command", asked={"did": did, "wrapped_by": key})
