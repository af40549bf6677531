"""Public sets, loaded by `./muster apply` and replayed over HTTP against a running server."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests import public
from tests.functional.installation import PROJECT, Installation

pytestmark = pytest.mark.fuzz
BENCHMARKS = PROJECT / "benchmarks"
ADMIN = "admin@localhost"
SUITES = [public.path(f"agentdojo/{name}.json") for name in ("banking", "slack")]


def script(name: str, *words: object) -> str:
    """What a script of benchmarks/ prints; fails where it does."""
    done = subprocess.run(
        [sys.executable, str(BENCHMARKS / name), *map(str, words)],
        check=False,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def loaded(empty: Installation, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Path]:
    """All sets in one inventory folder, applied once; the address and the secrets file."""
    folder, secrets = tmp_path_factory.mktemp("inventory"), tmp_path_factory.mktemp("s") / "s.json"
    users = public.path("authzen/todo/users.json")
    people = script("authzen_inventory.py", "both", users, "--admin", ADMIN)
    (folder / "authzen.yaml").write_text(people)
    (folder / "dojo.yaml").write_text(script("agentdojo_inventory.py", *SUITES, "--owner", ADMIN))
    empty.command("apply", str(folder), "--as", ADMIN, "--bootstrap", "--secrets", str(secrets))
    again = empty.command("apply", str(folder), "--as", ADMIN)
    assert "nothing to do" in again.lower()
    return empty.base_url, secrets


def test_authzen_todo_set_is_answered_as_expected(loaded: tuple[str, Path]) -> None:
    base_url, secrets = loaded
    decisions = public.path("authzen/todo/decisions-1_0-02.json")

    said = script(
        "authzen_replay.py", "todo", decisions, "--base-url", base_url, "--secrets", secrets
    )

    assert said.splitlines()[-1].startswith("43 of 43")


def test_authzen_certification_vectors_pass(loaded: tuple[str, Path]) -> None:
    base_url, secrets = loaded
    vectors = public.path("authzen/certification/vectors.json")

    said = script(
        "authzen_replay.py", "certification", vectors, "--base-url", base_url, "--secrets", secrets
    )

    assert said.splitlines()[-1].startswith("57 of 57")


def test_agentdojo_benign_calls_are_all_allowed(loaded: tuple[str, Path]) -> None:
    base_url, secrets = loaded
    wanted = {
        path: sum(len(task["calls"]) for task in json.loads(path.read_text())["user_tasks"])
        for path in SUITES
    }

    for path, benign in wanted.items():
        said = script("agentdojo_replay.py", path, "--base-url", base_url, "--secrets", secrets)
        assert f"{benign} of {benign} benign" in said


def test_agentdojo_attacks_are_stopped_in_sessions(loaded: tuple[str, Path]) -> None:
    """The script fails where an injected call of consequence goes on without a human."""
    base_url, secrets = loaded
    banking = SUITES[0]

    said = script("agentdojo_sessions.py", banking, "--base-url", base_url, "--secrets", secrets)

    lines = [line.split() for line in said.splitlines() if "of consequence" in line]
    assert [line[4:7] for line in lines] == [["0", "of", "176"]] * 2
    assert "30 of 33" in said
