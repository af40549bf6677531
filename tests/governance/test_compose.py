"""The installation in containers, as far as it can be read: who mounts what, and is told what."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from governance.runner import __main__ as runner
from governance.runner import compose
from governance.runner.places import PROJECT

FILE: dict[str, Any] = yaml.safe_load((PROJECT / "docker-compose.yml").read_text())
SERVICES: dict[str, dict[str, Any]] = FILE["services"]
OURS = {name: each for name, each in SERVICES.items() if each["image"] == "muster"}


def mounts(service: str) -> dict[str, str]:
    """Where it mounts what, without whether it may write."""
    parts = (each.split(":") for each in SERVICES[service].get("volumes", ()))
    return {where: what for what, where, *_ in parts}


def who_mounts(what: str) -> set[str]:
    return {name for name in SERVICES if what in mounts(name).values()}


def test_each_environment_goes_to_one_process_and_secrets_to_the_worker_alone() -> None:
    assert {name: who_mounts(name) for name in ("web", "worker", "beat", "sealer-told")} == {
        "web": {"start", "web", "web2"},
        "worker": {"start", "worker", "worker2"},
        "beat": {"start", "beat"},
        "sealer-told": {"start", "sealer"},
    }
    assert who_mounts("./deploy/secrets") == {"worker", "worker2"}
    served = {"web", "web2", "worker", "worker2", "beat"}
    assert who_mounts("./deploy/settings") == {"start", *served}
    assert who_mounts("private") == {"start"}


def test_the_second_of_each_differs_in_its_address_alone() -> None:
    web, web2 = dict(SERVICES["web"]), dict(SERVICES["web2"])

    published = [each.pop("ports") for each in (web, web2)]
    assert web == web2
    assert published == [
        ["${MUSTER_PUBLISH:-127.0.0.1:8000}:8000"],
        ["${MUSTER_PUBLISH2:-127.0.0.1:8001}:8000"],
    ]
    assert SERVICES["worker"] == SERVICES["worker2"]
    # Of these there is one each: beat keeps its schedule, the sealer its key.
    commands = [each["command"][-1] for each in OURS.values()]
    assert (commands.count("beat"), commands.count("compose-sealer")) == (1, 1)


def test_only_the_worker_writes_what_the_sealer_reads_and_only_the_sealer_has_its_key() -> None:
    sealer = SERVICES["sealer"]

    assert who_mounts("sealer") == {"sealer"}
    assert set(sealer["volumes"]) == {
        "sealer:/sealer",
        "anchored:/anchored:ro",
        "sealer-told:/environments/sealer:ro",
    }
    assert "anchored:/data/anchored" in SERVICES["worker"]["volumes"]
    assert (sealer["networks"], sealer["user"]) == (["database"], "muster-sealer")
    assert FILE["networks"]["database"] == {"internal": True}
    assert set(sealer["environment"]) == {"MUSTER_SEAL_SECONDS"}
    assert "env_file" not in sealer


def test_what_people_set_up_is_read_and_never_written() -> None:
    lines = [each for service in OURS.values() for each in service["volumes"]]

    assert {each for each in lines if each.startswith("./")} == {
        "./deploy/settings:/settings:ro",
        "./deploy/secrets:/secrets:ro",
    }
    settings = [{"path": "./deploy/settings/muster.env", "required": False}]
    told = [name for name, each in OURS.items() if each.get("env_file") == settings]
    assert told == ["start", "web", "web2", "worker", "worker2", "beat"]
    ignored = (PROJECT / ".dockerignore").read_text().split()
    assert {"deploy", ".env"} <= set(ignored)
    assert {"/deploy/secrets/", "/.env"} <= set((PROJECT / ".gitignore").read_text().split())


def test_the_administrators_password_goes_to_the_database_and_the_start_alone() -> None:
    asked = [name for name, each in SERVICES.items() if "POSTGRES_PASSWORD" in json.dumps(each)]

    assert asked == ["postgres", "start"]


def test_volumes_are_declared_and_the_image_has_a_folder_for_each() -> None:
    named = {what for name in SERVICES for what in mounts(name).values() if what[0] not in "./"}
    made = re.findall(r"/[\w/-]+", (PROJECT / "Dockerfile").read_text())
    places = {
        where for name in OURS for where, what in mounts(name).items() if not what.startswith(".")
    }

    assert named == set(FILE["volumes"])
    assert places - set(made) == set()


def test_every_container_runs_a_word_that_there_is(monkeypatch: pytest.MonkeyPatch) -> None:
    words = {each["command"][0] for each in OURS.values()} | {"compose-do", "compose-link"}
    given = []
    for name in ("prepare", "become", "become_sealer", "do", "print_link"):
        monkeypatch.setattr(compose, name, lambda rest: given.append(rest) or 0)

    assert [runner.main([word]) for word in sorted(words)] == [0] * len(words)
    assert (len(given), len(words)) == (5, 5)


@pytest.fixture
def left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A container's folders, as they are mounted where everything is set up."""
    for process in ("web", "worker"):
        folder = tmp_path / "environments" / process
        folder.mkdir(parents=True)
        (folder / compose.FILE).write_text(json.dumps({"DATABASE_URL": f"of {process}"}))
    for name in ("settings", "secrets"):
        (tmp_path / name).mkdir()
        for file in ("anchors.json", "streams.json"):
            (tmp_path / name / file).write_text("[]")
    monkeypatch.setattr(compose, "ENVIRONMENTS", tmp_path / "environments")
    monkeypatch.setattr(compose, "SETTINGS", tmp_path / "settings")
    monkeypatch.setattr(compose, "SECRETS", tmp_path / "secrets")
    for name in ("ANCHORS_FILE", "STREAMS_FILE", "ANCHOR_SECRETS", "STREAM_SECRETS"):
        monkeypatch.delenv(f"MUSTER_{name}", raising=False)
    return tmp_path


def outside(process: str) -> dict[str, str]:
    told = compose.environment_of(process)
    return {name: told[name] for name in told if "ANCHOR" in name or "STREAM" in name}


def test_lists_that_lie_there_are_found_and_secrets_are_told_to_the_worker_alone(
    left: Path,
) -> None:
    lists = {
        "MUSTER_ANCHORS_FILE": str(left / "settings/anchors.json"),
        "MUSTER_STREAMS_FILE": str(left / "settings/streams.json"),
    }

    assert outside("web") == lists
    assert outside("worker") == lists | {
        "MUSTER_ANCHOR_SECRETS": str(left / "secrets/anchors.json"),
        "MUSTER_STREAM_SECRETS": str(left / "secrets/streams.json"),
    }
    assert compose.environment_of("worker")["DATABASE_URL"] == "of worker"


def test_what_the_container_is_told_comes_before_what_lies_there(
    left: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (left / "settings/streams.json").unlink()
    monkeypatch.setenv("MUSTER_ANCHORS_FILE", "/elsewhere.json")
    monkeypatch.setenv("MUSTER_STREAM_SECRETS", "/secrets/other.json")
    monkeypatch.setenv("DATABASE_URL", "of the administrator")

    assert outside("web") == {"MUSTER_ANCHORS_FILE": "/elsewhere.json"}
    assert outside("worker")["MUSTER_STREAM_SECRETS"] == "/secrets/other.json"
    assert compose.environment_of("web")["DATABASE_URL"] == "of web"


def test_a_command_runs_as_the_process_that_is_named(
    left: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ran: list[tuple[list[str], str]] = []
    monkeypatch.setattr(
        compose.os, "execve", lambda _, command, told: ran.append((command, told["DATABASE_URL"]))
    )
    monkeypatch.setattr(compose.os, "chdir", lambda _: None)

    compose.do(["worker", "streams", "list"])
    compose.print_link([])

    assert [(command[-2:], url) for command, url in ran] == [
        (["streams", "list"], "of worker"),
        ([str(PROJECT / "manage.py"), "first_signin_link"], "of web"),
    ]
