"""The lifecycle app."""

from __future__ import annotations

from django.apps import AppConfig


class LifecycleConfig(AppConfig):
    name = "lifecycle"

    def ready(self) -> None:
        # Models are there from here on, not before.
        from lifecycle.probes import receivers  # noqa: PLC0415

        receivers.connect()
