"""The people and the desk that most tests of this folder begin with."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from authz.oauth import failures
from registry.identity import tokens
from registry.models import Person
from tests.factories.authz import Desk, make_desk, make_person


@pytest.fixture
def desk(db: None) -> Desk:
    return make_desk()


@pytest.fixture
def ann(db: None) -> Person:
    return make_person(groups=["security"], name="Ann", is_staff=True)


@pytest.fixture
def ben(db: None) -> Person:
    return make_person(groups=["security"], name="Ben", is_staff=True)


@pytest.fixture
def one_factor(settings: Any) -> None:
    """Approvers need no second factor here."""
    settings.MUSTER_APPROVER_MFA = False


@pytest.fixture
def no_token_known() -> Iterator[None]:
    """No token that was verified before, and no failure of a client, counts here or afterwards."""
    tokens.forget()
    failures.forget()
    yield
    tokens.forget()
    failures.forget()
