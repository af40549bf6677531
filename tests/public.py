"""Vectors and corpora that others wrote. They lie beside the project and are no part of it.

A test that wants one that is not there is skipped and says so, never passed.
"""

import json
from pathlib import Path
from typing import Any

import pytest

FOLDER = Path(__file__).resolve().parents[2] / "shared" / "data"


def path(name: str) -> Path:
    """Where `name` lies, such as `corpora/blns.json`; skips the test, or the module, without it."""
    found = FOLDER / name
    if not found.exists():
        pytest.skip(f"{name} is not beside the project in ../shared/data", allow_module_level=True)
    return found


def load(name: str) -> Any:
    """The JSON of `name`."""
    return json.loads(path(name).read_text())


def naughty_strings() -> list[str]:
    """The big list of naughty strings."""
    strings: list[str] = load("corpora/blns.json")
    return strings
