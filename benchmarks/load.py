"""The load of a benchmark: `wrk` with one script for every side, and what it cost in CPU time."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

WRK = "wrk"
# Requests are made once and sent in turn; `done` prints what wrk measured as one line of JSON.
SCRIPT = """
local path, bodies, tokens = %(path)s, %(bodies)s, %(tokens)s
local made, turn = {}, 0
init = function()
  for i = 1, #bodies do
    made[i] = wrk.format("POST", path, {
      ["Content-Type"] = "application/json", ["Authorization"] = "Bearer " .. tokens[i],
    }, bodies[i])
  end
end
request = function()
  turn = turn %% #made + 1
  return made[turn]
end
done = function(summary, latency, requests)
  local e = summary.errors
  io.write(string.format(
    'RESULT {"requests": %%d, "seconds": %%f, "p50": %%f, "p99": %%f, "errors": %%d}\\n',
    summary.requests, summary.duration / 1e6, latency:percentile(50) / 1e3,
    latency:percentile(99) / 1e3, e.connect + e.read + e.write + e.status + e.timeout))
end
"""
# The same, but every answer is kept, to be looked for in the record.
KEEPING = """
local kept = io.open(%(file)s, "a")
response = function(status, headers, body)
  kept:write(status, " ", body, "\\n")
end
"""


class Unusable(Exception):
    """The benchmark cannot say anything; the text says why."""


@dataclass(frozen=True)
class Question:
    """What is asked: a path, bodies, and a token to each, which are sent in turn."""

    path: str
    bodies: Sequence[Any]
    tokens: Sequence[str]
    decisions: int = 1

    def script(self, keep: Path | None = None) -> str:
        """The wrk script that asks it."""
        filled = SCRIPT % {
            "path": _lua(self.path),
            "bodies": _lua_list([json.dumps(body) for body in self.bodies]),
            "tokens": _lua_list(self.tokens),
        }
        return filled + (KEEPING % {"file": _lua(str(keep))} if keep else "")


@dataclass(frozen=True)
class Measured:
    """One run. `cpu` is in microseconds per decision, latencies in milliseconds."""

    rate: float
    p50: float
    p99: float
    cpu: float
    answered: int


def _lua(text: str) -> str:
    return json.dumps(text)


def _lua_list(texts: Sequence[str]) -> str:
    return "{" + ", ".join(_lua(text) for text in texts) + "}"


def need_wrk() -> None:
    if shutil.which(WRK) is None:
        raise Unusable("wrk is not installed. On Debian: apt-get install wrk")


def drive(
    base_url: str,
    question: Question,
    *,
    connections: int,
    seconds: float,
    pids: Sequence[int],
    scratch: Path,
    keep: Path | None = None,
) -> Measured:
    """Ask for so long over so many connections; `pids` are the processes whose time counts."""
    script = scratch / "load.lua"
    script.write_text(question.script(keep))
    before = cpu_seconds(pids)
    done = subprocess.run(
        [
            *(WRK, "-t1", f"-c{connections}", f"-d{seconds:.0f}s", "--timeout", "10s"),
            *("-s", str(script), base_url),
        ],
        check=False,
        capture_output=True,
        text=True,
    )
    used = cpu_seconds(pids) - before
    line = next((one for one in done.stdout.splitlines() if one.startswith("RESULT ")), None)
    if done.returncode or line is None:
        raise Unusable(f"wrk failed:\n{done.stdout}{done.stderr}")
    found = json.loads(line.removeprefix("RESULT "))
    if found["errors"] or not found["requests"]:
        raise Unusable(f"{base_url} did not answer every request: {line}")
    decisions = found["requests"] * question.decisions
    return Measured(
        rate=decisions / found["seconds"],
        p50=found["p50"],
        p99=found["p99"],
        cpu=used / decisions * 1e6,
        answered=found["requests"],
    )


# Time of processes


def below(pid: int) -> list[int]:
    """`pid` and all that it started, and those that they started."""
    parents = dict(_parents())
    found = [pid]
    for one in found:
        found += [child for child, parent in parents.items() if parent == one]
    return found


def _parents() -> list[tuple[int, int]]:
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        fields = _stat(int(folder.name))
        if fields:
            found.append((int(folder.name), int(fields[1])))
    return found


def _stat(pid: int) -> list[str]:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2].split()
    except OSError:
        return []


def cpu_seconds(pids: Sequence[int]) -> float:
    """User and system time of `pids` and of all below them, the ended ones counted in."""
    every = {each for pid in pids for each in below(pid)}
    ticks = sum(int(value) for pid in every if (fields := _stat(pid)) for value in fields[11:15])
    return ticks / os.sysconf("SC_CLK_TCK")
