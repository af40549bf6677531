"""The compliance app."""

from __future__ import annotations

from django.apps import AppConfig


class ComplianceConfig(AppConfig):
    name = "compliance"

    def ready(self) -> None:
        # Models are there from here on, not before.
        from compliance.annexes import tables  # noqa: PLC0415
        from compliance.evidence.asking import check_frameworks  # noqa: PLC0415
        from compliance.reports.sweep import SWEEP  # noqa: PLC0415
        from compliance.retention import dropping  # noqa: PLC0415
        from compliance.retention import sweep as retention  # noqa: PLC0415
        from compliance.subjects import services as subjects  # noqa: PLC0415
        from compliance.subjects import sweep as erasure  # noqa: PLC0415
        from compliance.subjects import waiting  # noqa: PLC0415
        from lifecycle.due.kinds import register as register_due  # noqa: PLC0415
        from lifecycle.inbox.added import register as register_entries  # noqa: PLC0415
        from lifecycle.sweeps import register  # noqa: PLC0415

        check_frameworks(tables())
        for sweep in (SWEEP, erasure.SWEEP, retention.SWEEP):
            register(sweep)
        subjects.connect()
        register_due(waiting.DUE)
        register_entries(waiting.INBOX)
        dropping.connect()
