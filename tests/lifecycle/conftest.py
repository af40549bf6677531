"""A register to which the example inventory was applied, made once for a whole module."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from django.db import transaction

from lifecycle.apply.document import read_inventory
from lifecycle.apply.execute import Outcome, apply_inventory
from tests.lifecycle.inventory import HEAD, apply_folder


@pytest.fixture(scope="module")
def loaded_once(django_db_setup: None, django_db_blocker: Any) -> Iterator[Outcome]:
    """Around all tests of a module: each of them runs in a savepoint within this transaction."""
    with django_db_blocker.unblock(), transaction.atomic():
        yield apply_folder(bootstrap=True)
        transaction.set_rollback(True)


@pytest.fixture
def loaded(loaded_once: Outcome, db: None) -> Outcome:
    return loaded_once


@pytest.fixture
def apply_text(tmp_path: Path) -> Callable[..., Outcome]:
    def run(text: str, **options: Any) -> Outcome:
        path = tmp_path / "inventory.yaml"
        path.write_text(text if "muster" in text[:20] else HEAD + text)
        return apply_inventory(read_inventory(str(path)), **options)

    return run
