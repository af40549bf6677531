"""The lifecycle app."""

from __future__ import annotations

from django.apps import AppConfig
from django.db.models.signals import post_migrate


class LifecycleConfig(AppConfig):
    name = "lifecycle"

    def ready(self) -> None:
        # Models are there from here on, not before.
        from lifecycle import receivers  # noqa: F401, PLC0415
        from lifecycle.observing import receivers as observing  # noqa: PLC0415
        from lifecycle.probes import receivers as probe_receivers  # noqa: PLC0415
        from lifecycle.provisioning import identities  # noqa: PLC0415
        from lifecycle.provisioning import receivers as provisioning  # noqa: PLC0415
        from lifecycle.reviews import receivers as review_receivers  # noqa: PLC0415
        from lifecycle.sweeps import catalogue  # noqa: PLC0415
        from lifecycle.templates import first  # noqa: PLC0415
        from lifecycle.templates import receivers as template_receivers  # noqa: PLC0415
        from lifecycle.toxic import receivers as toxic_receivers  # noqa: PLC0415

        catalogue.register_all()
        review_receivers.connect()
        probe_receivers.connect()
        provisioning.connect()
        identities.register_steps()
        observing.connect()
        template_receivers.connect()
        toxic_receivers.connect()
        post_migrate.connect(first.plant_templates, sender=self, dispatch_uid="plant the templates")
