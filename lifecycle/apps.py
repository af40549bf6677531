"""The lifecycle app."""

from __future__ import annotations

from django.apps import AppConfig


class LifecycleConfig(AppConfig):
    name = "lifecycle"

    def ready(self) -> None:
        # Models are there from here on, not before.
        from lifecycle import receivers  # noqa: F401, PLC0415
        from lifecycle.probes import receivers as probe_receivers  # noqa: PLC0415
        from lifecycle.reviews import receivers as review_receivers  # noqa: PLC0415
        from lifecycle.sweeps import catalogue  # noqa: PLC0415

        catalogue.register_all()
        review_receivers.connect()
        probe_receivers.connect()
