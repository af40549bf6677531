"""One request with everything that is known about it, and the steps that checks answer with."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime
from functools import cached_property

from authz.engine.reading import NOTHING, Reading, carried, reading_in, reading_of
from authz.engine.targets import (
    READS,
    WRITES,
    Target,
    Touched,
    classification,
    place_in,
    target_of,
    touched,
)
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
from governance.kernel.tiers import highest

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

    @cached_property
    def reads(self) -> tuple[Touched, ...]:
        """What this call reads, () for an unknown tool."""
        return self._touched(READS)

    @cached_property
    def writes(self) -> tuple[Touched, ...]:
        """Where this call writes, () for an unknown tool."""
        return self._touched(WRITES)

    def _touched(self, direction: str) -> tuple[Touched, ...]:
        if self.tool is None:
            return ()
        return touched(self.tool, self.target, self.world.systems, direction)

    @cached_property
    def session(self) -> Document | None:
        """The flow session that the call belongs to, None where it names none that was opened."""
        return document(self.snapshot.session)

    @cached_property
    def reported(self) -> Reading:
        """What the caller says that the run has read besides; it can only raise."""
        return reading_of(self._reported())

    def _reported(self) -> Iterator[Touched]:
        for each in self.request.inputs:
            if each.system not in self.world.systems:
                continue  # the flow check refuses it
            place = place_in(self.world.systems, each.system, each.resource)
            yield replace(place, trusted=place.trusted and each.trusted)

    @cached_property
    def before(self) -> Reading:
        """What the run has read before this call, with what its agent carries from others."""
        session = reading_in(self.session) if self.session else NOTHING
        return session | self._carried() | self.reported

    def _carried(self) -> Reading:
        """A session that was opened clean shares no memory with what was read before it."""
        if self.agent is None or (self.session and self.session["clean"]):
            return NOTHING
        return carried(self.agent.get("carried") or {}, self.now)

    @cached_property
    def after(self) -> Reading:
        """What the run has read once this call went on."""
        return self.before | reading_of(self.reads)

    @cached_property
    def label(self) -> str:
        """The tier of all that, raised by each toxic combination that it completes."""
        return highest([self.after.tier, *(tier for _, tier in self.completed)])

    @cached_property
    def completed(self) -> tuple[tuple[str, str], ...]:
        """Slug and tier of the toxic combinations among the categories that were read."""
        return tuple(
            (str(one["slug"]), str(one["tier"]))
            for one in self.world.toxic
            if self.after.categories.issuperset(one["categories"])
        )


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


def held(case: Case, code: str, **detail: Json) -> Step:
    """As `refused`, but a human's word can let the call go on."""
    return refused(case, code, Status.HELD, **detail)
