"""`./muster lock`: the hashed requirements, made from pyproject.toml by uv."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterable
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from governance.runner.places import PROJECT, CannotStart

FILES = {"requirements.txt": (), "requirements-dev.txt": ("--group", "dev")}
PIN = re.compile(r"^([A-Za-z0-9._-]+)==([^ ;\\]+)", re.MULTILINE)
HASHED = re.compile(r"^[A-Za-z0-9._-]+==[^\n]*\\\n +--hash=sha256:", re.MULTILINE)


def run(arguments: list[str]) -> int:
    """Regenerate both files, keeping pins unless `--upgrade`; `--check` only compares."""
    if "--check" in arguments:
        faults = disagreements()
        print("\n".join(faults) or "pyproject.toml and the requirements agree.")
        return 1 if faults else 0
    for name, group in FILES.items():
        _compile(name, *group, *(["--upgrade"] if "--upgrade" in arguments else []))
    return run(["--check"])


def _compile(name: str, *options: str) -> None:
    """Neither an index's address nor a path of this machine may get into the file."""
    beside = Path(sys.executable).with_name("uv")
    uv = str(beside) if beside.exists() else shutil.which("uv")
    if uv is None:
        raise CannotStart(f"uv is not here. Install it: {sys.executable} -m pip install uv")
    settled = ("--generate-hashes", "--universal", "--python-version", "3.11", "--quiet")
    silent = ("--no-header", "--no-emit-index-url", "--no-emit-find-links")
    command = [uv, "pip", "compile", "pyproject.toml", "-o", name, *settled, *silent, *options]
    if subprocess.run(command, cwd=PROJECT, check=False, stdout=subprocess.DEVNULL).returncode:
        raise CannotStart(f"uv could not make {name}.")


def disagreements() -> list[str]:
    """Where pyproject.toml and the pinned files differ, as sentences. Reads files only."""
    project = tomllib.loads((PROJECT / "pyproject.toml").read_text())
    run_time: list[str] = project["project"]["dependencies"]
    wanted = {
        "requirements.txt": run_time,
        "requirements-dev.txt": [*run_time, *project["dependency-groups"]["dev"]],
    }
    texts = {name: (PROJECT / name).read_text() for name in wanted}
    pins = {name: pinned(text) for name, text in texts.items()}
    return [
        *(fault for name in wanted for fault in _unmet(name, wanted[name], pins[name])),
        *(fault for name, text in texts.items() for fault in _unhashed(name, text)),
        *_different(pins["requirements.txt"], pins["requirements-dev.txt"]),
    ]


def pinned(text: str) -> dict[str, set[str]]:
    """The versions that a requirements file pins; several where they differ by platform."""
    found: dict[str, set[str]] = {}
    for name, version in PIN.findall(text):
        found.setdefault(canonicalize_name(name), set()).add(version)
    return found


def _unmet(file: str, wanted: Iterable[str], pins: dict[str, set[str]]) -> list[str]:
    faults = []
    for line in wanted:
        requirement = Requirement(line)
        versions = pins.get(canonicalize_name(requirement.name), set())
        if not versions or not all(map(requirement.specifier.contains, versions)):
            have = ", ".join(sorted(versions)) or "nothing"
            faults.append(f"{file}: pyproject.toml wants {line}, the file pins {have}.")
    return faults


def _unhashed(file: str, text: str) -> list[str]:
    count = len(PIN.findall(text)) - len(HASHED.findall(text))
    return [f"{file}: {count} pins have no hash."] if count else []


def _different(run_time: dict[str, set[str]], development: dict[str, set[str]]) -> list[str]:
    return [
        f"requirements-dev.txt does not pin {name} as requirements.txt does."
        for name, versions in run_time.items()
        if development.get(name) != versions
    ]
