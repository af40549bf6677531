"""The registry app."""

from __future__ import annotations

from typing import Any

from django.apps import AppConfig
from django.db.models.signals import post_migrate


def _set_groups(**_: Any) -> None:
    from registry.admin_groups import set_group_permissions  # noqa: PLC0415  needs the models

    set_group_permissions()


class RegistryConfig(AppConfig):
    name = "registry"
    verbose_name = "Register"

    def ready(self) -> None:
        from registry import checks  # noqa: F401, PLC0415  needs the models
        from registry.identity import providers  # noqa: PLC0415  needs the models
        from registry.oidc import listed  # noqa: PLC0415  as all of them
        from registry.services import register_changes  # noqa: PLC0415  needs the models

        register_changes()
        providers.check_configured()
        listed.check_configured()
        post_migrate.connect(_set_groups, sender=self, dispatch_uid="registry.groups")
