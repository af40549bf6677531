"""One request with everything that is known about it, and the steps that checks answer with."""

from __future__ import annotations

from datetime import datetime
from functools import cached_property

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


class Case:
    """One request with all that is known, and what the checks find out only once."""

    def __init__(self, request: Request, snapshot: Snapshot, now: datetime, mode: Mode) -> None:
        self.request = request
        self.snapshot = snapshot
        self.now = now
        self.mode = mode

    @cached_property
    def world(self) -> World:
        return world_of(self.snapshot.world)

    @property
    def is_agent(self) -> bool:
        return self.request.kind is SubjectKind.AGENT

    @cached_property
    def agent(self) -> Document | None:
        found = document(self.snapshot.agent)
        return found if found and found["slug"] == self.request.agent else None

    @cached_property
    def person(self) -> Document | None:
        return _person(self.snapshot.person, self.request.person)

    @cached_property
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

    @cached_property
    def tool(self) -> Facts | None:
        found: Facts | None = self.world.tools.get(self.request.tool)
        return found

    @cached_property
    def target(self) -> Target:
        """The judged resource; as it was named where the tool is unknown."""
        request = self.request
        if self.tool is None:
            return Target(request.resource_type, request.resource_id, False)
        return target_of(request, self.tool, self.world.types)

    @cached_property
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


def not_applicable(check: Check) -> Step:
    return Step(check, Status.NOT_APPLICABLE)


def refused(case: Case, code: str, status: Status = Status.REFUSED, **detail: Json) -> Step:
    """A refusal, with the agent's and the tool's name beside what else its sentence needs."""
    about: dict[str, Json] = {"tool": case.request.tool[:LONGEST_NAME]}
    if case.agent is not None:
        about["agent"] = case.agent["slug"]
    return Step(Check(code.partition(".")[0]), status, code, {**about, **detail})
