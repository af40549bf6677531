"""What each group may open in the admin. Set after every migration, so that it cannot drift.

These rights open pages. What a page does is decided by the services behind it.
"""

from __future__ import annotations

from django.apps import apps
from django.contrib.auth.management import create_permissions
from django.contrib.auth.models import Group, Permission

from registry.enums import GroupName

APPS = ("registry", "authz")
_CATALOGUE = ("system", "resource", "agreement", "tool", "toolaccess")
_OPERATED = (*_CATALOGUE, "resourcetype", "resourceentity", "gateway", "person", "externalidentity")
_AGENTS = ("agent", "allowlistentry", "credentialreference", "subagent", "reliance")
_AUTHORIZATION = ("role", "policy", "toxiccombination", "relationship")
_DECIDED = ("proposedchange", "unregisteredcaller")

# Models that a group may change besides viewing everything; nobody deletes.
CHANGES: dict[GroupName, tuple[str, ...]] = {
    GroupName.SECURITY: (
        *_OPERATED,
        *_AGENTS,
        *_AUTHORIZATION,
        "signature",
        "externalpdp",
        *_DECIDED,
    ),
    GroupName.DPO: ("agent", "proposedchange"),
    GroupName.SOURCE_OWNER: _CATALOGUE,
    GroupName.AUDITOR: (),
    GroupName.PLATFORM_ADMIN: (*_OPERATED, *_AGENTS, *_AUTHORIZATION, "unregisteredcaller"),
}


def set_group_permissions() -> None:
    """Bring every group and its rights to what is written above."""
    for label in APPS:
        create_permissions(apps.get_app_config(label), verbosity=0)
    every = Permission.objects.select_related("content_type").filter(
        content_type__app_label__in=APPS
    )
    for name, models in CHANGES.items():
        group, _ = Group.objects.get_or_create(name=str(name))
        group.permissions.set([one for one in every if _is_granted(one, models)])


def _is_granted(permission: Permission, models: tuple[str, ...]) -> bool:
    verb, _, model = permission.codename.partition("_")
    return verb == "view" or (verb in {"add", "change"} and model in models)
