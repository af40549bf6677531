"""The company in which everything is wrong, made once for a whole module."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, timedelta
from typing import Any

import pytest
from django.conf import settings
from django.db import transaction

from compliance.evidence import Look, look_at
from compliance.period import Period
from tests.compliance.world import World, planted


@pytest.fixture(scope="module")
def world_once(django_db_setup: None, django_db_blocker: Any) -> Iterator[World]:
    """Around all tests of a module: each of them runs in a savepoint within this transaction."""
    before = settings.MUSTER_APPROVER_MFA
    settings.MUSTER_APPROVER_MFA = False
    around: Any = transaction.atomic()
    # As Django's own tests mark theirs: what is durable in the product may stand within it.
    around._from_testcase = True
    with django_db_blocker.unblock(), around:
        yield planted()
        transaction.set_rollback(True)
    settings.MUSTER_APPROVER_MFA = before


@pytest.fixture
def world(world_once: World, db: None) -> World:
    return world_once


@pytest.fixture
def look(world: World) -> Look:
    """Thirty days up to tomorrow: the day of the test may end while it runs."""
    today = world.now.astimezone(UTC).date()
    return look_at(Period(today - timedelta(days=30), today + timedelta(days=1)))
