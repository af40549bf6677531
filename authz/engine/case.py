"""One request with everything that is known about it, and the steps that checks answer with."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any, Generic, TypeVar

from authz.engine.targets import Target, classification, target_of
from authz.engine.types import (
    Check,
    Document,
    Json,
    Mode,
    Request,
    Slice,
    Snapshot,
    Status,
    Step,
    SubjectKind,
)
from authz.engine.world import Facts, World, world_of

LONGEST_NAME = 120

Found = TypeVar("Found")


class found_once(Generic[Found]):  # noqa: N801 - used as a decorator
    """A property that is found when it is first asked for. One thread has one case: no lock."""

    def __init__(self, find: Callable[[Any], Found]) -> None:
        self._find = find
        self._name = find.__name__

    def __get__(self, case: Any, _: Any) -> Found:
        found = case.__dict__[self._name] = self._find(case)
        return found


class Case:
    """One request with all that is known, and what the checks find out only once."""

    def __init__(self, request: Request, snapshot: Snapshot, now: datetime, mode: Mode) -> None:
        self.request = request
        self.snapshot = snapshot
        self.now = now
        self.mode = mode

    @found_once
    def world(self) -> World:
        return world_of(self.snapshot.world)

    @property
    def is_agent(self) -> bool:
        return self.request.kind is SubjectKind.AGENT

    @found_once
    def agent(self) -> Document | None:
        found = document(self.snapshot.agent)
        return found if found and found["slug"] == self.request.agent else None

    @found_once
    def person(self) -> Document | None:
        return _person(self.snapshot.person, self.request.person)

    @found_once
    def user(self) -> Document | None:
        return _person(self.snapshot.user, self.request.user)

    @property
    def carries_user(self) -> bool:
        return bool(self.request.user or self.request.user_claimed)

    @property
    def subject(self) -> Document:
        """The agent, or the person who acts alone; only after the identity check."""
        found = self.agent if self.is_agent else self.person
        if found is None:
            raise LookupError("nobody acts")
        return found

    @found_once
    def tool(self) -> Facts | None:
        found: Facts | None = self.world.tools.get(self.request.tool)
        return found

    @found_once
    def target(self) -> Target:
        """The judged resource; as it was named where the tool is unknown."""
        request = self.request
        if self.tool is None:
            return Target(request.resource_type, request.resource_id, False)
        return target_of(request, self.tool, self.world.types)

    @found_once
    def tier(self) -> str:
        """The tier of what the tool reads, "" for an unknown tool."""
        if self.tool is None:
            return ""
        return classification(self.tool, self.target, self.world.systems)


def document(part: Slice | None) -> Document | None:
    return part.document if part is not None else None


def _person(part: Slice | None, pid: str) -> Document | None:
    found = document(part)
    return found if found and pid and found["pid"] == pid else None


def passed(check: Check, **detail: Json) -> Step:
    return Step(check, Status.PASSED, detail=detail)


_NOT_APPLICABLE = {check: Step(check, Status.NOT_APPLICABLE) for check in Check}


def not_applicable(check: Check) -> Step:
    return _NOT_APPLICABLE[check]


def refused(case: Case, code: str, status: Status = Status.REFUSED, **detail: Json) -> Step:
    """A refusal, with the agent's and the tool's name beside what else its sentence needs."""
    about: dict[str, Json] = {"tool": case.request.tool[:LONGEST_NAME]}
    if case.agent is not None:
        about["agent"] = case.agent["slug"]
    return Step(Check(code.partition(".")[0]), status, code, {**about, **detail})
