"""The sh script and what fills .venv, on a small project of their own."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from governance.runner.places import PROJECT

STUB = "import sys\nprint('runner', *sys.argv[1:])\n"


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project that needs no packages and whose runner says what it was told."""
    runner = tmp_path / "project" / "governance" / "runner"
    runner.mkdir(parents=True)
    (runner.parent / "__init__.py").touch()
    (runner / "__init__.py").touch()
    (runner / "__main__.py").write_text(STUB)
    shutil.copy(PROJECT / "governance" / "runner" / "bootstrap.py", runner)
    shutil.copy(PROJECT / "muster", tmp_path / "project")
    for name in ("requirements.txt", "requirements-dev.txt"):
        (tmp_path / "project" / name).write_text("# nothing\n")
    return tmp_path / "project"


def start(project: Path, *words: str, **environment: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [project / "muster", *words],
        env={**os.environ, **environment},
        cwd=project.parent,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def muster(project: Path, *words: str, **environment: str) -> tuple[int, list[str]]:
    with start(project, *words, **environment) as running:
        said, _ = running.communicate()
    return running.returncode, said.splitlines()


def test_help_needs_nothing(project: Path) -> None:
    code, said = muster(project)

    assert (code, said[0]) == (
        0,
        "Muster: the register that every AI agent stands on before it may act.",
    )
    assert not (project / ".venv").exists()


def test_first_start_installs_and_hands_over(project: Path) -> None:
    code, said = muster(project, "apply", "a file.yaml")

    assert code == 0
    assert [line.split(" into ")[0] for line in said[:1]] == [
        "Installing the packages of requirements.txt"
    ]
    assert said[-1] == "runner apply a file.yaml"


def test_next_start_installs_nothing(project: Path) -> None:
    muster(project, "up")

    assert muster(project, "up", "--port", "9") == (0, ["runner up --port 9"])


def test_changed_requirements_are_installed(project: Path) -> None:
    muster(project, "up")
    (project / "requirements.txt").write_text("# something else\n")

    code, said = muster(project, "up")

    assert (code, len(said), said[-1]) == (0, 3, "runner up")


def test_tests_need_the_development_packages_too(project: Path) -> None:
    muster(project, "up")

    first, second = muster(project, "test", "-q"), muster(project, "test", "-q")

    assert first[1][0].startswith("Installing the packages of requirements-dev.txt")
    assert second == (0, ["runner test -q"])
    assert muster(project, "up") == (0, ["runner up"])


def test_package_without_a_hash_is_not_installed(project: Path) -> None:
    (project / "requirements.txt").write_text("six\n")

    code, said = muster(project, "up")

    assert code == 1
    assert said[-1].startswith("muster: the packages could not be installed into ")


def test_two_first_starts_install_once(project: Path) -> None:
    with start(project, "one") as one, start(project, "two") as two:
        said = one.communicate()[0] + two.communicate()[0]

    assert (one.returncode, two.returncode) == (0, 0)
    assert said.count("Installing the packages") == 1
    assert said.count("runner ") == 2


def test_broken_environment_is_made_again(project: Path) -> None:
    muster(project, "up")
    (project / ".venv" / "bin" / "python").unlink()

    code, said = muster(project, "up")

    assert (code, said[-1]) == (0, "runner up")


def test_old_python_is_refused_with_a_way_out(project: Path, tmp_path: Path) -> None:
    old = tmp_path / "bin"
    old.mkdir()
    for name in ("dirname", "id"):
        (old / name).symlink_to(shutil.which(name) or "")
    for name in ("python3", "python3.13", "python3.12", "python3.11", "python"):
        (old / name).write_text("#!/bin/sh\nexit 1\n")
        (old / name).chmod(0o755)
    # Root looks there first, whatever PATH says.
    if os.geteuid() == 0 and Path("/usr/bin/python3").exists():
        pytest.skip("root always finds /usr/bin/python3")

    code, said = muster(project, "up", PATH=str(old))

    assert (code, said[0]) == (
        1,
        "muster: needs Python 3.11, 3.12 or 3.13 with pip, and found none.",
    )
