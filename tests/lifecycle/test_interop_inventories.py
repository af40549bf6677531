"""The inventories that the interop sets are replayed on load as they are written."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from authz.models import Policy
from benchmarks.authzen_inventory import both, with_admin
from lifecycle.apply.execute import Outcome
from lifecycle.apply.export import export_text
from lifecycle.apply.writing import write_yaml
from registry.models import Person
from tests import public


@pytest.mark.django_db
def test_authzen_sets_load_into_an_empty_installation(
    apply_text: Callable[..., Outcome],
) -> None:
    inventory = with_admin(both(public.load("authzen/todo/users.json")), "admin@interop.example")

    outcome = apply_text(write_yaml(inventory), bootstrap=True)

    assert [step.item.label for step in outcome.steps if step.waits] == []
    assert set(Policy.objects.values_list("state", flat=True)) == {"active"}
    rick = Person.objects.get(email="rick@the-citadel.com")
    assert set(rick.roles.values_list("slug", flat=True)) == {"admin", "evil_genius"}
    assert apply_text(export_text(), by_email="admin@interop.example").is_empty
