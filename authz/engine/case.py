"""One request with everything that is known about it, and the steps that checks answer with."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, Generic, TypeVar

from authz.engine import combining
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
    def chain(self) -> Document | None:
        """What was handed over to the agent, None where the call names nothing that there is."""
        return document(self.snapshot.chain)

    @found_once
    def links(self) -> tuple[Document, ...]:
        """The links of the chain, from whoever began it."""
        return tuple(self.chain["links"]) if self.chain else ()

    @found_once
    def givers(self) -> tuple[Document | None, ...]:
        """The agents that handed on, in the order of the links."""
        return tuple(document(part) for part in self.snapshot.givers)

    @property
    def grantee(self) -> str:
        """The agent that the user let act for them: the first of the chain, or the one alone."""
        return str(self.links[0]["giver"]) if self.links else self.request.agent

    @found_once
    def grant(self) -> Document | None:
        """What the user lets that agent do, None where there is no grant that has not ended."""
        found = (self.user.get("grants") or {}).get(self.grantee) if self.user else None
        return found or None

    @found_once
    def behind(self) -> tuple[Case, ...]:
        """The same call by everyone it comes from: each agent that handed it on, the user alone."""
        return (*self.giving, *self.alone)

    @found_once
    def giving(self) -> tuple[Case, ...]:
        """The same call as each agent that handed it on would make it itself."""
        return tuple(
            self._as(
                replace(self.request, agent=str(link["giver"]), delegation="", chain=()),
                replace(self.snapshot, agent=part, chain=None, givers=()),
            )
            for link, part in zip(self.links, self.snapshot.givers, strict=True)
        )

    @found_once
    def alone(self) -> tuple[Case, ...]:
        """The same call as the user would make it without any agent; () where there is none."""
        if not self.is_agent or self.user is None:
            return ()
        request, snapshot = self.request, self.snapshot
        person = replace(
            request,
            kind=SubjectKind.PERSON,
            agent="",
            user="",
            person=request.user,
            delegation="",
            chain=(),
        )
        facts = Snapshot(world=snapshot.world, person=snapshot.user, gateway=snapshot.gateway)
        return (self._as(person, facts),)

    def _as(self, request: Request, snapshot: Snapshot) -> Case:
        found = Case(request, snapshot, self.now, self.mode)
        found.__dict__["world"] = self.world
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

    @found_once
    def reads(self) -> tuple[Touched, ...]:
        """What this call reads, () for an unknown tool."""
        return self._touched(READS)

    @found_once
    def writes(self) -> tuple[Touched, ...]:
        """Where this call writes, () for an unknown tool."""
        return self._touched(WRITES)

    def _touched(self, direction: str) -> tuple[Touched, ...]:
        if self.tool is None:
            return ()
        return touched(self.tool, self.target, self.world.systems, direction)

    @found_once
    def session(self) -> Document | None:
        """The flow session that the call belongs to, None where it names none that was opened."""
        return document(self.snapshot.session)

    @found_once
    def reported(self) -> Reading:
        """What the caller says that the run has read besides; it can only raise."""
        return reading_of(self._reported())

    def _reported(self) -> Iterator[Touched]:
        for each in self.request.inputs:
            if each.system not in self.world.systems:
                continue  # the flow check refuses it
            place = place_in(self.world.systems, each.system, each.resource)
            yield replace(place, trusted=place.trusted and each.trusted)

    @found_once
    def before(self) -> Reading:
        """What the run has read before this call, with what its agent carries from others."""
        session = reading_in(self.session) if self.session else NOTHING
        return session | self._carried() | self._handed_over() | self.reported

    def _handed_over(self) -> Reading:
        """What those had read who handed the call on: it came with what they handed over."""
        found = NOTHING
        for link in self.links:
            found = found | reading_in(link["read"])
        return found

    def _carried(self) -> Reading:
        """A session that was opened clean shares no memory with what was read before it."""
        if self.agent is None or (self.session and self.session["clean"]):
            return NOTHING
        return carried(self.agent.get("carried") or {}, self.now)

    @found_once
    def after(self) -> Reading:
        """What the run has read once this call went on."""
        return self.before | reading_of(self.reads)

    @found_once
    def label(self) -> str:
        """The tier of all that, raised by each toxic combination that it completes."""
        if not self.raising:
            return self.after.tier
        return highest([self.after.tier, combining.tier_of(self.raising)])

    @found_once
    def raising(self) -> tuple[Facts, ...]:
        """The toxic combinations that this run has come to, with this call."""
        return self._raising(self.after, str((self.tool or {}).get("effect", "")))

    @found_once
    def reported_raised(self) -> Reading:
        """What was reported, at the tier that it came to."""
        return combining.raised(self.reported, self._raising(self.before))

    @found_once
    def read_raised(self) -> Reading:
        """What this call reads, at the tier that it comes to."""
        return combining.raised(reading_of(self.reads), self.raising)

    def _raising(self, reading: Reading, effect: str = "") -> tuple[Facts, ...]:
        if reading is NOTHING:
            return ()
        may = self._may if effect else frozenset()
        found = combining.completed(self.world.toxic, reading, effect, may)
        answered = self.agent.get("output_tiers") if self.agent else None
        return (*found, *combining.touched(answered, reading)) if answered else found

    @property
    def _may(self) -> frozenset[str]:
        """The effects of all tools of the row, where a combination asks for more than one."""
        if not any(len(one.get("effects") or ()) > 1 for one in self.world.toxic):
            return frozenset()
        tools = self.world.tools
        return frozenset(tools[name]["effect"] for name in self._listed() if name in tools)

    def _listed(self) -> Facts:
        listed: Facts = (self.agent or {}).get("allowlist") or {}
        return listed


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


def held(case: Case, code: str, **detail: Json) -> Step:
    """As `refused`, but a human's word can let the call go on."""
    return refused(case, code, Status.HELD, **detail)


def is_future(instant: Json, now: datetime) -> bool:
    """Whether a stored instant lies after `now`; one that cannot be read does not."""
    try:
        until = datetime.fromisoformat(str(instant or ""))
    except ValueError:
        return False
    return (until if until.tzinfo else until.replace(tzinfo=UTC)) > now
