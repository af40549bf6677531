"""Installations that tests share, since bringing one up takes a while."""

from collections.abc import Iterator

import pytest

from tests.functional.installation import Installation, running


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests of the demo go to one process, so that it is brought up once."""
    for item in items:
        if "demo" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.xdist_group("demo"))


@pytest.fixture(scope="session")
def demo() -> Iterator[Installation]:
    """The made-up company, which stops no agent for what tests make it ask."""
    patient = {
        f"MUSTER_BREAKER_DENIALS_{tier}": "0"
        for tier in ("PUBLIC", "INTERNAL", "CONFIDENTIAL", "RESTRICTED")
    }
    with running("--demo", **patient) as installation:
        yield installation


@pytest.fixture(scope="session")
def empty() -> Iterator[Installation]:
    """An installation in which there is nothing yet."""
    with running() as installation:
        yield installation
