"""What is still to be done for an agent whose row is closed: destroying what was revoked, and
waiting for people to say that what was read opens nothing any more."""

from __future__ import annotations

import logging
from datetime import datetime
from uuid import UUID

from django.db.models import QuerySet

from governance.kernel import clock
from governance.kernel.errors import GovernanceError
from lifecycle.decommissioning import certificate, reading
from lifecycle.decommissioning.steps import ENDING
from lifecycle.models import EndRun
from registry import vault
from registry.enums import CredentialKind, CredentialState
from registry.models import CredentialReference

log = logging.getLogger(__name__)


def to_destroy(run: EndRun) -> QuerySet[CredentialReference]:
    """What Muster stored for it and has not destroyed yet."""
    rows = run.agent.credentials.filter(kind=CredentialKind.HERE, state=CredentialState.REVOKED)
    return rows.order_by("reference")


def destroy_due(run_id: UUID) -> None:
    """Destroy for good what was revoked, once the days of its tier are over. Not within a
    transaction: a vault may be far away. What one refuses is tried again with the next look."""
    run = EndRun.objects.select_related("agent").get(pk=run_id)
    if clock.now() < run.destroy_at:
        return
    for each in to_destroy(run):
        try:
            vault.destroy(each.reference, by=ENDING)
        except GovernanceError as error:
            log.warning("%s is not destroyed yet: %s", each.reference, error.code)


def look(run: EndRun, now: datetime) -> None:
    """Put down what has changed since the last certificate, and whether anything is left."""
    certificate.issue(run)
    if run.settled_at is None and not reading.left_of(run) and not to_destroy(run).exists():
        run.settled_at = now
        run.save(update_fields=["settled_at"])
