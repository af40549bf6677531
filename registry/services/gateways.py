"""Gateways: the enforcement points that ask for others."""

from __future__ import annotations

from typing import Unpack

from django.db import transaction

from registry import permissions
from registry.models import Gateway, Person
from registry.services.fields import GatewayFields
from registry.services.saving import Saved, assign, found, keep, record


@transaction.atomic
def save_gateway(*, slug: str, by: Person, **fields: Unpack[GatewayFields]) -> Saved[Gateway]:
    """Create or change an enforcement point. One that is not active gets no token."""
    permissions.check_can_change_gateways(by)
    gateway = found(Gateway, "gateway", slug=slug)
    created = gateway is None
    gateway = gateway or Gateway(slug=slug, name=slug)
    changed = assign(gateway, fields)
    if not created and not changed:
        return Saved(gateway)
    keep(gateway, by)
    record("gateway_saved", by=by, resource=f"gateway:{slug}", changes=changed)
    return Saved(gateway, created=created, changed=tuple(changed))
