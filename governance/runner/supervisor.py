"""Keeps the processes of an installation running until it is told to stop.

One thread, no callbacks: a loop looks at each child a few times a second. What died is started
again after a pause that doubles; what keeps dying at once ends everything, loudly.
"""

from __future__ import annotations

import shutil
import subprocess
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass
from typing import IO

from governance.runner import children, postgres
from governance.runner.places import CannotStart, Places

DATABASE = "postgres"
LOOK_EVERY = 0.2
QUICK_DEATH = 15.0
QUICK_DEATHS_TO_GIVE_UP = 5
FIRST_PAUSE = 0.5
LONGEST_PAUSE = 30.0
STOP_SECONDS = 20.0
REFUSED = 78  # a process that will not start, and has said why
LONGEST_LOG = 20 * 1024 * 1024
TRIM_EVERY = 60.0


@dataclass
class Process:
    """One supervised program, and what has become of it so far."""

    name: str
    start: Callable[[IO[bytes]], subprocess.Popen[bytes]]
    child: subprocess.Popen[bytes] | None = None
    started: float = 0.0
    due: float = 0.0
    quick_deaths: int = 0

    @property
    def pause(self) -> float:
        return min(LONGEST_PAUSE, FIRST_PAUSE * 2.0 ** max(0, self.quick_deaths - 1))


class Supervisor:
    """Starts processes in order, restarts what dies, stops all in reverse order."""

    def __init__(self, places: Places, say: Callable[[str], None]) -> None:
        self._places = places
        self._say = say
        self._processes: list[Process] = []
        self._trimmed = time.monotonic()
        self._held = ExitStack()

    def hold(self, resource: AbstractContextManager[None]) -> None:
        """Keep `resource` until everything has stopped."""
        self._held.enter_context(resource)

    def add(self, process: Process) -> subprocess.Popen[bytes]:
        """Start `process` and look after it from now on."""
        self._processes.append(process)
        return self._start(process)

    def wait_until(self, done: Callable[[], bool], seconds: float) -> bool:
        """Look after everything until `done()`; whether that came true in time."""
        deadline = time.monotonic() + seconds
        while not (finished := done()) and time.monotonic() < deadline:
            self.look()
            time.sleep(LOOK_EVERY)
        return finished

    def run(self) -> None:
        """Look after everything until someone stops us (`Stopped`) or it cannot go on."""
        while True:
            self.look()
            time.sleep(LOOK_EVERY)

    def look(self) -> None:
        for process in self._processes:
            if process.child is None:
                if time.monotonic() >= process.due:
                    self._start(process)
            elif process.child.poll() is not None:
                self._note_death(process, process.child)
        if time.monotonic() - self._trimmed > TRIM_EVERY:
            self._trim_logs()

    def stop(self) -> None:
        """End all; the database last, when nobody uses it any more."""
        database = [child for name, child in self._living() if name == DATABASE]
        others = [child for name, child in self._living() if name != DATABASE]
        for child in others:
            child.terminate()
        deadline = time.monotonic() + STOP_SECONDS
        for child in others:
            _end(child, max(0.1, deadline - time.monotonic()))
        for child in database:
            postgres.stop(child)
        self._held.close()

    def _living(self) -> list[tuple[str, subprocess.Popen[bytes]]]:
        found = [(process.name, process.child) for process in self._processes]
        return [(name, child) for name, child in found if child and child.poll() is None]

    def _start(self, process: Process) -> subprocess.Popen[bytes]:
        with postgres.open_log(self._places, process.name) as log:
            process.child = process.start(log)
        process.started = time.monotonic()
        return process.child

    def _note_death(self, process: Process, child: subprocess.Popen[bytes]) -> None:
        children.end_group(child)
        lived = time.monotonic() - process.started
        process.quick_deaths = process.quick_deaths + 1 if lived < QUICK_DEATH else 1
        log = self._places.logs / f"{process.name}.log"
        if child.returncode == REFUSED or process.quick_deaths >= QUICK_DEATHS_TO_GIVE_UP:
            raise CannotStart(
                f"{process.name} does not stay up (exit code {child.returncode})."
                f" The end of {log}:\n{postgres.tail(log)}"
            )
        process.child, process.due = None, time.monotonic() + process.pause
        self._say(
            f"{process.name} ended ({_how(child.returncode)}); it is started again. See {log}"
        )

    def _trim_logs(self) -> None:
        """Keep each log short: the last full one stays beside it. Writers append, so they go on."""
        self._trimmed = time.monotonic()
        for log in self._places.logs.glob("*.log"):
            if log.stat().st_size > LONGEST_LOG:
                shutil.copyfile(log, log.with_suffix(".log.1"))
                with log.open("r+b") as file:
                    file.truncate()


def _end(child: subprocess.Popen[bytes], seconds: float) -> None:
    try:
        child.wait(seconds)
    except subprocess.TimeoutExpired:
        child.kill()
        child.wait()
    children.end_group(child)


def _how(code: int) -> str:
    return f"signal {-code}" if code < 0 else f"exit code {code}"
