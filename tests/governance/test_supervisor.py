"""What dies is started again; what keeps dying ends everything; a stop leaves nothing."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO

import pytest

from governance.runner import children, places, supervisor
from governance.runner.places import CannotStart, Places
from governance.runner.supervisor import Process, Supervisor


@pytest.fixture
def said() -> list[str]:
    return []


@pytest.fixture
def watch(tmp_path: Path, said: list[str]) -> Iterator[Supervisor]:
    places.prepare(Places(tmp_path))
    watch = Supervisor(Places(tmp_path), said.append)
    yield watch
    watch.stop()


def program(*argv: str) -> Callable[[IO[bytes]], subprocess.Popen[bytes]]:
    return lambda log: children.spawn(argv, env=os.environ, output=log)


def test_killed_process_is_started_again(watch: Supervisor, said: list[str]) -> None:
    process = Process("web", program("sleep", "60"))
    first = watch.add(process)

    first.kill()

    assert watch.wait_until(lambda: process.child not in {None, first}, 5)
    assert process.child is not None
    assert process.child.poll() is None
    assert [line.split(";")[0] for line in said] == ["web ended (signal 9)"]


def test_what_a_dead_process_left_behind_ends_with_it(watch: Supervisor, tmp_path: Path) -> None:
    pid_file = tmp_path / "pid"
    process = Process("web", program("sh", "-c", f"sleep 60 & echo $! > {pid_file}; sleep 60"))
    first = watch.add(process)
    assert watch.wait_until(lambda: pid_file.exists() and bool(pid_file.read_text()), 5)
    left_behind = int(pid_file.read_text())

    first.kill()

    assert watch.wait_until(lambda: process.child is not first, 5)
    assert watch.wait_until(lambda: _is_gone(left_behind), 5)


def _is_gone(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().split()[2] == "Z"
    except FileNotFoundError:
        return True


def test_process_that_keeps_dying_ends_everything_loudly(
    watch: Supervisor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(supervisor, "FIRST_PAUSE", 0.01)
    watch.add(Process("worker", program("sh", "-c", "echo out of luck; exit 3")))

    with pytest.raises(CannotStart, match=r"worker does not stay up \(exit code 3\)(.|\n)*luck"):
        watch.wait_until(lambda: False, 20)


def test_process_that_refuses_is_not_tried_again(watch: Supervisor, said: list[str]) -> None:
    watch.add(Process("web", program("sh", "-c", "echo key too short; exit 78")))

    with pytest.raises(CannotStart, match="key too short"):
        watch.wait_until(lambda: False, 5)
    assert said == []


def test_pauses_double_up_to_a_limit() -> None:
    pauses = [Process("web", program("true"), quick_deaths=n).pause for n in (0, 1, 2, 3, 20)]

    assert pauses == [0.5, 0.5, 1.0, 2.0, 30.0]


def test_stop_ends_those_who_ignore_it(watch: Supervisor, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(supervisor, "STOP_SECONDS", 0.3)
    stubborn = watch.add(Process("web", program("sh", "-c", "trap '' TERM; sleep 60 & wait; wait")))
    polite = watch.add(Process("worker", program("sleep", "60")))
    time.sleep(0.2)

    watch.stop()

    assert (stubborn.returncode, polite.returncode) == (-signal.SIGKILL, -signal.SIGTERM)


def test_full_log_is_kept_once_and_written_on(
    watch: Supervisor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(supervisor, "LONGEST_LOG", 10)
    monkeypatch.setattr(supervisor, "TRIM_EVERY", 0.0)
    log = tmp_path / "logs" / "web.log"
    watch.add(
        Process("web", program("sh", "-c", "echo a long first line; sleep 1; echo x; sleep 60"))
    )

    assert watch.wait_until(lambda: log.with_suffix(".log.1").exists(), 5)
    assert watch.wait_until(lambda: log.read_text() == "x\n", 5)
    assert log.with_suffix(".log.1").read_text() == "a long first line\n"


def test_killed_parent_takes_its_children_along(tmp_path: Path) -> None:
    code = (
        "import os, time; from governance.runner import children;"
        "child = children.spawn(['sleep', '60'], env=os.environ);"
        "print(child.pid, flush=True); time.sleep(60)"
    )
    command = [sys.executable, "-c", code]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        child = int(parent.stdout.readline())

        parent.kill()

    deadline = time.monotonic() + 5
    while not _is_gone(child) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert _is_gone(child)
