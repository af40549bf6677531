"""The pinned files say what pyproject.toml says."""

import tomllib
from importlib import metadata

import pytest
from packaging.requirements import Requirement

from governance.runner import requirements
from governance.runner.places import PROJECT


def test_pinned_files_agree_with_the_project() -> None:
    assert requirements.disagreements() == []


def test_pins_are_found_by_their_normal_name() -> None:
    text = "Django_Thing==1.2 \\\n    --hash=sha256:aa\nother==3 ; sys_platform == 'x' \\\n"

    assert requirements.pinned(text) == {"django-thing": {"1.2"}, "other": {"3"}}


@pytest.mark.parametrize(
    ("wanted", "pins", "faults"),
    [
        ("django>=5.2,<5.3", {"django": {"5.2.1"}}, []),
        (
            "django>=5.2,<5.3",
            {"django": {"5.3"}},
            ["f: pyproject.toml wants django>=5.2,<5.3, the file pins 5.3."],
        ),
        (
            "httpx[http2]>=1",
            {},
            ["f: pyproject.toml wants httpx[http2]>=1, the file pins nothing."],
        ),
    ],
)
def test_requirement_is_compared_with_its_pin(
    wanted: str, pins: dict[str, set[str]], faults: list[str]
) -> None:
    assert requirements._unmet("f", [wanted], pins) == faults


def test_pin_without_a_hash_is_a_fault() -> None:
    assert requirements._unhashed("f", "a==1 \\\n    --hash=sha256:aa\nb==2\n") == [
        "f: 1 pins have no hash."
    ]


def test_development_must_pin_the_same_versions() -> None:
    assert requirements._different({"a": {"1"}, "b": {"2"}}, {"a": {"1"}, "b": {"3"}}) == [
        "requirements-dev.txt does not pin b as requirements.txt does."
    ]


def test_pins_are_complete() -> None:
    """They are installed as they stand: nothing looks for what they leave out."""
    pins = requirements.pinned((PROJECT / "requirements-dev.txt").read_text())
    project = tomllib.loads((PROJECT / "pyproject.toml").read_text())
    waiting = [*project["project"]["dependencies"], *project["dependency-groups"]["dev"]]

    seen: set[str] = set()
    while waiting:
        line = waiting.pop()
        if line not in seen:
            seen.add(line)
            waiting += _dependencies(Requirement(line))

    assert len(seen) > len(pins)
    assert [fault for line in seen for fault in requirements._unmet("f", [line], pins)] == []


def _dependencies(requirement: Requirement) -> list[str]:
    """What the installed package asks for here, with those extras."""
    extras = ["", *requirement.extras]
    return [
        str(needed)
        for needed in map(Requirement, metadata.requires(requirement.name) or ())
        if needed.marker is None or any(needed.marker.evaluate({"extra": one}) for one in extras)
    ]
