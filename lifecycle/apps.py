"""The lifecycle app."""

from __future__ import annotations

from django.apps import AppConfig
from django.db.models.signals import post_migrate


class LifecycleConfig(AppConfig):
    name = "lifecycle"

    def ready(self) -> None:
        # Models are there from here on, not before.
        from lifecycle import receivers  # noqa: F401, PLC0415
        from lifecycle.cases import kinds  # noqa: PLC0415
        from lifecycle.cases import receivers as case_receivers  # noqa: PLC0415
        from lifecycle.decommissioning import receivers as decommissioning  # noqa: PLC0415
        from lifecycle.decommissioning import steps as ending_steps  # noqa: PLC0415
        from lifecycle.due import own as due  # noqa: PLC0415
        from lifecycle.grants import beforehand  # noqa: PLC0415
        from lifecycle.grants import telling as grants  # noqa: PLC0415
        from lifecycle.idle import cases as idle  # noqa: PLC0415
        from lifecycle.leavers import kind as leavers  # noqa: PLC0415
        from lifecycle.leavers import receivers as leaver_receivers  # noqa: PLC0415
        from lifecycle.movers import kind as movers  # noqa: PLC0415
        from lifecycle.movers import receivers as mover_receivers  # noqa: PLC0415
        from lifecycle.observing import receivers as observing  # noqa: PLC0415
        from lifecycle.probes import receivers as probe_receivers  # noqa: PLC0415
        from lifecycle.provisioning import identities  # noqa: PLC0415
        from lifecycle.provisioning import receivers as provisioning  # noqa: PLC0415
        from lifecycle.renewals import asking as renewals  # noqa: PLC0415
        from lifecycle.reviews import receivers as review_receivers  # noqa: PLC0415
        from lifecycle.scim import receivers as scim_receivers  # noqa: PLC0415
        from lifecycle.sweeps import catalogue  # noqa: PLC0415
        from lifecycle.templates import first  # noqa: PLC0415
        from lifecycle.templates import receivers as template_receivers  # noqa: PLC0415
        from lifecycle.toxic import receivers as toxic_receivers  # noqa: PLC0415

        catalogue.register_all()
        case_receivers.connect()
        kinds.register(leavers.LEAVER)
        leaver_receivers.connect()
        kinds.register(movers.MOVER)
        mover_receivers.connect()
        scim_receivers.connect()
        review_receivers.connect()
        renewals.connect()
        probe_receivers.connect()
        provisioning.connect()
        identities.register_steps()
        observing.connect()
        grants.connect()
        beforehand.register_kind()
        idle.register_kind()
        decommissioning.connect()
        ending_steps.register_steps()
        due.register_all()
        template_receivers.connect()
        toxic_receivers.connect()
        post_migrate.connect(first.plant_templates, sender=self, dispatch_uid="plant the templates")
