"""How a check ends."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path


class State(StrEnum):
    """How well something is; `warn` is what somebody should know and nothing stops for."""

    OK = "ok"
    WARN = "warn"
    FAIL = "fail"


@dataclass(frozen=True, slots=True)
class Verdict:
    """What was found, and what to do about it; nothing to do where it is well."""

    state: State
    found: str
    todo: str = ""


@dataclass(frozen=True, slots=True)
class Finding:
    """The verdict of the check of this name."""

    name: str
    verdict: Verdict


@dataclass(frozen=True, slots=True)
class Here:
    """The installation that is looked at: its data folder, its keys, and whether it is a demo.

    Nothing is taken for a demo whose database does not say so.
    """

    data: Path
    keys: Path
    demo: bool = False


def ok(found: str) -> Verdict:
    return Verdict(State.OK, found)


def warn(found: str, todo: str) -> Verdict:
    return Verdict(State.WARN, found, todo)


def fail(found: str, todo: str) -> Verdict:
    return Verdict(State.FAIL, found, todo)
