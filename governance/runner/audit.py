"""`./muster vulnerabilities`: whether a fault is known of a pinned package, by pip-audit.

Where the service that knows cannot be reached, takes too long or does not know a package, that is
said: skipped is not passed.
"""

from __future__ import annotations

import json
import os
import subprocess
from dataclasses import dataclass
from enum import Enum
from typing import Any

from governance.runner.environment import python
from governance.runner.places import PROJECT

SECONDS = 120
FILES = ("requirements.txt", "requirements-dev.txt")
# EX_TEMPFAIL of sysexits.h: nobody knows yet.
SKIPPED = 75
# What pip-audit and its libraries say where nobody answered.
UNREACHED = ("ConnectionError", "Timeout", "ServiceError", "ProxyError", "Max retries exceeded")
_QUIET = ("--progress-spinner", "off", "--timeout", "15", "--format", "json")


class Outcome(Enum):
    """What is known of the packages, as the checks print it."""

    CLEAN = "ok"
    FOUND = "FAILED"
    SKIPPED = "skipped"


HELP = "./muster vulnerabilities [FILE …]: ask of what these files pin; else of all that is pinned."
CODES = {Outcome.CLEAN: 0, Outcome.FOUND: 1, Outcome.SKIPPED: SKIPPED}


@dataclass(frozen=True)
class Looked:
    """An outcome, and what was said."""

    outcome: Outcome
    said: str


def run(arguments: list[str]) -> int:
    """Look, and say what was found: 0 none, 1 a known fault, 75 where it cannot be told."""
    if "--help" in arguments:
        print(HELP)
        return 0
    looked = look(tuple(arguments) or FILES)
    print(f"{looked.outcome.value}: {looked.said}")
    return CODES[looked.outcome]


def look(files: tuple[str, ...] = FILES, seconds: float = SECONDS) -> Looked:
    """Ask about what these files pin; neither installs nor resolves anything."""
    named = [part for file in files for part in ("--requirement", file)]
    command = python("-m", "pip_audit", *named, "--no-deps", "--disable-pip", *_QUIET)
    try:
        done = subprocess.run(
            command,
            cwd=PROJECT,
            env={**os.environ, "PYTHONWARNINGS": "ignore"},
            capture_output=True,
            text=True,
            check=False,
            timeout=seconds,
        )
    except subprocess.TimeoutExpired:
        return Looked(Outcome.SKIPPED, f"the vulnerability service took more than {seconds:g} s.")
    return read(done.stdout, done.stderr)


def read(printed: str, complained: str) -> Looked:
    """What pip-audit's report means; what is no report is a failure, unless nobody answered.

    Its exit code is 0 also where it could ask about no package at all.
    """
    try:
        found = json.loads(printed)["dependencies"]
    except (ValueError, KeyError, TypeError):
        last = (complained.strip().splitlines() or ["it said nothing"])[-1][:200]
        if any(word in complained for word in UNREACHED):
            return Looked(Outcome.SKIPPED, f"the vulnerability service cannot be reached: {last}")
        return Looked(Outcome.FOUND, f"pip-audit failed: {last}")
    if faults := [_fault(each) for each in found if each.get("vulns")]:
        return Looked(Outcome.FOUND, "\n".join(faults))
    unknown = [each["name"] for each in found if "skip_reason" in each]
    if unknown or not found:
        few = ", ".join(unknown[:5]) + (" …" if len(unknown) > 5 else "")
        return Looked(
            Outcome.SKIPPED,
            f"the vulnerability service told nothing of {len(unknown)} of {len(found)} packages"
            f" ({few or 'there are none'}).",
        )
    return Looked(Outcome.CLEAN, f"no fault is known of {len(found)} packages.")


def _fault(dependency: dict[str, Any]) -> str:
    ids = ", ".join(each["id"] for each in dependency["vulns"])
    fixed = sorted({v for each in dependency["vulns"] for v in each.get("fix_versions", ())})
    mended = f"; mended in {', '.join(fixed)}" if fixed else ""
    return f"{dependency['name']} {dependency['version']}: {ids}{mended}"
