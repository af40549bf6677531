"""The Django app that holds an installation together."""

from __future__ import annotations

from django.apps import AppConfig


class GovernanceConfig(AppConfig):
    """Registers the boot checks and makes the task queue known to every process."""

    name = "governance"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        # Both need the app registry to be filled, which is only so from here on.
        from governance import celery  # noqa: F401, PLC0415
        from governance.kernel import checks  # noqa: F401, PLC0415
