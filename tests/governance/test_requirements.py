"""The pinned files say what pyproject.toml says."""

import pytest

from governance.runner import requirements


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
